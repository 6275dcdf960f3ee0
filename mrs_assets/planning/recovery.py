"""From the standing list to plans: what was degraded is computed again once nothing stands in its way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.planning.ledger import known_days, unfinished_recoveries
from mrs_assets.planning.plan import Closing, Plan, steps_over
from mrs_assets.planning.reach import Days, joined, reach, runs_of
from mrs_assets.planning.standing import Standing, standing_list
from mrs_resources.log_store import Transaction
from mrs_resources.warehouse import Warehouse


@dataclass(frozen=True)
class Recovery:
    """What is degraded now, and what can be done about it.

    Attributes:
        standing: the standing list.
        plans: what to compute again, per retailer.
    """

    standing: list[Standing]
    plans: list[Plan]

    @property
    def carried_over(self) -> int:
        """Retailer-days that could be computed again and are in no plan yet."""
        due = {(item.retailer, day) for item in self.standing if item.waits_for is None for day in item.days}
        return len(due - {(plan.scope.retailer, day) for plan in self.plans for day in plan.days_changed})


def recovery(
    warehouse: Warehouse, settings: Settings, stages: Sequence[Stage], closing: Closing, busy: Collection[str | None]
) -> Recovery:
    """The standing list and the plans that shorten it, those first that were begun. Starts and records nothing.

    Args:
        warehouse: where the logs are.
        settings: what is configured.
        stages: declared stages in order of the graph.
        closing: what comes after them.
        busy: retailers whose changed facts are replayed first.
    """
    with warehouse.store.looking() as tx:
        standing = standing_list(tx, settings, stages, closing)
        begun = [plan for plan in unfinished_recoveries(tx) if plan.scope.retailer not in busy]
        busy = {*busy, *(plan.scope.retailer for plan in begun)}
        due = [item for item in standing if item.waits_for is None and item.retailer not in busy]
        frontiers = {name: known.last_day for name, known in known_days(tx, settings).items()} if due else {}
        begun += plan_recoveries(tx, due, frontiers, stages, closing, settings.recovery.days_at_once)
        return Recovery(standing, begun)


def plan_recoveries(
    tx: Transaction,
    due: Sequence[Standing],
    frontiers: dict[str, date],
    stages: Sequence[Stage],
    closing: Closing,
    days_at_once: int,
) -> list[Plan]:
    """One plan per retailer for the oldest days that can be computed again; the next look takes up the rest.

    Args:
        tx: where the logs are.
        due: items of the standing list that nothing stands in the way of.
        frontiers: newest business day with a series, per retailer.
        stages: declared stages in order of the graph.
        closing: assets after the stages.
        days_at_once: most days that one plan computes again for a cause of their own.
    """
    plans = []
    for retailer in sorted({item.retailer for item in due} & set(frontiers)):
        own = [item for item in due if item.retailer == retailer]
        chosen = set(sorted({day for item in own for day in item.days})[:days_at_once])
        taken = [item for item in own if chosen.intersection(item.days)]
        again = {stage.name: _days_of(tx, stage, taken, chosen, retailer) for stage in stages}
        unedited = [day for item in taken if item.asset == closing.finalisation.name for day in chosen & {*item.days}]
        felt = reach(again, stages, frontiers[retailer])
        plans.append(
            Plan(
                steps=tuple(steps_over(felt, unedited, stages, closing, retailer)),
                triggers=tuple(sorted({item.reason for item in taken})),
                days_changed=tuple(sorted(chosen)),
                stores_changed=0,
                inputs_written_at=max(max(item.written_at, item.free_from) for item in taken),
                purpose="recovery",
            )
        )
    return plans


def _days_of(tx: Transaction, stage: Stage, taken: Sequence[Standing], chosen: set[date], retailer: str) -> list[Days]:
    found = []
    for log in stage.writes:
        own = [item for item in taken if item.asset == stage.name and item.log == log.name]
        days = chosen.intersection(day for item in own for day in item.days)
        if days:
            found += runs_of(days, tx.days_with_rows(log, retailer))
    return joined(found)
