"""Edits compared three ways: what their author saw, what they decided, and what the machine says now.

The outcome per word is `carried` (the machine has not moved, or says nothing), `agrees` (it says now what was decided)
or `conflict` (it says something that was neither seen nor decided). A conflict changes nothing of what the word does:
it is shown with both sides until a person speaks again.

Compared is what is in force, of people and of reports that are still detected:

* An `edit` that holds: its field. Where the machine is silent (NULL; a cause `unknown` without a confidence: inputs
  were down) there is nothing to contradict it. A `window_end` of NULL is no silence: the report goes on.
* The `approve` that decides: the cause that it names, else the one seen, is to be the machine's first still.
* Whatever decides (`approve`, `reject`, an `edit` of the final cause): the direction is to be the one seen; the window
  to overlap the one seen, where the report has another identity now; and the impact, as the machine gives it today for
  the tick that was seen, to have the sign seen and to lie within a factor of IMPACT_FACTOR. Taking the same tick leaves
  aside what an anomaly merely grew by since.
* `add_evidence`, `request_review`, `defer`, `reopen`, `clear` rely on nothing.

A later `approve` or `reject` of a person confirms the edits before it as its author saw them: they are compared with
what was seen last. Where nothing is known of what was seen, as in a clean build, only a named approval is compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from mrs_assets.finalisation.editable import FINAL_FIELDS
from mrs_assets.finalisation.verdict import Action, Verdict, in_order, named_cause

Outcome = Literal["carried", "agrees", "conflict"]
Row = Mapping[str, Any]
"""What the machine says of a report, in the columns of `minority_reports`."""

IMPACT_FACTOR = 2.0
"""How many times larger or smaller the impact may become before a verdict on it is to be looked at again."""

MACHINE_FIELDS = {
    "final_cause": "proposed_cause",
    "final_cause_category": "proposed_cause_category",
    "window_start": "window_start",
    "window_end": "window_end",
    "report_group_id": "report_group_id",
    "cluster_name": "cluster_name",
}
"""Field that an edit may set → the column in which the machine says the same."""

READ = (
    *("report_id", "tick", "direction", "impact_estimate", "impact_unit", "confidence_score"),
    *MACHINE_FIELDS.values(),
)
"""Columns that are compared, or needed to compare."""

NEEDS_REVIEW = "needs_review"
_GOES_ON = "goes on"


@dataclass(frozen=True)
class Belief:
    """What the author of one action looked at.

    Attributes:
        seen_at: the instant of the belief. UTC.
        made_on: the report that the action names.
        saw: what the machine said of it then; None where nothing is known of that.
        since: what the machine says now of the tick that was seen; None where it says nothing of it.
    """

    seen_at: datetime
    made_on: str
    saw: Row | None = None
    since: Row | None = None


@dataclass(frozen=True)
class Side:
    """One conflict: what was seen, decided, and is true now, as text.

    Attributes:
        action: the word that is contradicted.
        field: what it is about: a field of an edit, `direction`, `window` or `impact`.
    """

    action: Action
    field: str
    saw: str | None
    decided: str | None
    now: str


def three_way(saw: str | None, decided: str | None, now: str | None) -> Outcome:
    """Compare values as text; None: the machine said nothing."""
    if now == decided and now is not None:
        return "agrees"
    return "carried" if now is None or now == saw else "conflict"


def conflicts(actions: Iterable[Action], verdict: Verdict, beliefs: Mapping[str, Belief], now: Row) -> list[Side]:
    """Both sides of every word in force that the machine contradicts, sorted by field and annotation.

    Args:
        actions: standing actions on one report.
        verdict: what they come to.
        beliefs: annotation → what its author looked at.
        now: what the machine says of the report.
    """
    ordered = [action for action in in_order(actions) if action["user_role"] != "system"]
    sides: list[Side] = []
    for place, action in enumerate(ordered):
        own = beliefs.get(action["annotation_id"])
        for name, value in verdict.fields.items():
            if verdict.held_by[name] == action["annotation_id"]:
                seen = _last_seen(own, ordered[place + 1 :], beliefs)
                sides += _on_field(action, name, text(value), seen, now)
        if action["annotation_id"] == verdict.decided_by:
            sides += _on_cause(action, own, now) if action["action"] == "approve" else []
            sides += _on_facts(action, verdict, own, now) if action["action"] != "defer" else []
    return sorted(sides, key=lambda side: (side.field, side.action["annotation_id"]))


def review_state(verdict: Verdict, sides: Sequence[Side], beliefs: Mapping[str, Belief], now: Row) -> str | None:
    """`needs_review` where there is a conflict, unless a person asked for something who had seen the machine's side."""
    if not sides:
        return verdict.review_state
    asker = beliefs.get(verdict.asked_by or "")
    informed = asker is not None and asker.saw is not None and not any(_moved(s.field, asker, now) for s in sides)
    return verdict.review_state if informed else NEEDS_REVIEW


