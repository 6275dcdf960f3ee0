"""Drives a home without Dagster: the real ticker, over a runner that calls what the assets call, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from mrs_assets.boundary.admitting import admit_pending
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.resilience import Fault, Isolation
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.finalisation.asset_body import finalise_scope
from mrs_assets.graph import PUBLISHED, RECALL_LOGS, SERVICE_LEVELS, STAGES
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.in_process import GraphRunner, Ran
from mrs_assets.partitions import scopes_of
from mrs_assets.planning.felt import Replay
from mrs_assets.planning.ledger import finish, replay_of
from mrs_assets.planning.run_tags import PLAN_TAG
from mrs_assets.planning.supersession import unmark
from mrs_assets.recall_watch.run import recall
from mrs_assets.slo_watch.run import look
from mrs_assets.tick import Ticker, TickResult, Told
from mrs_resources.hydrator import Hydrator
from mrs_resources.isolation import WORKER
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.warehouse import Warehouse
from tests.conftest import SteppingClock

T = TypeVar("T")
Came = Callable[[str], None]
"""Is told at every moment at which a process can die: `begin` of a transaction, `inside` it with all of it written,
`committed`, and `told`, after an asset, where its event is recorded."""

UNPICTURED = tuple(replace(stage, picture=None) for stage in STAGES)
VIEWS = {fold.view.name for fold in FOLDS}
CORNERS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


class DirectRunner(GraphRunner):
    """Does what the assets of a run do, one after the other."""

    def __init__(self, warehouse: Warehouse, settings: Settings, came: Came) -> None:
        self.warehouse = warehouse
        self._settings = settings
        self._came = came
        self._number = 0

    def run(self, assets: Sequence[str], tags: Mapping[str, str]) -> Ran:
        self._number += 1
        provenance = Provenance("history", "1", f"{self.warehouse.clock().isoformat()}/{self._number}")
        failed: tuple[str, ...] = ()
        try:
            for _ in self._bodies({*assets}, tags, provenance):
                self._came("told")
        except MrsError as error:
            failed = (str(error),)
        with self.warehouse.store.transaction() as tx:
            appended = tx.written_by(str(provenance.dagster_run_id))
        return Ran(not failed, (), failed, appended)

    def _bodies(self, assets: set[str], tags: Mapping[str, str], provenance: Provenance) -> Iterator[str]:
        """Yields after each asset, where Dagster would record its event."""
        scopes = scopes_of(tags[corner] for corner in CORNERS if corner in tags)
        for feed in FEED_DECLARATIONS.values():
            if assets & {target.contract.name for target in feed.targets}:
                retailers = [str(scope.retailer) for scope in scopes]
                admit_pending(self.warehouse, self._settings, feed, retailers, provenance)
                yield feed.name
        replay = self._replay(tags)
        runner = StageRunner(self.warehouse.store, self.warehouse.models, self._settings)
        for stage in UNPICTURED:
            if assets & {log.name for log in stage.writes}:
                for scope in scopes:
                    runner.run(stage, scope, provenance, replay)
                yield stage.name
        if FINALISED.name in assets:
            self._finalise(scopes, provenance, replay)
            yield FINALISED.name
        if assets & {log.name for log in RECALL_LOGS}:
            recall(self.warehouse, self._settings, provenance)
            yield "recall"
        if assets & VIEWS:
            with self.warehouse.store.transaction() as tx:
                if replay is not None:
                    unmark(tx, replay.retailer, provenance)
                Hydrator(FOLDS).refresh(tx)
            yield "hydrated"
        if assets & {*SERVICE_LEVELS}:
            with self.warehouse.store.transaction() as tx:
                look(tx, self._settings, provenance, tags.get(PLAN_TAG))
            yield "service_levels"
        if PUBLISHED in assets:
            with self.warehouse.store.transaction() as tx:
                if PLAN_TAG in tags:
                    finish(tx, tags[PLAN_TAG])
            self.warehouse.publisher.publish(HealthCompanion(self._settings))
            yield PUBLISHED

    def _replay(self, tags: Mapping[str, str]) -> Replay | None:
        with self.warehouse.store.transaction() as tx:
            return replay_of(tx, tags[PLAN_TAG], self._settings) if PLAN_TAG in tags else None

    def _finalise(self, scopes: Sequence[Scope], provenance: Provenance, replay: Replay | None) -> None:
        since = replay.planned_after if replay else None
        for scope in scopes:
            with self.warehouse.store.transaction() as tx:
                finalise_scope(tx, scope, self._settings, provenance, since=since)


class DirectTicker(Ticker):
    """The ticker over that runner."""

    def __init__(self, warehouse: Warehouse, settings: Settings, came: Came) -> None:
        self.warehouse = warehouse
        self._settings = settings
        self._runner = DirectRunner(warehouse, settings, came)

    def _look_after_alerts(self, tell: Told) -> None:
        """Nothing: there is no instance to look at, and nobody to tell."""


class Home:
    """One home directory, driven tick by tick.

    Attributes:
        settings: what feeds.toml would say.
        clock: moved by the history.
        warehouse: the home's.
    """

    def __init__(self, settings: Settings, clock: SteppingClock) -> None:
        self.settings = settings
        self.clock = clock
        self.warehouse = Warehouse(settings.home, clock, settings.storage)
        self._sent = 0

    def send(self, feed: str, retailer: str, text: str) -> None:
        """Drop a file into the inbox."""
        self._sent += 1
        folder = self.settings.home / "inbox" / feed / retailer
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.clock.now:%Y%m%dT%H%M%S}-{self._sent:04d}").write_text(text, "utf-8")

    def tick(self, *faults: Fault, came: Came = lambda _: None) -> TickResult:
        """What `mrs tick` does."""
        settings = self.settings.model_copy(update={"faults": faults})
        with _computing_here(), _transactions_tell(came):
            return DirectTicker(self.warehouse, settings, came).tick(lambda _: None)

    def rows(self, sql: str) -> list[dict[str, object]]:
        """Rows of a query."""
        with self.warehouse.store.transaction() as tx:
            return tx.query(sql, {"run": tx.run_id} if "$run" in sql else None).to_dicts()


@contextmanager
def _computing_here() -> Iterator[None]:
    """Compute in this process what has one of its own: starting it takes longer than a history."""

    def here(_limits: Isolation, function: Callable[..., T], *args: object) -> T:
        return function(*args)

    WORKER.run = here  # type: ignore[method-assign]
    try:
        yield
    finally:
        del WORKER.run


@contextmanager
def _transactions_tell(came: Came) -> Iterator[None]:
    undisturbed = LogStore.transaction

    @contextmanager
    def telling(self: LogStore) -> Iterator[Transaction]:
        came("begin")
        with undisturbed(self) as tx:
            yield tx
            came("inside")
        came("committed")

    LogStore.transaction = telling  # type: ignore[method-assign]
    try:
        yield
    finally:
        LogStore.transaction = undisturbed  # type: ignore[method-assign]
