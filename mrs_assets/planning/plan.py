"""From changed input rows to the rectangles of partitions that depend on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.resilience import Replays
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Stage
from mrs_assets.planning.reach import Days, joined, reach

Purpose = Literal["replay", "edits", "recovery"]
SOURCE_WEIGHTS = "source_weights"
"""Trigger of a plan that answers a change in how sources are weighed."""


@dataclass(frozen=True)
class Change:
    """Rows of one input log of one retailer that no finished plan has answered yet, or that count otherwise now.

    Attributes:
        log: the log's name.
        days: business days of the changed rows.
        stores: number of stores concerned; 0 where the log has none.
        written_at: newest of the rows.
        cause: what changed, where it is not the rows.
    """

    log: str
    retailer: str
    days: tuple[date, ...]
    stores: int
    written_at: datetime
    cause: str | None = None


@dataclass(frozen=True)
class Closing:
    """Assets that come after the declared stages.

    Attributes:
        finalisation: the log that consolidates reports: all that an edit concerns.
        finalisation_reasons: reasons on its rows that are its own and not those of the rows it was computed from.
        state: unpartitioned assets that end every plan.
    """

    finalisation: Contract
    finalisation_reasons: frozenset[str]
    state: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One run: some assets over a rectangle of days × one retailer."""

    scope: Scope
    assets: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scope.first_day}/{self.scope.last_day}/{','.join(self.assets)}"

    @classmethod
    def parse(cls, text: str, retailer: str) -> Step:
        """The step that was written as text."""
        first, last, assets = text.split("/")
        return cls(Scope(date.fromisoformat(first), date.fromisoformat(last), retailer), tuple(assets.split(",")))


@dataclass(frozen=True)
class Touched:
    """What of the current state a replay puts in question.

    Attributes:
        reports: live reports whose own evidence holds a changed row.
        impact: sum of the sizes of their impacts, of those in money.
        units: sum of the sizes of their uplifts in units.
        share_of_rebuild: most that the replay can cost against computing everything again: share of all days × stores
            × stages.
    """

    reports: int
    impact: Decimal
    units: float
    share_of_rebuild: float

    def exceeds(self, limits: Replays) -> bool:
        """Whether it is for a person to let the replay go on."""
        too_many = limits.hold_above_reports is not None and self.reports > limits.hold_above_reports
        return too_many or (limits.hold_above_impact is not None and self.impact > Decimal(limits.hold_above_impact))


@dataclass(frozen=True)
class Plan:
    """What to recompute for one retailer.

    Attributes:
        steps: rectangles in order of the graph. A recovery is these runs; of a replay they are the bounds, and what
            is run within them follows from what really comes out otherwise (`progress.next_step`).
        triggers: logs whose rows changed, `SOURCE_WEIGHTS`, or reasons that went away.
        days_changed: business days whose inputs changed, or that were degraded.
        stores_changed: number of stores whose inputs changed.
        inputs_written_at: the plan answers every input row written up to here.
        purpose: whether facts or context changed, people spoke, or what was degraded is computed again.
        source_weights: fingerprint of the retailer's declared sources, for a replay.
        touched: what of the current state a replay puts in question.
        is_held: it waits for a person's approval.
    """

    steps: tuple[Step, ...]
    triggers: tuple[str, ...]
    days_changed: tuple[date, ...]
    stores_changed: int
    inputs_written_at: datetime
    purpose: Purpose = "replay"
    source_weights: str | None = None
    touched: Touched | None = None
    is_held: bool = False

    @property
    def scope(self) -> Scope:
        """Every day that is recomputed."""
        scopes = [step.scope for step in self.steps]
        return Scope(min(s.first_day for s in scopes), max(s.last_day for s in scopes), scopes[0].retailer)

    @property
    def assets(self) -> tuple[str, ...]:
        """Every asset that is recomputed, sorted."""
        return tuple(sorted({asset for step in self.steps for asset in step.assets}))

    @property
    def because(self) -> str:
        """What changed or went away, in words."""
        if self.purpose == "recovery":
            return f"gone: {', '.join(self.triggers)}"
        logs = ", ".join(trigger for trigger in self.triggers if trigger != SOURCE_WEIGHTS)
        words = [f"new rows in {logs}"] if logs else []
        words += ["sources weighed otherwise"] if SOURCE_WEIGHTS in self.triggers else []
        return "; ".join(words)

    @property
    def plan_id(self) -> str:
        """Hash of what the plan answers: planning the same changes again gives the same id."""
        facts = [self.purpose, self.scope.retailer, self.inputs_written_at.isoformat(), *self.triggers]
        facts += map(str, self.steps) if self.purpose == "recovery" else []
        facts += [self.source_weights] if self.source_weights else []
        return "plan-" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Known:
    """What is known of one retailer's days.

    Attributes:
        first_day: oldest business day with sales.
        last_day: newest business day with sales or a series.
        computed: first and last day with a series; None where there is none.
        reports_from: first day with reports; None: the first.
    """

    first_day: date
    last_day: date
    computed: Days | None = None
    reports_from: date | None = None


