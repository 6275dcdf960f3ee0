"""Why a row came out otherwise: the rules by which evidence becomes causes.

A row of a log changes when what its stage reads changed, or when another model, code or setting computed it, or when
an input went or came back. So a changed row is followed upwards, log by log, along the stages' declared inputs and
look-backs, and only where rows did change:

1. *The row itself.* It is compared with the row that its key had, or, for a new key, with the newest earlier row of
   its place. Another model version is `model` if that version was put in force after the earlier row was written;
   other source weights are `configuration`; another code version is `code`. A reason that is no longer on the row is
   `recovery`, one that is new is `outage`.
2. *Its inputs*, on the days that the stage looks at. First rows of the same series (of all member series, where events
   are formed); where none of them changed, of the same store, then of whatever the stage's span reaches.
3. *A feed's row* is `data`, told by the file that brought it; an analyst's action is `edit`.

Every cause found is named, also where only one of them may have made the difference. Where nothing is found the cause
is `unknown`: a setting other than source weights may have changed, or somebody wrote past the kernel; neither leaves
evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from mrs_assets.beliefs.evidence import Evidence, Move, Stamp
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.stage import Input, Span
from mrs_assets.graph import STAGES

CauseKind = Literal["code", "configuration", "data", "edit", "model", "outage", "recovery", "unknown"]
Series = tuple[str, str, str]
"""Retailer, store, product."""

FILES_NAMED = 5
_WEIGHTS = "sources-"
_ANY = "*"
_STAGE_OF = {log.name: stage for stage in STAGES for log in stage.writes}


@dataclass(frozen=True, order=True)
class Cause:
    """One cause, in words; `written_at` is when the newest row that it explains was written, UTC."""

    kind: CauseKind
    words: str
    written_at: datetime


UNKNOWN = "nothing that was recorded explains it: a setting, or a row written by hand"


def told(causes: Iterable[Cause]) -> tuple[str, str]:
    """Kinds and words, sorted; many files are counted after the newest few."""
    newest: dict[tuple[CauseKind, str], datetime] = {}
    for cause in causes:
        newest[cause.kind, cause.words] = max(cause.written_at, newest.get((cause.kind, cause.words), cause.written_at))
    if not newest:
        return "unknown", UNKNOWN
    kinds = sorted({kind for kind, _ in newest})
    words = []
    for kind in kinds:
        own = sorted(((at, text) for (k, text), at in newest.items() if k == kind), reverse=True)
        words += sorted(f"{text}, written {at:%Y-%m-%dT%H:%M:%S.%fZ}" for at, text in own[:FILES_NAMED])
        words += [f"and {len(own) - FILES_NAMED} more of {kind}"] if len(own) > FILES_NAMED else []
    return ", ".join(kinds), "; ".join(words)


def edit_cause(row: dict[str, Any]) -> Cause:
    """An analyst's action as a cause."""
    what = " ".join(str(row[name]) for name in ("action", "field") if row[name])
    what += f" = {row['value']!r}" if row["value"] else ""
    what += f" of {row['undoes']}" if row["undoes"] else ""
    return Cause("edit", f"{row['actor']}: {what} ({row['annotation_id']})", row["written_at"])


