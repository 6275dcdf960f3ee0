"""What a subject's standing actions come to: a deterministic fold that does not depend on the order of arrival.

Actions are taken in the order of (people after policies, acted_at, annotation_id), so that a policy never overrides a
person. Per field, the last `edit` or `clear` holds. The verdict is the last of approve, reject, defer, reopen and of
those edits of the final cause that hold; a `reopen` leaves no verdict. The review state is that of the last of these
and of `request_review`; a decision ends a review.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mrs_assets.finalisation.editable import FINAL_FIELDS, Parser

Action = Mapping[str, Any]
"""One row of an edits log."""

_DECISIONS = {"reject": "rejected", "defer": "deferred", "edit": "edited"}
_REVIEW_STATES = {"request_review": "requested", "defer": "deferred", "reopen": "reopened"}


@dataclass(frozen=True)
class Verdict:
    """What the standing actions on one report or event come to.

    Attributes:
        decision: one of FINAL_DECISIONS; None where nobody decided or the case was reopened.
        decided_by, decided_at: annotation that decided, and when its actor acted. UTC.
        approved_cause: the cause that an approval names as seen.
        fields: values set by edits that hold.
        held_by: annotation that set each of them.
        review_state: `requested`, `deferred`, `reopened`, or None.
        asked_by: annotation that the review state is of.
        evidence_count: pieces of evidence added.
        issues: codes of actions that could not be applied.
        spoke: there is a verdict or a reopening, so that a broader verdict does not apply.
    """

    decision: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    approved_cause: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    held_by: Mapping[str, str] = field(default_factory=dict)
    review_state: str | None = None
    asked_by: str | None = None
    evidence_count: int = 0
    issues: frozenset[str] = frozenset()
    spoke: bool = False


def fold(actions: Iterable[Action], editable: Mapping[str, Parser]) -> Verdict:
    """Fold standing actions on one subject.

    Args:
        actions: rows of the edits log that no undo took back.
        editable: fields that an edit may set, with their parsers.
    """
    ordered = in_order(actions)
    values: dict[str, tuple[Any, Action]] = {}
    issues: set[str] = set()
    for action in ordered:
        if action["action"] == "edit":
            _set_field(action, editable, values, issues)
        elif action["action"] == "clear" and values.pop(action["field"] or "", None) is None:
            issues.add("nothing_to_clear")
    deciding = [a for a in ordered if _decides(a, values)]
    reviewing = [a for a in ordered if a["action"] == "request_review" or _decides(a, values)]
    last = deciding[-1] if deciding else None
    decided = last if last is not None and last["action"] != "reopen" else None
    review_state = _REVIEW_STATES.get(reviewing[-1]["action"]) if reviewing else None
    return Verdict(
        decision=_decision(decided) if decided else None,
        decided_by=decided["annotation_id"] if decided else None,
        decided_at=decided["acted_at"] if decided else None,
        approved_cause=named_cause(decided) if decided else None,
        fields={name: value for name, (value, _) in values.items()},
        held_by={name: action["annotation_id"] for name, (_, action) in values.items()},
        review_state=review_state,
        asked_by=reviewing[-1]["annotation_id"] if review_state else None,
        evidence_count=sum(a["action"] == "add_evidence" for a in ordered),
        issues=frozenset(issues),
        spoke=last is not None,
    )


def in_order(actions: Iterable[Action]) -> list[Action]:
    """Actions in the order in which they are folded."""
    return sorted(actions, key=lambda a: (a["user_role"] != "system", a["acted_at"], a["annotation_id"]))


def _set_field(
    action: Action, editable: Mapping[str, Parser], values: dict[str, tuple[Any, Action]], issues: set[str]
) -> None:
    name = action["field"] or ""
    if name not in editable:
        issues.add("unknown_field")
        return
    try:
        values[name] = (editable[name](action["value"] or ""), action)
    except ValueError:
        issues.add(f"unusable_{name}")


def _decides(action: Action, values: Mapping[str, tuple[Any, Action]]) -> bool:
    if action["action"] in ("approve", "reject", "defer", "reopen"):
        return True
    name = action["field"]
    return action["action"] == "edit" and name in FINAL_FIELDS and name in values and values[name][1] is action


def _decision(action: Action) -> str:
    if action["action"] == "approve":
        return "auto_approved" if action["user_role"] == "system" else "approved"
    return _DECISIONS[action["action"]]


def named_cause(action: Action) -> str | None:
    """The cause that an approval names as the one that was seen."""
    if action["action"] != "approve":
        return None
    return (action["value"] or "").strip(" ") or None


def combined(report: Verdict, event: Verdict) -> Verdict:
    """A report's verdict: what was said of the report goes before what was said of its event."""
    fields = dict(report.fields)
    settled = report.approved_cause is not None or report.decision == "rejected"
    if "final_cause" not in fields and not settled:
        fields = {**{name: event.fields[name] for name in FINAL_FIELDS if name in event.fields}, **fields}
    decider = report if report.spoke else event
    asker = report if report.spoke or report.review_state else event
    approved = report.approved_cause if report.spoke else event.approved_cause
    return Verdict(
        decision=decider.decision,
        decided_by=decider.decided_by,
        decided_at=decider.decided_at,
        approved_cause=approved,
        fields=fields,
        held_by={**{name: by for name, by in event.held_by.items() if name in fields}, **report.held_by},
        review_state=asker.review_state,
        asked_by=asker.asked_by,
        evidence_count=report.evidence_count + event.evidence_count,
        issues=report.issues | event.issues,
        spoke=report.spoke or event.spoke,
    )
