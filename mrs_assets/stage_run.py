"""Running a declared stage: read its inputs at one instant, compute, fall back, degrade, append.

Knows the warehouse and the stages, not the orchestrator: `log_asset` wraps it for Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import MrsError, StageFailed
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import CONTEXT_FEEDS, Settings
from mrs_assets.contracts.stage import Frames, Input, Inputs, Model, Stage, Want
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.model_store import ModelStore, active_model

ROWS_AT_ONCE = 4_000_000
"""Rows of a stage's largest input that are computed at once; more are cut into groups of stores."""

OPTIMISTIC_TRIES = 3


@dataclass(frozen=True)
class StageRun:
    """What one run of a stage did.

    Attributes:
        appended: per log, what each group of stores appended.
        missing: wants that were configured and not there → the reason put on the rows.
        failure: what went wrong where the stage fell back; None where it computed.
        picture: PNG of the most telling row.
        seconds: time spent reading, computing and appending.
    """

    appended: dict[str, list[Appended]]
    missing: dict[str, str]
    failure: str | None
    picture: bytes | None
    seconds: float


class StageRunner:
    """Runs stages against one warehouse."""

    def __init__(self, store: LogStore, models: ModelStore, settings: Settings) -> None:
        self._store = store
        self._models = models
        self._settings = settings

    def run(self, stage: Stage, asked: Scope, provenance: Provenance) -> StageRun:
        """Compute a stage for a scope and append what changed.

        Raises:
            StageFailed: a critical stage could not compute.
        """
        began = time.perf_counter()
        appended: dict[str, list[Appended]] = {contract.name: [] for contract in stage.writes}
        missing: dict[str, str] = {}
        failure, picture = None, None
        scope = self._own_scope(stage, asked)
        for part in self._parts(stage, scope) if scope else ():
            part_appended, inputs, frames, part_failure = self._run_part(stage, part, provenance)
            for name, result in part_appended.items():
                appended[name].append(result)
            missing |= {name: stage.wants[name].reason for name in inputs.missing}
            failure = failure or part_failure
            if stage.picture and picture is None and part_failure is None:
                picture = stage.picture(inputs, frames)
        return StageRun(appended, missing, failure, picture, time.perf_counter() - began)

    def _own_scope(self, stage: Stage, asked: Scope) -> Scope | None:
        """The scope that a stage answers for: as wide as its span, never before reports begin."""
        first = asked.first_day
        if asked.retailer and not stage.before_reports:
            first = max(first, self._settings.retailers[asked.retailer].reports_from or first)
        if first > asked.last_day:
            return None
        scope = replace(asked, first_day=first)
        if stage.span != "store":
            scope = replace(scope, stores=None)
        return replace(scope, retailer=None) if stage.span == "everything" else scope

    def _parts(self, stage: Stage, scope: Scope) -> Iterator[Scope]:
        """Groups of stores small enough to compute at once; one group where rows look beyond their store."""
        if stage.span != "store":
            yield scope
            return
        with self._store.transaction() as tx:
            sizes = _rows_per_store(tx, stage, scope)
        group: list[str] = []
        rows = 0
        for store, size in sizes:
            if group and rows + size > ROWS_AT_ONCE:
                yield replace(scope, stores=tuple(group))
                group, rows = [], 0
            group.append(store)
            rows += size
        whole = scope.stores is None and len(group) == len(sizes)
        if group:
            yield scope if whole else replace(scope, stores=tuple(group))

    def _run_part(
        self, stage: Stage, scope: Scope, provenance: Provenance
    ) -> tuple[dict[str, Appended], Inputs, Frames, str | None]:
        """Compute without holding the lock; if an input changed meanwhile, compute again, at last with the lock."""
        logs = [i.contract for i in _logs_read(stage)]
        for _ in range(OPTIMISTIC_TRIES):
            with self._store.transaction() as tx:
                seen = tx.newest_write(*logs)
                inputs = self.read(tx, stage, scope)
            frames, failure = _compute(stage, inputs)
            with self._store.transaction() as tx:
                if tx.newest_write(*logs) == seen:
                    return _append(tx, stage, scope, inputs, frames, provenance), inputs, frames, failure
        with self._store.transaction() as tx:
            inputs = self.read(tx, stage, scope)
            frames, failure = _compute(stage, inputs)
            return _append(tx, stage, scope, inputs, frames, provenance), inputs, frames, failure

    def read(self, tx: Transaction, stage: Stage, scope: Scope) -> Inputs:
        """What a stage computes a scope from, at the transaction's instant."""
        frames = {name: tx.live(i.contract, _input_scope(i, scope)) for name, i in stage.needs.items()}
        models: dict[str, Model] = {}
        missing: set[str] = set()
        unconfigured: set[str] = set()
        for name, want in stage.wants.items():
            if want.log is not None:
                frames[name] = tx.live(want.log.contract, replace(_input_scope(want.log, scope), stores=None))
                if frames[name].height == 0:
                    configured = self._feed_configured(want.log.contract, scope)
                    (missing if configured else unconfigured).add(name)
            elif (version := active_model(tx, str(want.model))) is None:
                unconfigured.add(name)
            elif (model := self._load(want, version)) is None:
                missing.add(name)
            else:
                models[str(want.model)] = model
        return Inputs(scope, self._settings, frames, models, frozenset(missing), frozenset(unconfigured))

    def _feed_configured(self, contract: Contract, scope: Scope) -> bool:
        """Whether an empty log should have had rows: a feed that somebody configured."""
        feed = contract.name.removesuffix("_log")
        if feed not in CONTEXT_FEEDS:
            return False
        retailers = [scope.retailer] if scope.retailer else list(self._settings.retailers)
        return any(self._settings.configured(feed, retailer) for retailer in retailers)

    def _load(self, want: Want, version: dict[str, object]) -> Model | None:
        assert want.load is not None
        try:
            artefact = want.load(self._models.read(str(version["artefact_hash"])))
        except Exception:
            return None
        return Model(str(version["model_version_id"]), artefact)