def plan_changes(
    changes: Sequence[Change], known: Mapping[str, Known], stages: Sequence[Stage], closing: Closing
) -> list[Plan]:
    """The rectangles that no answer to the changes is wider than: per retailer one plan for facts, one for edits.

    Args:
        changes: what changed, per log and retailer.
        known: retailers with sales.
        stages: declared stages in order of the graph.
        closing: assets after the stages.
    """
    plans = []
    for retailer in sorted({change.retailer for change in changes}):
        own = [change for change in changes if change.retailer == retailer]
        edits = [change for change in own if change.log.startswith("user_")]
        facts = [change for change in own if change not in edits]
        if facts and retailer in known:
            plans.append(_plan(_bounds(facts, known[retailer], stages, closing), facts, "replay"))
        if edits:
            days = [day for change in edits for day in change.days]
            plans.append(_plan(steps_over({}, days, stages, closing, retailer), edits, "edits"))
    return plans


def _bounds(facts: Sequence[Change], known: Known, stages: Sequence[Stage], closing: Closing) -> list[Step]:
    changed = {change.log: joined((day, day) for day in change.days) for change in facts}
    again = {stage.name: _never_computed(known) for stage in stages if stage.every_day}
    felt = {}
    for stage, spans in reach(again, stages, known.last_day, changed).items():
        begin = known.first_day
        if not next(s for s in stages if s.name == stage).before_reports:
            begin = max(begin, known.reports_from or begin)
        if clipped := [(max(first, begin), last) for first, last in spans if last >= begin]:
            felt[stage] = clipped
    newest = max(day for change in facts for day in change.days)
    return steps_over(felt, () if felt else [min(newest, known.last_day)], stages, closing, facts[0].retailer)


def _never_computed(known: Known) -> list[Days]:
    if known.computed is None:
        return [(known.first_day, known.last_day)]
    first, last = known.computed
    day = timedelta(days=1)
    outside = [(known.first_day, min(first - day, known.last_day)), (max(last + day, known.first_day), known.last_day)]
    return [(begin, end) for begin, end in outside if begin <= end]


def steps_over(
    felt: Mapping[str, Sequence[Days]],
    unedited: Sequence[date],
    stages: Sequence[Stage],
    closing: Closing,
    retailer: str,
) -> list[Step]:
    """Rectangles in order of the graph: neighbouring stages that share their days share theirs.

    Args:
        felt: stage → days to compute, as `reach` gives them.
        unedited: further days of which records are to be consolidated.
        stages: declared stages in order of the graph.
        closing: what ends the last of them.
        retailer: whose days.
    """
    groups: list[tuple[Sequence[Days], list[str]]] = []
    for stage in (stage for stage in stages if stage.name in felt):
        logs = [contract.name for contract in stage.writes]
        if groups and groups[-1][0] == felt[stage.name]:
            groups[-1][1].extend(logs)
        else:
            groups.append((felt[stage.name], logs))
    steps = [Step(Scope(*days, retailer), tuple(sorted(logs))) for spans, logs in groups for days in spans]
    ends = [day for spans in felt.values() for days in spans for day in days] + list(unedited)
    last = Step(Scope(min(ends), max(ends), retailer), tuple(sorted((closing.finalisation.name, *closing.state))))
    if steps and steps[-1].scope == last.scope:
        return [*steps[:-1], Step(last.scope, tuple(sorted({*steps[-1].assets, *last.assets})))]
    return [*steps, last]


def _plan(steps: Sequence[Step], changes: Sequence[Change], purpose: Purpose) -> Plan:
    rows = [change for change in changes if change.cause is None]
    return Plan(
        steps=tuple(steps),
        triggers=tuple(sorted({change.cause or change.log for change in changes})),
        days_changed=tuple(sorted({day for change in changes for day in change.days})),
        stores_changed=max(change.stores for change in changes),
        inputs_written_at=max(change.written_at for change in rows or changes),
        purpose=purpose,
    )
