"""A run, built again tick by tick, as its files came: the graph itself does the work, with the planner's own plans."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.in_process import Build, GraphRunner
from mrs_assets.partitions import range_tags
from mrs_assets.planning.reach import joined
from mrs_assets.tick import Ticker, TickResult, Told
from mrs_assets.verification.shadow import Copy, Shadow, filed
from mrs_resources.archive import Archive, Arrival
from mrs_resources.log_store import Transaction
from mrs_resources.warehouse import Warehouse


@dataclass(frozen=True)
class Moment:
    """One tick of the run that is built again.

    Attributes:
        at: when its files had been admitted and their replay was planned; UTC.
        arrivals: its files, in the order in which they were admitted.
    """

    at: datetime
    arrivals: tuple[Arrival, ...]


def moments(tx: Transaction, archive: Archive, run_id: str) -> tuple[list[Moment], int]:
    """The ticks of a run: files that were admitted without a plan in between belong to one.

    Args:
        tx: where the run's accounts and plans are.
        archive: where the files are.
        run_id: the run.

    Returns:
        The ticks in order, and how many admitted files the archive has not got any more.
    """
    files, lost = filed(tx, archive, run_id)
    plans = sorted(tx.history(REPLAY_PLANS, run_id=run_id)["written_at"])
    found: dict[datetime, list[Arrival]] = {}
    for file in sorted(files, key=lambda file: file.first_at):
        planned = bisect_right(plans, file.first_at)
        at = plans[planned] if planned < len(plans) else max(file.newest_at for file in files)
        found.setdefault(at, []).append(file.arrival)
    return [Moment(at, tuple(arrivals)) for at, arrivals in sorted(found.items())], lost


class Repetition(Shadow):
    """A run, built again in the order of its ticks."""

    def __init__(self, copy: Copy, real: Warehouse, settings: Settings, build: Build) -> None:
        super().__init__(copy, real, settings)
        self._definitions = build(self.settings, self.warehouse)

    def tick(self, moment: Moment, tell: Told) -> TickResult:
        """Do what the run did at a moment: its files, with the models that were in force."""
        self.clock.now = max(self.clock.now, moment.at)
        self.put_in_force(moment.at)
        for arrival in moment.arrivals:
            self.lend(arrival)
        return self.settle(tell)

    def settle(self, tell: Told) -> TickResult:
        """A tick on what there is."""
        with dg.DagsterInstance.ephemeral() as instance:
            return Ticker(self._definitions, self.warehouse, self.settings, instance).tick(tell)

    def close_days(self) -> tuple[int, list[str]]:
        """Compute the days that the run closed without a file, as the daily schedule does.

        Returns:
            How many there were, and what failed.
        """
        assets = [log.name for stage in STAGES for log in stage.writes]
        assets += [FINALISED.name, *CLOSING.state]
        closed = 0
        failed: list[str] = []
        with dg.DagsterInstance.ephemeral() as instance:
            runner = GraphRunner(self._definitions, self.warehouse, self.settings, instance)
            for scope in self._unclosed():
                failed.extend(runner.run(assets, range_tags(scope)).failed)
                closed += len(scope.days)
        return closed, failed

    def _unclosed(self) -> Iterator[Scope]:
        for retailer in sorted(self.settings.retailers):
            with self.copy.store.looking() as tx:
                tx.run_id = self.copy.run_id
                days = tx.days_with_rows(SALES_TIMESERIES, retailer)
            with self.warehouse.store.looking() as tx:
                lacking = {*days} - {*tx.days_with_rows(SALES_TIMESERIES, retailer)}
            yield from (Scope(*span, retailer) for span in joined((day, day) for day in lacking))