class Causes:
    """Follows rows upwards.

    Attributes:
        evidence: what was written in the interval.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._known: dict[tuple[str, frozenset[Series], date, date, Span], frozenset[Cause]] = {}

    def of_row(self, log: Contract, before: Stamp | None, after: Stamp | None) -> set[Cause]:
        """Rule 1: what two stamps of a row tell."""
        if before is None or after is None:
            return set()
        found = set()
        at, old, new = after.written_at, before.model_version, after.model_version
        if old != new and _WEIGHTS in f"{old}{new}":
            weights = (version.removeprefix(_WEIGHTS) if version else "none" for version in (old, new))
            found.add(Cause("configuration", f"source weights {' → '.join(weights)}", at))
        elif new is not None and old != new and (activation := self._activation(new, before.written_at)):
            by = f", approved by {activation['approved_by']}"
            found.add(Cause("model", f"{activation['model_name']} {old or 'none'} → {new}{by}", at))
        if _is_other_code(before.code_version, after.code_version):
            found.add(Cause("code", f"code of {log.name} {before.code_version} → {after.code_version}", at))
        found |= {Cause("recovery", self._came_back(reason), at) for reason in {*before.reasons} - {*after.reasons}}
        found |= {Cause("outage", f"{reason}: it was not there", at) for reason in {*after.reasons} - {*before.reasons}}
        return found

    def of_inputs(self, log: Contract, places: frozenset[Series], first_day: date, last_day: date) -> set[Cause]:
        """Rules 2 and 3: causes of what the log's stage reads for some days of some series."""
        stage = _STAGE_OF.get(log.name)
        if stage is None:
            return set()
        own = {written.name for written in stage.writes}
        found: set[Cause] = set()
        for wanted in (i for i in stage.reads if i.contract.name not in own):
            begin, end = _days(wanted, first_day, last_day)
            found |= self.of_log(wanted.contract, places, begin, end, stage.span)
        return found

    def of_log(
        self, log: Contract, places: frozenset[Series], first_day: date, last_day: date, span: Span = "store"
    ) -> frozenset[Cause]:
        """Causes of what moved in a log on some days, seen from some series by a stage of a span."""
        asked = (log.name, places, first_day, last_day, span)
        if asked not in self._known:
            near = self._near(log, places, span, lambda m: m.first_day <= last_day and m.last_day >= first_day)
            self._known[asked] = frozenset(cause for move in near for cause in self._of_move(log, move, asked[2:4]))
        return self._known[asked]

    def of_fact(self, log: Contract, row: dict[str, Any]) -> set[Cause]:
        """Rule 3, for a row of a feed's log."""
        place = (row["retailer"], row.get("store_id"), row.get("sku"))
        own = [move for move in self.evidence.moves(log) if move.place == place]
        return {self._data(log, move) for move in own if move.first_day <= row["business_day"] <= move.last_day}

    def _of_move(self, log: Contract, move: Move, days: tuple[date, date]) -> set[Cause]:
        if log.name not in _STAGE_OF:
            return {self._data(log, move)}
        found = self.of_row(log, move.before, move.after)
        retailer, store, sku = move.place
        if store is None or sku is None:
            return found
        first, last = max(move.first_day, days[0]), min(move.last_day, days[1])
        return found | self.of_inputs(log, frozenset({(retailer, store, sku)}), first, last)

    def _near(self, log: Contract, places: frozenset[Series], span: Span, inside: Callable[[Move], bool]) -> list[Move]:
        """Moves of the nearest ring in which anything moved."""
        everything = [move for move in self.evidence.moves(log) if inside(move)]
        if not everything:
            return []
        if log.stage == "feeds" and log is not UNIFIED_SALES:
            return [move for move in everything if _concerns(log, move, places)]
        stores, retailers = {place[:2] for place in places}, {place[0] for place in places}
        rings: list[Callable[[Move], bool]] = [lambda m: m.place in places, lambda m: m.place[:2] in stores]
        rings += [lambda m: m.place[0] in retailers] if span != "store" else []
        rings += [lambda _: True] if span == "everything" else []
        return next((ring for within in rings if (ring := [move for move in everything if within(move)])), [])

    def _data(self, log: Contract, move: Move) -> Cause:
        account = self.evidence.file_of(move)
        if account is None:
            return Cause("data", f"rows of {log.name} that no file brought", move.written_at)
        words = f"{account['feed']} file {account['file_name']!r} of {account['retailer']} ({account['decision']})"
        return Cause("data", words, account["written_at"])

    def _activation(self, version: str, after: datetime) -> dict[str, Any] | None:
        """When a version was put in force, if that was later than an instant."""
        own = [a for a in self.evidence.activations if a["model_version_id"] == version and a["written_at"] > after]
        return own[-1] if own else None

    def _came_back(self, reason: str) -> str:
        plans = sorted(plan["plan_id"] for plan in self.evidence.recoveries if reason in plan["triggers"])
        return f"{reason}: it came back" + (f" ({', '.join(plans)})" if plans else "")


def _days(wanted: Input, first_day: date, last_day: date) -> tuple[date, date]:
    begin = max(first_day, date(2, 1, 1) + timedelta(days=wanted.days_before)) - timedelta(days=wanted.days_before)
    return begin, last_day + timedelta(days=wanted.days_after)


def _concerns(log: Contract, move: Move, places: frozenset[Series]) -> bool:
    """Whether a row of context may be about any of the series: of its retailer, and its store and product if named."""
    retailer, store, sku = move.place
    limited = log in (PROMOTIONS, STORES)
    return any(
        retailer == place[0]
        and (not limited or store in (None, _ANY, place[1]))
        and (not limited or sku in (None, _ANY, place[2]))
        for place in places
    )


def _is_other_code(before: str | None, after: str | None) -> bool:
    """Whether two code versions differ; a closure by finalisation names no version of the stage whose log it is in."""
    if before is None or after is None:
        return before != after
    (base, _, stage), (new_base, _, new_stage) = before.partition("+"), after.partition("+")
    return base != new_base or (bool(stage) and bool(new_stage) and stage != new_stage)
