"""What a stage computes from, read at one instant: its needs, and its wants or typed empty frames in their place."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import polars as pl

from mrs_assets.boundary.faults import asked_at, strike
from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Input, Inputs, Model, Stage, Want
from mrs_resources.breaker import approach, model_breaker, note_failure, note_success
from mrs_resources.kernel import Provenance
from mrs_resources.liveness import down_from, is_configured
from mrs_resources.log_store import Transaction
from mrs_resources.model_store import ModelStore, active_model


class WantFailed(Exception):
    """Reading a want failed; the transaction that tried is of no further use."""

    def __init__(self, want: str, cause: Exception) -> None:
        super().__init__(f"{want} could not be read: {type(cause).__name__}: {cause}")
        self.want = want


class InputReader:
    """Reads the inputs of stages.

    Attributes:
        provenance: who reads, for the breakers.
        settings: everything configured.
    """

    def __init__(self, models: ModelStore, settings: Settings, provenance: Provenance) -> None:
        self.provenance = provenance
        self._models = models
        self.settings = settings

    def read(self, tx: Transaction, stage: Stage, scope: Scope, withheld: frozenset[str] = frozenset()) -> Inputs:
        """Everything that a stage may see for a scope, at the transaction's instant.

        Args:
            tx: the open transaction.
            stage: whose inputs.
            scope: days on which the same feeds are there; see `spans`.
            withheld: wants not to read.

        Raises:
            WantFailed: a want could not be read; read again without it.
        """
        asked = _asked_series(tx, stage, scope)
        frames = {name: _live(tx, stage, i, scope, asked) for name, i in stage.needs.items()}
        models: dict[str, Model] = {}
        missing: set[str] = set()
        unconfigured: set[str] = set()
        for name, want in sorted(stage.wants.items(), key=lambda named: _is_limited_by_others(named[1])):
            dropped = name in withheld or "drop" in asked_at(self.settings, f"{stage.name}.{name}")
            if want.log is not None:
                seen = Inputs(scope, self.settings, frames)
                rows = want.log.contract.empty() if dropped else self._wanted(tx, stage, name, seen)
                frames[name] = rows
                if dropped or down_from(tx, want.log.contract, self.settings, scope.retailer) <= scope.first_day:
                    missing.add(name)
                elif rows.is_empty() and not is_configured(want.log.contract, self.settings, scope.retailer):
                    unconfigured.add(name)
            elif dropped:
                missing.add(name)
            elif (version := active_model(tx, str(want.model))) is None:
                unconfigured.add(name)
            elif (model := self._model(tx, f"{stage.name}.{name}", want, version)) is None:
                missing.add(name)
            else:
                models[str(want.model)] = model
        return Inputs(scope, self.settings, frames, models, frozenset(missing), frozenset(unconfigured))

    def spans(self, tx: Transaction, stage: Stage, scope: Scope) -> list[Scope]:
        """The scope cut where a configured feed goes late, so that each day misses what it would miss alone."""
        logs = [want.log.contract for want in stage.wants.values() if want.log is not None]
        ends = {down_from(tx, contract, self.settings, scope.retailer) for contract in logs}
        firsts = sorted({scope.first_day, *(day for day in ends if scope.first_day < day <= scope.last_day)})
        lasts = [*(day - timedelta(days=1) for day in firsts[1:]), scope.last_day]
        return [replace(scope, first_day=first, last_day=last) for first, last in zip(firsts, lasts, strict=True)]

    def _wanted(self, tx: Transaction, stage: Stage, name: str, seen: Inputs) -> pl.DataFrame:
        try:
            strike(self.settings, f"{stage.name}.{name}")
            return _that_matter(tx, stage, name, seen)
        except Exception as error:
            raise WantFailed(name, error) from error

    def _model(self, tx: Transaction, point: str, want: Want, version: dict[str, object]) -> Model | None:
        """A model's artefact, unless it cannot be loaded or has failed too often to be tried now."""
        assert want.load is not None
        known = approach(tx, model_breaker(str(want.model)), self.settings.breakers, self.provenance)
        if known.state == "open":
            return None
        try:
            strike(self.settings, point)
            artefact = want.load(self._models.read(str(version["artefact_hash"])))
        except Exception as error:
            note_failure(tx, known.name, error, self.provenance)
            return None
        note_success(tx, known, self.provenance)
        return Model(str(version["model_version_id"]), artefact)


def _is_limited_by_others(want: Want) -> bool:
    return want.log is not None and want.log.matters_from is not None


def _asked_series(tx: Transaction, stage: Stage, scope: Scope) -> pl.DataFrame | None:
    """The series that a stage answers for, with the days; None where no need of it is limited to them."""
    if stage.answers is None or not any(map(_is_limited_to_the_asked, stage.needs.values())):
        return None
    return tx.live(stage.needs[stage.answers].contract, scope, columns=["business_day", *SERIES]).unique()


def _is_limited_to_the_asked(need: Input) -> bool:
    return need.others is None or need.others.days_before is not None


def _live(tx: Transaction, stage: Stage, wanted: Input, scope: Scope, asked: pl.DataFrame | None) -> pl.DataFrame:
    """Rows of a need: of the series that are asked about; of others as far as the stage sees them and they matter."""
    own = wanted.around(scope)
    if stage.span == "store":
        return _rows(tx, wanted, own)
    if asked is None or not _is_limited_to_the_asked(wanted):
        return _rows(tx, wanted, replace(own, stores=None))
    series = asked.select(SERIES).unique()
    rows = _rows(tx, wanted, own, series)
    if wanted.others is None:
        return rows
    near = wanted.of_others.around(replace(scope, stores=None))
    days = asked.select("business_day").unique() if wanted.others.days_before == 0 else None
    of_others = _rows(tx, wanted, near, days, of_others=True).join(series, on=SERIES, how="anti")
    return pl.concat([rows, of_others], how="diagonal")


def _that_matter(tx: Transaction, stage: Stage, name: str, seen: Inputs) -> pl.DataFrame:
    """Rows of a want, as far back as they matter; of stores that are not asked about only where they do."""
    wanted = stage.wants[name].log
    assert wanted is not None
    wide = replace(wanted.around(seen.scope), stores=None)
    if wanted.matters_from is not None:
        wide = replace(wide, first_day=max(wide.first_day, wanted.matters_from(seen)))
    if wanted.others is None or wanted.others.matter is None:
        return _rows(tx, wanted, wide)
    asked = tuple(seen.asked(str(stage.answers))["store_id"].unique().sort())
    others = tuple(sorted({store for store, _ in tx.rows_per_store(wanted.contract, wide)} - {*asked}))
    rows = _rows(tx, wanted, replace(wide, stores=asked))
    if others and wanted.others.matter(replace(seen, frames={**seen.frames, name: rows})):
        return pl.concat([rows, _rows(tx, wanted, replace(wide, stores=others))])
    return rows


def _rows(
    tx: Transaction, wanted: Input, scope: Scope, matching: pl.DataFrame | None = None, *, of_others: bool = False
) -> pl.DataFrame:
    """What stages see of a log's rows, in any order; of those alone that match values of some columns, where given."""
    columns = wanted.columns(of_others=of_others)
    return tx.live(wanted.contract, scope, columns=columns, matching=matching, in_order=False)
