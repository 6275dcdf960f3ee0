"""Running a declared stage: read its inputs at one instant, compute, fall back, degrade, append.

Knows the warehouse and the stages, not the orchestrator: `log_asset` wraps it for Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

import polars as pl

from mrs_assets.boundary.computing import Computed, Computer
from mrs_assets.boundary.degrading import degrade
from mrs_assets.boundary.dry_run import few_series, needs_by_series
from mrs_assets.boundary.pieces import pieces
from mrs_assets.boundary.reading import InputReader, WantFailed, input_scope
from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Frames, Inputs, Stage
from mrs_assets.planning.felt import Replay, note_part, remaining
from mrs_resources.breaker import Breaker, approach, breaker, note_failure, note_success, stage_breaker
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.model_store import ModelStore
from mrs_resources.retrying import with_retries

OPTIMISTIC_TRIES = 3


class LeftAlone(MrsError):
    """A stage failed too often to be tried again now."""


@dataclass
class StageRun:
    """What one run of a stage did.

    Attributes:
        appended: per log, what each part appended.
        missing: wants that were configured and not there → the reason put on the rows.
        failures: what went wrong where the stage fell back or did without its wants.
        unexpected: rows that came back from the stage and belonged to nothing it was asked about.
        first_unexpected: the first of them, in words.
        unanswered: rows asked about that got no answer of their own.
        parts: what was computed; nothing where a replay had nothing left to do.
        picture: PNG of the most telling row.
        dry_run: in a dry run, how little it computed from.
        seconds: time spent reading, computing and appending.
    """

    appended: dict[str, list[Appended]]
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    unexpected: int = 0
    first_unexpected: str | None = None
    unanswered: int = 0
    parts: list[Scope] = field(default_factory=list)
    picture: bytes | None = None
    dry_run: str | None = None
    seconds: float = 0.0


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
    ) -> None:
        self._store = store
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
        done = StageRun({contract.name: [] for contract in stage.writes})
        reader = InputReader(self._models, self._settings, provenance)
        scope = self._own_scope(stage, asked)
        parts = self._parts(stage, scope, reader, replay) if scope else iter(())
        for part in islice(parts, 1) if self._dry_run else parts:
            appended, computed = with_retries(
                lambda part=part: self._run_part(stage, part, reader, replay),  # type: ignore[misc]
                self._settings.retries,
                sleep=self._sleep,
            )
            _add(done, stage, appended, computed)
            done.parts.append(part)
            if self._dry_run:
                done.dry_run = self._how_little(stage, part, computed)
        done.seconds = time.perf_counter() - began
        return done

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
            False where a part fell back.
        """
        reader, log = InputReader(self._models, self._settings, provenance), stage.writes[0]
        scope = self._own_scope(stage, asked)
        frames, whole = [log.empty()], True
        for part in self._pieces(stage, scope, reader) if scope else ():
            inputs, _, known = self._read(stage, part, reader)
            computed = self._compute(stage, _with_laid_over(stage, inputs, laid_over or {}), known)
            reasons = {stage.wants[name].reason for name in computed.inputs.missing}
            reasons |= {stage.down} if computed.down else set()
            frames.append(degrade(log, computed.answers.frames[log.name], sorted(reasons)))
            whole = whole and not computed.down
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

    def _parts(self, stage: Stage, scope: Scope, reader: InputReader, replay: Replay | None) -> Iterator[Scope]:
        if replay is None:
            yield from self._pieces(stage, scope, reader)
            return
        reads_its_past = any(wanted.past_only for wanted in stage.reads)
        left = self._left(stage, scope, replay)
        while left:
            # What a part writes may be felt by the days after it, where a stage reads its own past.
            for part in left[:1] if reads_its_past else left:
                yield from self._pieces(stage, part, reader)
            left = self._left(stage, scope, replay) if reads_its_past else []

    def _left(self, stage: Stage, scope: Scope, replay: Replay) -> list[Scope]:
        """What a replay has left to do of a stage, within a scope."""
        with self._store.looking() as tx:
            parts = remaining(tx, stage, replay)
        inside = [
            replace(part, first_day=max(part.first_day, scope.first_day), last_day=min(part.last_day, scope.last_day))
            for part in parts
            if part.first_day <= scope.last_day and scope.first_day <= part.last_day
        ]
        return inside if scope.stores is None else [replace(part, stores=scope.stores) for part in inside]

    def _pieces(self, stage: Stage, scope: Scope, reader: InputReader) -> list[Scope]:
        with self._store.looking() as tx:
            return pieces(tx, stage, scope, reader)

    def _run_part(
        self, stage: Stage, scope: Scope, reader: InputReader, replay: Replay | None
    ) -> tuple[dict[str, Appended], Computed]:
        """Compute without holding the lock; if an input changed meanwhile, compute again, at last with the lock."""
        logs = [i.contract for i in stage.reads]
        for _ in range(OPTIMISTIC_TRIES):
            inputs, seen, known = self._read(stage, scope, reader)
            computed = self._compute(stage, inputs, known)
            with self._store.transaction() as tx:
                if tx.newest_write(*logs) == seen:
                    appended = self._finish(tx, stage, scope, computed, known, reader.provenance)
                    self._note(tx, stage, scope, replay, seen, appended)
                    return appended, computed
        with self._store.transaction() as tx:
            known = breaker(tx, stage_breaker(stage.name), self._settings.breakers)
            seen = tx.newest_write(*logs)
            computed = self._compute(stage, self._inputs(tx, stage, scope, reader), known)
            appended = self._finish(tx, stage, scope, computed, known, reader.provenance)
            self._note(tx, stage, scope, replay, seen, appended)
            return appended, computed

    def _note(
        self,
        tx: Transaction,
        stage: Stage,
        scope: Scope,
        replay: Replay | None,
        seen: datetime | None,
        appended: Mapping[str, Appended],
    ) -> None:
        """Record that a replay did a part, together with what it wrote."""
        if replay is not None:
            note_part(tx, stage, scope, replay, seen, appended.values())

    def _read(self, stage: Stage, scope: Scope, reader: InputReader) -> tuple[Inputs, datetime | None, Breaker]:
        """Inputs at one instant; a want that cannot be read is left out of the next try."""
        logs = [i.contract for i in stage.reads]
        withheld: frozenset[str] = frozenset()

        def read(tx: Transaction) -> tuple[Inputs, datetime | None, Breaker]:
            known = approach(tx, stage_breaker(stage.name), self._settings.breakers, reader.provenance)
            return self._inputs(tx, stage, scope, reader, withheld), tx.newest_write(*logs), known

        while True:
            try:
                return self._store.read(read)
            except WantFailed as error:
                withheld |= {error.want}

    def _inputs(
        self, tx: Transaction, stage: Stage, scope: Scope, reader: InputReader, withheld: frozenset[str] = frozenset()
    ) -> Inputs:
        inputs = reader.read(tx, stage, scope, withheld)
        return few_series(stage, inputs) if self._dry_run else inputs

    def _compute(self, stage: Stage, inputs: Inputs, known: Breaker) -> Computed:
        if known.state == "open" and not stage.critical:
            left = LeftAlone(f"It failed {known.failures} times; left alone until {known.retry_at}: {known.detail}")
            return self._computer.fallen(stage, inputs, left)
        return self._computer.compute(stage, inputs)

    def _finish(
        self, tx: Transaction, stage: Stage, scope: Scope, computed: Computed, known: Breaker, provenance: Provenance
    ) -> dict[str, Appended]:
        if computed.error is None:
            note_success(tx, known, provenance)
        elif not isinstance(computed.error, LeftAlone):
            note_failure(tx, known.name, computed.error, provenance)
        reasons = {stage.wants[name].reason for name in computed.inputs.missing}
        reasons |= {stage.down} if computed.down else set()
        frames = computed.answers.frames
        if self._dry_run:  # the few rows are not the whole truth, not even for as long as the transaction lasts
            scope = replace(scope, complete=False)
        return {
            contract.name: tx.append(
                contract, degrade(contract, frames[contract.name], sorted(reasons)), scope, provenance
            )
            for contract in stage.writes
        }

    def _how_little(self, stage: Stage, part: Scope, computed: Computed) -> str:
        """How many of the rows of its largest need, every version counted, a dry run computed from."""
        needs = needs_by_series(stage)
        read = max(computed.inputs[name].height for name in needs)
        everywhere = [(i, input_scope(i, replace(part, stores=None))) for i in map(stage.needs.__getitem__, needs)]
        with self._store.looking() as tx:
            stored = max(sum(rows for _, rows in tx.rows_per_store(i.contract, where)) for i, where in everywhere)
        return f"{read:,} of {stored:,} rows; nothing was kept"


def _with_laid_over(stage: Stage, inputs: Inputs, laid_over: Frames) -> Inputs:
    frames = dict(inputs.frames)
    for name, rows in laid_over.items():
        log = stage.wants[name].log
        assert log is not None
        kept = frames[name].join(rows, on=log.contract.key, how="anti")
        frames[name] = pl.concat([kept, rows.select(kept.columns).cast(kept.schema)])
    return replace(inputs, frames=frames)


def _add(done: StageRun, stage: Stage, appended: dict[str, Appended], computed: Computed) -> None:
    for name, result in appended.items():
        done.appended[name].append(result)
    done.missing |= {name: stage.wants[name].reason for name in computed.inputs.missing}
    if computed.error is not None:
        done.failures.append(f"{type(computed.error).__name__}: {computed.error}")
    done.unexpected += computed.answers.unexpected
    done.unanswered += computed.answers.unanswered
    done.first_unexpected = done.first_unexpected or computed.answers.first
    if stage.picture and done.picture is None and not computed.down:
        done.picture = stage.picture(computed.inputs, computed.answers.frames)
