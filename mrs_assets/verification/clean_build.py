"""A run, built again from its final inputs alone: every file first, then every stage once over all days.

Nothing of the run's history is repeated: no plan, no correction after the fact, no recovery. What a replay forgot is
therefore computed here. The one thing taken from the run is which models each day was last computed with.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter

import polars as pl

from mrs_assets import __version__
from mrs_assets.boundary.admitting import admit_here
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Stage
from mrs_assets.finalisation.asset_body import finalise_scope
from mrs_assets.graph import STAGES
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.planning.ledger import known_days
from mrs_assets.tick import Told
from mrs_assets.verification.shadow import REBUILD, Filed, Shadow
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import SYSTEM_RUN

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Span:
    """Days that were last computed with the same models.

    Attributes:
        scope: the days of one retailer, or of all.
        models_of: an instant at which those models were in force; UTC.
    """

    scope: Scope
    models_of: datetime


class CleanBuild:
    """One clean build in a shadow.

    Attributes:
        failed: what failed, in words.
        days: retailer-days computed.
    """

    def __init__(self, shadow: Shadow) -> None:
        self.failed: list[str] = []
        self.days = 0
        self._shadow = shadow

    def build(self, files: Sequence[Filed], tell: Told) -> None:
        """Admit the files, compute the stages in order, consolidate, hydrate."""
        tell(f"{len(files)} files")
        self._admit(files)
        self._shadow.clock.now = datetime.fromisoformat(self._shadow.copy.known_at)
        scopes = self._calendar()
        self.days = sum(len(scope.days) for scope in scopes)
        for stage in STAGES:
            for span in self._spans(stage, scopes):
                tell(f"{stage.name}: {span.scope.first_day} to {span.scope.last_day}")
                if not self._compute(stage, span):
                    return
        with self._shadow.warehouse.store.transaction() as tx:
            for scope in scopes:
                finalise_scope(tx, scope, self._shadow.settings, REBUILD)
            Hydrator(FOLDS).refresh(tx)

    def _admit(self, files: Sequence[Filed]) -> None:
        """Each at the instant at which the run last read it, in the order of arrival."""
        stopped = set()
        for file in files:
            arrival, settings = file.arrival, self._shadow.settings
            door = (arrival.feed, arrival.retailer)
            if arrival.retailer not in settings.retailers:
                self.failed.append(f"{arrival.file_name}: {arrival.retailer!r} is not in feeds.toml any more")
            elif door not in stopped:
                self._shadow.lend(arrival)
                provenance = Provenance(f"feed:{arrival.feed}", __version__)
                try:
                    admit_here(self._shadow.warehouse.home, file.newest_at, arrival, settings, provenance)
                except Exception as error:  # as at the door itself: no file after one that failed
                    stopped.add(door)
                    self.failed.append(f"{arrival.file_name}: {type(error).__name__}: {error}")

    def _calendar(self) -> list[Scope]:
        """Per retailer the days from its first sales to the newest day that was ever computed."""
        with self._shadow.copy.store.looking() as tx:
            tx.run_id = self._shadow.copy.run_id
            computed = known_days(tx, self._shadow.settings)
        with self._shadow.warehouse.store.looking() as tx:
            found = known_days(tx, self._shadow.settings)
        return [
            Scope(known.first_day, max(known.last_day, computed.get(retailer, known).last_day), retailer)
            for retailer, known in sorted(found.items())
        ]

    def _spans(self, stage: Stage, scopes: Sequence[Scope]) -> Iterator[Span]:
        if not scopes:
            return
        if stage.span == "everything":
            scopes = [Scope(min(s.first_day for s in scopes), max(s.last_day for s in scopes))]
        models = any(want.model for want in stage.wants.values())
        for scope in scopes:
            yield from self._by_model(stage, scope) if models else [Span(scope, _LONG_AGO)]

    def _by_model(self, stage: Stage, scope: Scope) -> Iterator[Span]:
        """The scope cut where the models change with which the run's rows were last computed.

        Store by store; a stage that sees its whole retailer computes a day for all of its stores.
        """
        with self._shadow.copy.store.looking() as tx:
            tx.ensure(*stage.writes)
            changes = sorted(set(tx.history(MODEL_REGISTRY, run_id=SYSTEM_RUN)["written_at"]))
            found = tx.query(
                f"SELECT store_id, business_day, max(written_at) AS at FROM {stage.writes[0].name} WHERE run_id = ? "
                "AND retailer = ? GROUP BY ALL ORDER BY ALL",
                [self._shadow.copy.run_id, scope.retailer],
            )
        if stage.span != "store":
            newest = found.group_by("business_day").agg(pl.col("at").max())
            yield from _cut(scope, dict(newest.iter_rows()), changes)
            return
        with self._shadow.warehouse.store.looking() as tx:
            known = tx.live(SALES_TIMESERIES, scope)["store_id"].unique().sort()
        alike: dict[tuple[Span, ...], list[str]] = {}
        for store in known:
            written = dict(found.filter(store_id=store).select("business_day", "at").iter_rows())
            alike.setdefault(tuple(_cut(scope, written, changes)), []).append(store)
        for spans, stores in alike.items():
            yield from (replace(span, scope=replace(span.scope, stores=tuple(stores))) for span in spans)

    def _compute(self, stage: Stage, span: Span) -> bool:
        self._shadow.put_in_force(span.models_of)
        warehouse, settings = self._shadow.warehouse, self._shadow.settings
        provenance = Provenance(stage.name, f"{__version__}+{stage.code_version}")
        try:
            run = StageRunner(warehouse.store, warehouse.models, settings).run(stage, span.scope, provenance)
        except MrsError as error:
            self.failed.append(str(error))
            return False
        self.failed.extend(f"{stage.name}: {failure}" for failure in run.failures)
        return True


def _cut(scope: Scope, written: Mapping[date, datetime], changes: Sequence[datetime]) -> Iterator[Span]:
    """A store's days, cut where the model in force changed; days without a row go with those before."""
    newest = _LONG_AGO
    instants = []
    for day in scope.days:
        newest = written.get(day, newest)
        instants.append((day, bisect_right(changes, newest)))
    for place, same in groupby(instants, key=itemgetter(1)):
        days = [day for day, _ in same]
        yield Span(Scope(days[0], days[-1], scope.retailer), changes[place - 1] if place else _LONG_AGO)
