"""How a stage is declared: what it needs, what it wants, what it writes, and one pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Literal

import polars as pl

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.contract import COORDINATES, Contract
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings

Frames = Mapping[str, pl.DataFrame]
"""Log name → rows in the shape of its contract's body."""

Span = Literal["store", "retailer", "everything"]


@dataclass(frozen=True)
class Others:
    """Which rows of other series can matter to a row, and what of them; for a stage that sees more than one store.

    Attributes:
        days_before: days before a row's own day on which they can; None: as many as of its own series. For a stage
            that sees its whole retailer and answers. Rows of others further off are not read.
        columns: in which a row of another store can matter, beside its key; None: all. To a stage that sees
            everything, each is one of another store.
        told_by: column of the answers which says that rows of other stores matter to them: those that say False do
            not feel any. None: they matter to all.
        matter: what the stage sees with rows of the asked stores alone → whether those of others matter to any
            answer. Where they do not, they are not read.
        outdated: what the stage sees of others on some days, as far as its needs say, and its answers of these days →
            the answers that show others as they no longer are. Only those feel rows of other stores. None: all do.
    """

    days_before: int | None = None
    columns: tuple[str, ...] | None = None
    told_by: str | None = None
    matter: Callable[[Inputs], bool] | None = None
    outdated: Callable[[Inputs, pl.DataFrame], pl.DataFrame] | None = None


@dataclass(frozen=True)
class Input:
    """Live rows of one log, around the days that are computed.

    Attributes:
        contract: the log.
        days_before, days_after: how far beyond the computed days the rows reach.
        past_only: only rows before the first computed day: a log's own past.
        others: what rows of other series can do to a row; None: nothing.
        matters_from: for a want whose look-back is for the worst case: what the stage sees of the inputs without one →
            the first day of which rows matter to what is asked this time. Rows of days before it are not read.
    """

    contract: Contract
    days_before: int = 0
    days_after: int = 0
    past_only: bool = False
    others: Others | None = field(default_factory=Others)
    matters_from: Callable[[Inputs], date] | None = None

    @property
    def of_others(self) -> Input:
        """The same, as far as rows of other series can matter."""
        if self.others is None or self.others.days_before is None:
            return self
        return replace(self, days_before=self.others.days_before)

    def around(self, scope: Scope) -> Scope:
        """The days that computing a scope looks at."""
        wide = scope.widened(before=self.days_before, after=self.days_after)
        return replace(wide, last_day=scope.widened(before=1).first_day) if self.past_only else wide

    def columns(self, *, of_others: bool = False) -> list[str]:
        """What a stage sees of a row: what its writer said, and not who wrote it when; of others, what it declares."""
        body = self.contract.body
        if not of_others or self.others is None or self.others.columns is None:
            return list(body)
        seen = {*COORDINATES, *SERIES, *self.contract.key, *self.others.columns}
        return [column for column in body if column in seen]


@dataclass(frozen=True)
class Want:
    """An input that a stage can do without.

    Attributes:
        reason: code put on the rows that missed it, such as `promotions_down`.
        log: the rows wanted; None for a model.
        model: name in the model registry; None for a log.
        load: artefact bytes → artefact, for a model.
    """

    reason: str
    log: Input | None = None
    model: str | None = None
    load: Callable[[bytes], Any] | None = None


@dataclass(frozen=True)
class Model:
    """A trained artefact, loaded, with the version that its rows must name."""

    version: str
    artefact: Any


@dataclass(frozen=True)
class Inputs:
    """What a stage computes from, read at one instant.

    Attributes:
        scope: the days (and the retailer and stores, where limited) to compute.
        settings: everything configured.
        frames: input name → the log's live rows, in the columns that their writer supplied; a missing want is a typed
            empty frame.
        models: model name → artefact; a missing one is not there.
        missing: wants that are configured and not there.
        unconfigured: wants that nobody configured.
    """

    scope: Scope
    settings: Settings
    frames: Mapping[str, pl.DataFrame]
    models: Mapping[str, Model] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    unconfigured: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames[name]

    def asked(self, name: str) -> pl.DataFrame:
        """The rows of an input on the days, and of the stores, that are computed."""
        rows = self.frames[name].filter(pl.col("business_day").is_between(self.scope.first_day, self.scope.last_day))
        return rows if self.scope.stores is None else rows.filter(pl.col("store_id").is_in(self.scope.stores))

    def withholding(self, wants: Mapping[str, Want]) -> Inputs:
        """The same inputs as if these wants had been missing."""
        models = {want.model for want in wants.values()}
        return replace(
            self,
            frames={name: frame.clear() if name in wants else frame for name, frame in self.frames.items()},
            models={name: model for name, model in self.models.items() if name not in models},
            missing=self.missing | (set(wants) - self.unconfigured),
        )

    @property
    def retailer(self) -> Retailer:
        """Settings of the one retailer in scope."""
        assert self.scope.retailer is not None
        return self.settings.retailers[self.scope.retailer]


@dataclass(frozen=True)
class Stage:
    """One step from logs to logs.

    Attributes:
        name: asset name; where a stage writes one log, that log's name.
        writes: logs written; the frames that `compute` returns are the whole truth for the scope.
        compute: inputs → frames. Pure; row order is irrelevant; a range of days equals day by day.
        needs: critical inputs by name: without them the stage fails.
        wants: optional inputs by name: without them the rows say so.
        span: what one row may depend on: its own store, its retailer, or everything. What is read is as wide; what
            is answered for is as wide for `everything` alone.
        fallback: for a stage that must not stop the graph: rows with typed nulls from the needs alone. Such a stage
            computes in a process of its own; the boundary puts `down` on the rows.
        down: reason on the rows of the fallback, such as `MRCL_down`.
        answers: the need whose rows of the computed days each get exactly one row in the first log written. The
            boundary checks that each row that comes back belongs to the row that was asked about.
        before_reports: computes days before the retailer's `reports_from` too.
        every_day: has rows on days on which nothing came, so that a day never computed has to be.
        picture: inputs and rows → a PNG of the most telling row, or None.
        code_version: raised by hand when the same inputs give other rows.
        description: what the asset page says.
    """

    name: str
    writes: tuple[Contract, ...]
    compute: Callable[[Inputs], Frames]
    needs: Mapping[str, Input]
    description: str
    wants: Mapping[str, Want] = field(default_factory=dict)
    span: Span = "store"
    fallback: Callable[[Inputs], Frames] | None = None
    down: str = ""
    answers: str | None = None
    before_reports: bool = False
    every_day: bool = False
    picture: Callable[[Inputs, Frames], bytes | None] | None = None
    code_version: str = "1"

    def __post_init__(self) -> None:
        assert bool(self.down) == (self.fallback is not None), f"{self.name}: a fallback and its reason go together"

    @property
    def reads(self) -> list[Input]:
        """Every log that it reads, needed or wanted."""
        return [*self.needs.values(), *(want.log for want in self.wants.values() if want.log is not None)]

    @property
    def reads_its_past(self) -> bool:
        """Whether a day rests on what the days before it came to."""
        return any(wanted.past_only for wanted in self.reads)

    @property
    def critical(self) -> bool:
        """Whether a failure of this stage is a failure of the run."""
        return self.fallback is None
