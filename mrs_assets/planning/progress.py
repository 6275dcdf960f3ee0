"""The next run of a plan: what is left of it, cut so that one run covers what can be computed together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, takewhile

import polars as pl

from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.planning.felt import Replay, bridged, remaining
from mrs_assets.planning.ledger import replay_of
from mrs_assets.planning.plan import Closing, Plan, Step
from mrs_assets.planning.reach import Days, joined, reach
from mrs_resources.log_store import Transaction

RUNS_PER_STAGE = 3
"""Spans of days for which one stage gets runs of its own; days between nearer ones are materialised with them."""


def next_step(tx: Transaction, plan: Plan, settings: Settings, stages: Sequence[Stage], closing: Closing) -> Step:
    """The first run that a recorded replay still needs; its closing run where every stage is done.

    A run holds the first stage that is not done and those after it that are felt on the same days, as far as can be
    said before it has run; the closing assets too where that is true of all of them.

    Args:
        tx: the open transaction.
        plan: a replay that was recorded.
        settings: what is configured.
        stages: declared stages in order of the graph.
        closing: what ends every plan.
    """
    replay = replay_of(tx, plan.plan_id, settings)
    left = ((stage, _days(tx, stage, replay, settings)) for stage in stages) if replay else iter(())
    waiting = next(((stage, todo) for stage, todo in left if todo), None)
    if replay is None or waiting is None:
        return _closing_step(tx, plan, replay, stages, closing)
    days = bridged(waiting[1], RUNS_PER_STAGE)[0]
    felt = reach({waiting[0].name: [days]}, stages, replay.last_day)
    later = takewhile(lambda of: _is_felt_on(of[0], days, felt, of[1], replay), chain([waiting], left))
    together = [stage for stage, _ in later]
    assets = [log.name for stage in together or [waiting[0]] if stage.name in felt for log in stage.writes]
    if together and together[-1] is stages[-1]:
        assets += [closing.finalisation.name, *closing.state]
    return Step(Scope(*days, replay.retailer), tuple(sorted(assets)))


def _is_felt_on(stage: Stage, days: Days, felt: Mapping[str, list[Days]], todo: list[Days], replay: Replay) -> bool:
    """Whether a stage has to be computed on some days and no others, or not at all."""
    begin = days[0] if stage.span == "everything" and replay.is_alone else replay.first_of(stage)
    spans = [(max(first, begin), last) for first, last in felt.get(stage.name, [])]
    return all(span == days for span in spans) and all(days[0] <= first and last <= days[1] for first, last in todo)


def _closing_step(
    tx: Transaction, plan: Plan, replay: Replay | None, stages: Sequence[Stage], closing: Closing
) -> Step:
    """Current state and publication, after finalisation of the days on which something came out otherwise."""
    if replay is None:
        return Step(plan.scope, tuple(sorted((closing.finalisation.name, *closing.state))))
    told = [log for stage in stages for log in stage.writes if "report_id" in log.body]
    days = pl.concat(tx.changed(log, replay.planned_after, replay.retailer) for log in told)["business_day"]
    if days.is_empty():
        return Step(plan.scope, tuple(sorted(closing.state)))
    scope = Scope(days.min(), days.max(), replay.retailer)  # type: ignore[arg-type]
    return Step(scope, tuple(sorted((closing.finalisation.name, *closing.state))))


def _days(tx: Transaction, stage: Stage, replay: Replay, settings: Settings) -> list[Days]:
    return joined((scope.first_day, scope.last_day) for scope in remaining(tx, stage, replay, settings))