def as_json(sides: Iterable[Side]) -> str | None:
    """The sides as a JSON list with sorted keys; None where there is none."""
    listed = [
        {
            "annotation_id": side.action["annotation_id"],
            "actor": side.action["actor"],
            "action": side.action["action"],
            "field": side.field,
            "saw": side.saw,
            "decided": side.decided,
            "now": side.now,
            "acted_at": text(side.action["acted_at"]),
        }
        for side in sides
    ]
    return json.dumps(listed, sort_keys=True, ensure_ascii=False) if listed else None


def text(value: object) -> str | None:
    """A value as it is compared and shown; instants in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return None if value is None else str(value)


def _last_seen(own: Belief | None, later: Iterable[Action], beliefs: Mapping[str, Belief]) -> Belief | None:
    confirming = [beliefs.get(a["annotation_id"]) for a in later if a["action"] in ("approve", "reject")]
    known = [belief for belief in (own, *confirming) if belief is not None and belief.saw is not None]
    return max(known, key=lambda belief: belief.seen_at, default=None)


def _on_field(action: Action, name: str, decided: str | None, seen: Belief | None, now: Row) -> list[Side]:
    if seen is None or seen.saw is None:
        return []
    saw, says = _told(name, seen.saw), _told(name, now)
    if says is None or three_way(saw, decided, says) != "conflict":
        return []
    return [Side(action, name, saw, decided, says)]


def _on_cause(action: Action, own: Belief | None, now: Row) -> list[Side]:
    seen = _told("final_cause", own.saw) if own is not None and own.saw is not None else None
    decided, says = named_cause(action) or seen, _told("final_cause", now)
    if decided is None or says is None or three_way(decided, decided, says) != "conflict":
        return []
    return [Side(action, "final_cause", seen or decided, decided, says)]


def _on_facts(action: Action, verdict: Verdict, own: Belief | None, now: Row) -> list[Side]:
    if own is None or own.saw is None:
        return []
    moved = {name: pair for name in _FACTS if (pair := _moved(name, own, now))}
    return [Side(action, name, saw, verdict.decision, says) for name, (saw, says) in moved.items()]


def _moved(name: str, belief: Belief, now: Row) -> tuple[str | None, str] | None:
    """What was seen and what is true now, where the one is not the other."""
    if name in _FACTS:
        return _FACTS[name](belief, now)
    saw, says = _told(name, belief.saw or {}), _told(name, now)
    return None if says is None or says == saw else (saw, says)


def _told(name: str, row: Row) -> str | None:
    """What the machine says of an edit's field; None where it is silent."""
    value = row.get(MACHINE_FIELDS[name])
    if name == "window_end" and value is None:
        return _GOES_ON
    if name in FINAL_FIELDS and value == "unknown" and row.get("confidence_score") is None:
        return None
    return text(value)


def _direction(belief: Belief, now: Row) -> tuple[str, str] | None:
    saw = belief.saw or {}
    return None if saw["direction"] == now["direction"] else (saw["direction"], now["direction"])


def _window(belief: Belief, now: Row) -> tuple[str, str] | None:
    saw = belief.saw or {}
    if belief.made_on == now["report_id"]:
        return None
    (start, end), (start_now, end_now) = _span(saw), _span(now)
    if max(start, start_now) < min(end, end_now):
        return None
    return f"{text(start)}/{text(end)}", f"{text(start_now)}/{text(end_now)}"


def _span(row: Row) -> tuple[datetime, datetime]:
    return row["window_start"], row["window_end"] or row["tick"]


def _impact(belief: Belief, _now: Row) -> tuple[str, str] | None:
    saw, since = belief.saw or {}, belief.since or {}
    before, after = saw.get("impact_estimate"), since.get("impact_estimate")
    if before is None or after is None or saw["impact_unit"] != since["impact_unit"]:
        return None
    small, large = sorted((abs(float(before)), abs(float(after))))
    if (before < 0) == (after < 0) and large <= IMPACT_FACTOR * small:
        return None
    unit = saw["impact_unit"]
    return f"{before} {unit}", f"{after} {unit}"


_FACTS: Mapping[str, Callable[[Belief, Row], tuple[str, str] | None]] = {
    "direction": _direction,
    "window": _window,
    "impact": _impact,
}
"""What a verdict relies on besides the cause."""
