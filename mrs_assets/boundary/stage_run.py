"""Running a declared stage: read its inputs at one instant, compute, fall back, degrade, append.

Knows the warehouse and the stages, not the orchestrator: `log_asset` wraps it for Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import polars as pl

from mrs_assets.boundary.computing import Computed, Computer
from mrs_assets.boundary.degrading import degrade
from mrs_assets.boundary.dry_run import few_series, needs_by_series
from mrs_assets.boundary.outcome import StageRun
from mrs_assets.boundary.part import Look, Part
from mrs_assets.boundary.pieces import independent, pieces
from mrs_assets.boundary.reading import InputReader, WantFailed
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Frames, Inputs, Stage
from mrs_assets.planning.felt import Replay, note_part, remaining
from mrs_resources.breaker import Breaker, approach, breaker, note_failure, note_success, stage_breaker
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.model_store import ModelStore
from mrs_resources.offer import Offer
from mrs_resources.retrying import with_retries

OPTIMISTIC_TRIES = 3


class LeftAlone(MrsError):
    """A stage failed too often to be tried again now."""


class Crew(Protocol):
    """Those who compute parts beside this process."""

    def size(self) -> int:
        """How many parts they compute at the same time."""

    def run(
        self, stage: Stage, shares: Sequence[Sequence[Scope]], provenance: Provenance, replay: Replay | None
    ) -> list[StageRun]:
        """Have parts computed and appended: each share by one of them, in the order of its parts.

        Returns:
            What became of each share, in their order.

        Raises:
            MrsError: the first share that failed; the others were computed too.
        """


class StageRunner:
    """Runs stages against one warehouse."""

    def __init__(
        self,
        store: LogStore,
        models: ModelStore,
        settings: Settings,
        sleep: Callable[[float], None] = time.sleep,
        *,
        dry_run: bool = False,
        crew: Crew | None = None,
    ) -> None:
        self._store = store
        self._crew = crew
        self._models = models
        self._dry_run = dry_run
        self._settings = settings
        self._computer = Computer(sleep)
        self._sleep = sleep

    def run(self, stage: Stage, asked: Scope, provenance: Provenance, replay: Replay | None = None) -> StageRun:
        """Compute a stage for a scope and append what changed.

        Args:
            stage: the stage.
            asked: the scope.
            provenance: who computes.
            replay: where given, only the parts of the scope that it has left to do are computed.

        Raises:
            StageFailed: a critical stage could not compute.
        """
        began = time.perf_counter()
        done = StageRun.of(stage)
        reader = InputReader(self._models, self._settings, provenance)
        scope = self._own_scope(stage, asked)
        while scope and self._run_next(stage, scope, reader, replay, done):
            pass
        done.seconds = time.perf_counter() - began
        return done

    def run_parts(
        self, stage: Stage, parts: Sequence[Scope], provenance: Provenance, replay: Replay | None = None
    ) -> StageRun:
        """Compute parts that are small enough to be held, one after the other, in this process. See `run`."""
        done = StageRun.of(stage)
        reader = InputReader(self._models, self._settings, provenance)
        for scope in parts:
            appended, computed = with_retries(
                partial(self._run_part, Part(stage, scope, reader, replay)),
                self._settings.retries,
                sleep=self._sleep,
            )
            done.add(stage, scope, appended, computed)
            if self._dry_run:
                done.dry_run = self._how_little(stage, scope, computed)
        return done

    def _run_next(self, stage: Stage, scope: Scope, reader: InputReader, replay: Replay | None, done: StageRun) -> bool:
        """Compute what is left of a scope and can be computed together; whether more may be left."""
        workers = self._crew.size() if self._crew is not None else 1
        with self._store.looking() as tx:
            seen = Part(stage, scope, reader).newest_write(tx)
            rectangles = [scope] if replay is None else self._left(tx, stage, scope, replay)
            cut = {rectangle: pieces(tx, stage, rectangle, reader, workers) for rectangle in rectangles}
        if not cut:
            return False
        parts = [piece for its in cut.values() for piece in its]
        shares = independent(stage, parts)
        is_worth_it = any(len(its) > 1 for its in cut.values())
        if self._crew is not None and is_worth_it and len(shares) > 1:
            for run in self._crew.run(stage, shares, reader.provenance, replay):
                done.join(run)
        else:
            done.join(self.run_parts(stage, parts[:1] if self._dry_run else parts, reader.provenance, replay))
        # What is felt by no store in particular is done when the rectangle is, not when each of its stores is.
        for rectangle, its in cut.items():
            if replay is not None and rectangle.stores is None and any(piece.stores is not None for piece in its):
                with self._store.transaction() as tx:
                    note_part(tx, stage, rectangle, replay, seen, ())
        return replay is not None and stage.reads_its_past and not self._dry_run

    def answer(
        self, stage: Stage, asked: Scope, provenance: Provenance, laid_over: Frames | None = None
    ) -> tuple[pl.DataFrame, bool]:
        """What a stage says of a scope now, through the same boundary; nothing is written but to the models' breakers.

        Args:
            stage: the stage; of the logs that it writes, the first.
            asked: the scope.
            provenance: who asks.
            laid_over: input name → rows that stand in for the log's own of the same keys.

        Returns:
            Rows in the columns of the log's body, degraded where something was missing; whether they are all its own:
            False where a part fell back, or where an answer was missing or belonged to nothing.
        """
        reader, log = InputReader(self._models, self._settings, provenance), stage.writes[0]
        scope = self._own_scope(stage, asked)
        frames, whole = [log.empty()], True
        for piece in self._pieces(stage, scope, reader) if scope else ():
            look = self._look(Part(stage, piece, reader))
            computed = self._compute(stage, _with_laid_over(stage, look.inputs, laid_over or {}), look.breaker)
            frames.append(_degraded(stage, computed, log))
            whole = whole and not computed.down and computed.answers.are_whole
        return pl.concat(frames), whole

    def _own_scope(self, stage: Stage, asked: Scope) -> Scope | None:
        """The scope that a stage answers for: as wide as its span, never before reports begin."""
        first = asked.first_day
        if not stage.before_reports:
            concerned = [asked.retailer] if asked.retailer and stage.span != "everything" else self._settings.retailers
            first = max(first, min(self._settings.retailers[name].reports_from or first for name in concerned))
        if first > asked.last_day:
            return None
        scope = replace(asked, first_day=first)
        if stage.span != "store":
            scope = replace(scope, stores=None)
        return replace(scope, retailer=None) if stage.span == "everything" else scope

    def _left(self, tx: Transaction, stage: Stage, scope: Scope, replay: Replay) -> list[Scope]:
        """What a replay has left to do of a stage within a scope, of which no part is felt by another."""
        inside = [
            replace(left, first_day=max(left.first_day, scope.first_day), last_day=min(left.last_day, scope.last_day))
            for left in remaining(tx, stage, replay, self._settings)
            if left.first_day <= scope.last_day and scope.first_day <= left.last_day
        ]
        # What a part writes may be felt by the days after it, where a stage reads its own past.
        together = inside[:1] if stage.reads_its_past else inside
        return together if scope.stores is None else [replace(left, stores=scope.stores) for left in together]

    def _pieces(self, stage: Stage, scope: Scope, reader: InputReader) -> list[Scope]:
        with self._store.looking() as tx:
            return pieces(tx, stage, scope, reader)

    def _run_part(self, part: Part) -> tuple[dict[str, Appended], Computed]:
        """Compute without holding the lock; if an input changed meanwhile, compute again, at last with the lock."""
        for _ in range(OPTIMISTIC_TRIES):
            look = self._look(part)
            computed = self._compute(part.stage, look.inputs, look.breaker)
            offers = _offers(part, computed)
            with self._store.transaction() as tx:
                if not part.is_out_of_date(tx, look):
                    return self._append(tx, part, look, computed, offers), computed
        with self._store.transaction() as tx:
            known = breaker(tx, stage_breaker(part.stage.name), self._settings.breakers)
            look = Look(self._inputs(tx, part), part.newest_write(tx), known)
            computed = self._compute(part.stage, look.inputs, look.breaker)
            return self._append(tx, part, look, computed, _offers(part, computed)), computed

    def _look(self, part: Part) -> Look:
        """Inputs at one instant; a want that cannot be read is left out of the next try."""
        withheld: frozenset[str] = frozenset()

        def read(tx: Transaction) -> Look:
            known = approach(tx, stage_breaker(part.stage.name), self._settings.breakers, part.provenance)
            return Look(self._inputs(tx, part, withheld), part.newest_write(tx), known)

        while True:
            try:
                return self._store.read(read)
            except WantFailed as error:
                withheld |= {error.want}

    def _inputs(self, tx: Transaction, part: Part, withheld: frozenset[str] = frozenset()) -> Inputs:
        inputs = part.reader.read(tx, part.stage, part.scope, withheld)
        return few_series(part.stage, inputs) if self._dry_run else inputs

    def _compute(self, stage: Stage, inputs: Inputs, known: Breaker) -> Computed:
        if known.state == "open" and not stage.critical:
            left = LeftAlone(f"It failed {known.failures} times; left alone until {known.retry_at}: {known.detail}")
            return self._computer.fallen(stage, inputs, left)
        return self._computer.compute(stage, inputs)

    def _append(
        self, tx: Transaction, part: Part, look: Look, computed: Computed, offers: Mapping[str, Offer]
    ) -> dict[str, Appended]:
        """Write a part's rows, together with how it went and that a replay did it."""
        if computed.error is None:
            note_success(tx, look.breaker, part.provenance)
        elif not isinstance(computed.error, LeftAlone):
            note_failure(tx, look.breaker.name, computed.error, part.provenance)
        # The few rows of a dry run are not the whole truth, not even for as long as the transaction lasts.
        scope = replace(part.scope, complete=False) if self._dry_run else part.scope
        appended = {log.name: tx.append(log, offers[log.name], scope, part.provenance) for log in part.stage.writes}
        if part.replay is not None:
            note_part(tx, part.stage, part.scope, part.replay, look.seen, appended.values())
        return appended

    def _how_little(self, stage: Stage, part: Scope, computed: Computed) -> str:
        """How many of the rows of its largest need, every version counted, a dry run computed from."""
        needs = needs_by_series(stage)
        read = max(computed.inputs[name].height for name in needs)
        everywhere = [(i, i.around(replace(part, stores=None))) for i in map(stage.needs.__getitem__, needs)]
        with self._store.looking() as tx:
            stored = max(sum(rows for _, rows in tx.rows_per_store(i.contract, where)) for i, where in everywhere)
        return f"{read:,} of {stored:,} rows; nothing was kept"


def _degraded(stage: Stage, computed: Computed, log: Contract) -> pl.DataFrame:
    """What a stage computed for a log, with what was missing."""
    reasons = {stage.wants[name].reason for name in computed.inputs.missing}
    reasons |= {stage.down} if computed.down else set()
    return degrade(log, computed.answers.frames[log.name], sorted(reasons))


def _offers(part: Part, computed: Computed) -> dict[str, Offer]:
    stage, source = part.stage, part.provenance.source
    return {log.name: Offer.of(log, _degraded(stage, computed, log), source) for log in stage.writes}


def _with_laid_over(stage: Stage, inputs: Inputs, laid_over: Frames) -> Inputs:
    frames = dict(inputs.frames)
    for name, rows in laid_over.items():
        log = stage.wants[name].log
        assert log is not None
        kept = frames[name].join(rows, on=log.contract.key, how="anti")
        frames[name] = pl.concat([kept, rows.select(kept.columns).cast(kept.schema)])
    return replace(inputs, frames=frames)
