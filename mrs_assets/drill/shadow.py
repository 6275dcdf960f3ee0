"""A shadow: a home of its own in which a run is built again from the archive, tick by tick, as its files came."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.drill.drill import Build
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.in_process import GraphRunner
from mrs_assets.partitions import range_tags
from mrs_assets.planning.reach import joined
from mrs_assets.tick import Ticker, TickResult, Told
from mrs_resources.archive import Archive, Arrival
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, LogStore, Transaction
from mrs_resources.model_store import ArtefactMissing
from mrs_resources.warehouse import Warehouse

REHEARSAL = Provenance("rehearsal", __version__)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


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
    kept = {(a.feed, a.retailer, a.file_hash, a.received_at): a for a in archive.arrivals()}
    accounts = tx.history(ARRIVALS, run_id=run_id).filter(~pl.col("is_retracted")).sort("written_at")
    plans = sorted(tx.history(REPLAY_PLANS, run_id=run_id)["written_at"])
    found: dict[datetime, list[Arrival]] = {}
    lost = 0
    for *facts, written_at in accounts.select("feed", "retailer", "file_hash", "received_at", "written_at").rows():
        arrival = kept.get(tuple(facts))
        if arrival is None or not archive.content(arrival).exists():
            lost += 1
            continue
        planned = bisect_right(plans, written_at)
        at = plans[planned] if planned < len(plans) else accounts["written_at"][-1]
        found.setdefault(at, []).append(arrival)
    return [Moment(at, tuple(arrivals)) for at, arrivals in sorted(found.items())], lost


class RepeatedClock:
    """Shows the moments of the run that is built again; a microsecond passes with every look."""

    def __init__(self) -> None:
        self.now = _BEGINNING

    def set(self, moment: datetime) -> None:
        """Go forward to a moment; never back."""
        self.now = max(self.now, moment)

    def __call__(self) -> datetime:
        """The present instant of the rebuild, UTC."""
        self.now += timedelta(microseconds=1)
        return self.now


class Shadow:
    """A run, built again.

    Attributes:
        warehouse: the shadow's own.
        run_id: the namespace built.
    """

    def __init__(self, home: Path, run_id: str, real: Warehouse, settings: Settings, build: Build) -> None:
        self._clock = RepeatedClock()
        self._real = real
        self._settings = settings.model_copy(update={"home": home, "faults": ()})
        self.warehouse = Warehouse(home, self._clock)
        self.run_id = f"shadow-{run_id}"
        self._definitions = build(self._settings, self.warehouse)
        with self.warehouse.store.transaction() as tx:
            tx.start_run(self.run_id, _BEGINNING, REHEARSAL)

    def tick(self, moment: Moment, told_by: LogStore, tell: Told) -> TickResult:
        """Do what the run did at a moment: its files, with the models that were in force.

        Args:
            moment: what came, and when.
            told_by: where the model registry is.
            tell: is told what happens.
        """
        self._clock.set(moment.at)
        with told_by.transaction() as tx:
            registry = tx.live(MODEL_REGISTRY, as_of=moment.at, run_id=SYSTEM_RUN)
        self._take_over(registry)
        for arrival in moment.arrivals:
            self._real.archive.lend(arrival, self.warehouse.archive)
        return self.settle(tell)

    def settle(self, tell: Told) -> TickResult:
        """A tick on what there is."""
        with dg.DagsterInstance.ephemeral() as instance:
            return Ticker(self._definitions, self.warehouse, self._settings, instance).tick(tell)

    def close_days(self, told_by: LogStore, run_id: str) -> tuple[int, list[str]]:
        """Compute the days that the run closed without a file, as the daily schedule does.

        Returns:
            How many there were, and what failed.
        """
        assets = [log.name for stage in STAGES for log in stage.writes]
        assets += [FINALISED.name, *CLOSING.state]
        closed = 0
        failed: list[str] = []
        with dg.DagsterInstance.ephemeral() as instance:
            runner = GraphRunner(self._definitions, self.warehouse, self._settings, instance)
            for scope in self._unclosed(told_by, run_id):
                failed.extend(runner.run(assets, range_tags(scope)).failed)
                closed += len(scope.days)
        return closed, failed

    def _unclosed(self, told_by: LogStore, run_id: str) -> Iterator[Scope]:
        for retailer in sorted(self._settings.retailers):
            with told_by.transaction() as tx:
                tx.run_id = run_id
                days = tx.days_with_rows(SALES_TIMESERIES, retailer)
            with self.warehouse.store.transaction() as tx:
                lacking = {*days} - {*tx.days_with_rows(SALES_TIMESERIES, retailer)}
            yield from (Scope(*span, retailer) for span in joined((day, day) for day in lacking))

    def _take_over(self, registry: pl.DataFrame) -> None:
        for artefact in registry["artefact_hash"].unique(maintain_order=True):
            try:
                self.warehouse.models.save(self._real.models.read(artefact))
            except ArtefactMissing:
                continue  # as it would be for the run itself: rows say that the model is down
        rows = registry.select(list(MODEL_REGISTRY.body))
        with self.warehouse.store.transaction() as tx:
            tx.append(MODEL_REGISTRY, rows, replace(EVER, complete=False), REHEARSAL, run_id=SYSTEM_RUN)


def written_with(tx: Transaction, run_id: str) -> set[str]:
    """Versions of the code that wrote rows of a run."""
    found = tx.query("SELECT DISTINCT code_version FROM append_batches WHERE run_id = ?", [run_id])
    return set(found["code_version"].drop_nulls())