def _logs_read(stage: Stage) -> list[Input]:
    return [*stage.needs.values(), *(w.log for w in stage.wants.values() if w.log is not None)]


def _input_scope(wanted: Input, scope: Scope) -> Scope:
    wide = scope.widened(before=wanted.days_before, after=wanted.days_after)
    return replace(wide, last_day=scope.widened(before=1).first_day) if wanted.past_only else wide


def _rows_per_store(tx: Transaction, stage: Stage, scope: Scope) -> Sequence[tuple[str, int]]:
    """Stores that a stage reads or has written, with the rows of its largest input."""
    sizes: dict[str, int] = {}
    read = [(i.contract, _input_scope(i, scope)) for i in stage.needs.values()]
    for contract, where in [*read, *((written, scope) for written in stage.writes)]:
        for store, rows in tx.rows_per_store(contract, where):
            sizes[store] = max(rows, sizes.get(store, 0))
    return sorted(sizes.items())


def _compute(stage: Stage, inputs: Inputs) -> tuple[Frames, str | None]:
    try:
        return stage.compute(inputs), None
    except Exception as error:
        if stage.fallback is None:
            known = f"{error}" if isinstance(error, MrsError) else f"{type(error).__name__}: {error}"
            raise StageFailed(
                f"{stage.name} could not be computed for {inputs.scope.first_day} to {inputs.scope.last_day}: {known}.",
                remedy="Nothing was written; earlier rows stand. Mend the cause and materialise the partition again.",
            ) from error
        return stage.fallback(inputs), f"{type(error).__name__}: {error}"


def _append(
    tx: Transaction, stage: Stage, scope: Scope, inputs: Inputs, frames: Frames, provenance: Provenance
) -> dict[str, Appended]:
    reasons = sorted(stage.wants[name].reason for name in inputs.missing)
    return {
        contract.name: tx.append(contract, degrade(contract, frames[contract.name], reasons), scope, provenance)
        for contract in stage.writes
    }


def degrade(contract: Contract, frame: pl.DataFrame, reasons: Sequence[str]) -> pl.DataFrame:
    """Put the reasons of missing wants on every row, and the first reason of a degraded row on its status."""
    frame = contract.conform(frame)
    own = pl.col("degraded_reasons").list.concat(pl.lit(list(reasons), dtype=pl.List(pl.String)))
    frame = frame.with_columns(own.list.unique().list.sort().alias("degraded_reasons"))
    frame = frame.with_columns((pl.col("degraded_reasons").list.len() > 0).alias("is_degraded"))
    if "report_status" not in contract.body:
        return frame
    suffixed = pl.format("{}_degraded_{}", pl.col("report_status"), pl.col("degraded_reasons").list.first())
    return frame.with_columns(pl.when("is_degraded").then(suffixed).otherwise("report_status").alias("report_status"))
