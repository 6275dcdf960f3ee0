"""From changed input rows to the rectangles of partitions that depend on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Stage

Purpose = Literal["replay", "recovery"]
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
class Plan:
    """What to recompute for one retailer, in order.

    Attributes:
        steps: runs, each after the one before it.
        triggers: logs whose rows changed, `SOURCE_WEIGHTS`, or reasons that went away.
        days_changed: business days whose inputs changed, or that were degraded.
        stores_changed: number of stores whose inputs changed.
        inputs_written_at: the plan answers every input row written up to here.
        purpose: whether inputs changed or what was degraded is computed again.
        source_weights: fingerprint of the retailer's declared sources, for a replay.
    """

    steps: tuple[Step, ...]
    triggers: tuple[str, ...]
    days_changed: tuple[date, ...]
    stores_changed: int
    inputs_written_at: datetime
    purpose: Purpose = "replay"
    source_weights: str | None = None

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
        facts = [self.purpose, self.scope.retailer, self.inputs_written_at.isoformat(), *map(str, self.steps)]
        facts += [self.source_weights] if self.source_weights else []
        return "plan-" + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def downstream(logs: Iterable[str], stages: Sequence[Stage]) -> frozenset[str]:
    """Assets that depend on any of the logs, directly or through other assets."""
    reached = set(logs)
    found: set[str] = set()
    for stage in stages:  # in order of the graph: a stage only reads what earlier ones write
        read = {i.contract.name for i in stage.reads}
        written = {contract.name for contract in stage.writes}
        if (read - written) & reached:
            reached |= written
            found |= written
    return frozenset(found)


def reach_back(log: str, stages: Sequence[Stage]) -> timedelta:
    """How long before its own day a row of a log can matter: planned things are known ahead."""
    return timedelta(days=max((i.days_after for s in stages for i in s.reads if i.contract.name == log), default=0))


def plan_changes(
    changes: Sequence[Change],
    first_days: Mapping[str, date],
    frontiers: Mapping[str, date],
    reports_from: Mapping[str, date],
    stages: Sequence[Stage],
    closing: Closing,
) -> list[Plan]:
    """The rectangles that answer the changes: per retailer one plan for facts and context, one for edits.

    A changed fact can move every later tick of its series, so a rectangle reaches to the retailer's frontier. What
    comes out the same there appends nothing. Days before the retailer's reports begin are history: only the stages
    that compute history run for them, in a step of their own.

    Args:
        changes: what changed, per log and retailer.
        first_days: oldest business day with sales, per retailer.
        frontiers: newest business day with a series, per retailer.
        reports_from: first business day with reports, for retailers that have one.
        stages: declared stages in order of the graph.
        closing: assets after the stages.
    """
    plans = []
    for retailer in sorted({change.retailer for change in changes}):
        own = [change for change in changes if change.retailer == retailer]
        edits = [change for change in own if change.log.startswith("user_")]
        facts = [change for change in own if change not in edits]
        if facts and retailer in frontiers:
            first = min(min(change.days) - reach_back(change.log, stages) for change in facts)
            first = min(max(first, first_days[retailer]), frontiers[retailer])
            whole = Scope(first, frontiers[retailer], retailer)
            concerned = downstream([change.log for change in facts], stages)
            plans.append(_plan(_steps(whole, reports_from.get(retailer), concerned, stages, closing), facts))
        if edits:
            days = [day for change in edits for day in change.days]
            assets = (closing.finalisation.name, *closing.state)
            plans.append(_plan([Step(Scope(min(days), max(days), retailer), tuple(sorted(assets)))], edits))
    return plans


def _steps(
    whole: Scope, reports_from: date | None, concerned: Iterable[str], stages: Sequence[Stage], closing: Closing
) -> list[Step]:
    begin = reports_from or whole.first_day
    history = {contract.name for stage in stages if stage.before_reports for contract in stage.writes}
    history &= set(concerned)
    rest = set(concerned) - history
    if whole.last_day < begin:
        return [Step(whole, tuple(sorted({*history, *closing.state})))]
    reported = replace(whole, first_day=max(begin, whole.first_day))
    assets = {*rest, closing.finalisation.name, *closing.state}
    if reported == whole or not history:
        return [Step(reported, tuple(sorted(assets | history)))]
    return [Step(whole, tuple(sorted(history))), Step(reported, tuple(sorted(assets)))]


def _plan(steps: Sequence[Step], changes: Sequence[Change]) -> Plan:
    rows = [change for change in changes if change.cause is None]
    return Plan(
        steps=tuple(steps),
        triggers=tuple(sorted({change.cause or change.log for change in changes})),
        days_changed=tuple(sorted({day for change in changes for day in change.days})),
        stores_changed=max(change.stores for change in changes),
        inputs_written_at=max(change.written_at for change in rows or changes),
    )
