"""Series made up for the tests, and the three stages run over them as the boundary would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Detection, Retailer, Settings
from mrs_assets.contracts.stage import Input, Inputs, Model, Stage
from mrs_assets.detection.axis import Axis, Floats, build_axis
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.stage import DETECTION_STAGE

STAGES = (BASELINE_STAGE, CLASSIFIER_STAGE, DETECTION_STAGE)
FIRST = date(2024, 1, 1)
Logs = dict[str, pl.DataFrame]


def settings_for(retailer: Retailer, **detection: float) -> Settings:
    return Settings(home=Path("/nowhere"), retailers={"acme": retailer}, detection=Detection(**detection))


def axis_of(retailer: Retailer, days: int, first: date = FIRST) -> Axis:
    return build_axis(retailer, first, first + timedelta(days=days - 1))


def series_rows(
    axis: Axis,
    units: Floats,
    *,
    price: float | None = 2.0,
    coverage: Mapping[tuple[int, int], str] | None = None,
    per_store: int = 3,
) -> pl.DataFrame:
    """Rows of ticks × series. NaN units are missing; `coverage` overrides ticks, partial ones keep their value."""
    ticks, count = units.shape
    state = np.where(np.isnan(units), "missing", "received").astype(object)
    for at, value in (coverage or {}).items():
        state[at] = value
    known = np.where(np.isin(state.astype(str), ["received", "partial"]), units, np.nan)
    frame = pl.DataFrame(
        {
            "ts": pl.Series(np.repeat(axis.ts, count)).cast(pl.Datetime("us", "UTC")),
            "business_day": pl.Series(np.repeat(axis.day, count)).cast(pl.Int32).cast(pl.Date),
            "number": np.tile(np.arange(count), ticks),
            "units": pl.Series(known.ravel()).fill_nan(None),
            "coverage": pl.Series(state.ravel().tolist()),
        }
    )
    has_price = price is not None
    return SALES_TIMESERIES.conform(
        frame.select(
            "business_day",
            "ts",
            "units",
            "coverage",
            retailer=pl.lit("acme"),
            store_id=pl.format("store-{}", pl.col("number") // per_store),
            sku=pl.format("sku-{}", pl.col("number") % per_store),
            revenue=pl.col("units") * price if has_price else None,
            quality_flags=pl.lit([], dtype=pl.List(pl.String)),
        )
    )


def run(
    settings: Settings,
    series: pl.DataFrame,
    scopes: Iterable[Scope],
    *,
    stages: Sequence[Stage] = STAGES,
    promotions: pl.DataFrame | None = None,
    models: Mapping[str, Model] | None = None,
) -> Logs:
    """Compute scope after scope, each from what it declares to read and what the ones before it wrote."""
    logs: Logs = {
        SALES_TIMESERIES.name: series,
        PROMOTIONS.name: promotions if promotions is not None else PROMOTIONS.empty(),
    }
    for stage in stages:
        for contract in stage.writes:
            logs[contract.name] = contract.empty()
    for scope in scopes:
        for stage in stages:
            frames = {name: _read(logs, wanted, scope) for name, wanted in stage.needs.items()}
            frames |= {name: _read(logs, want.log, scope) for name, want in stage.wants.items() if want.log}
            absent = frozenset(() if promotions is not None else {"promotions"})
            result = stage.compute(Inputs(scope, settings, frames, models or {}, unconfigured=absent))
            for contract in stage.writes:
                logs[contract.name] = pl.concat([logs[contract.name], contract.conform(result[contract.name])])
    written = [contract for stage in stages for contract in stage.writes]
    for contract in written:
        refused = contract.admit(logs[contract.name])[1]
        assert refused.is_empty(), refused
    return {contract.name: logs[contract.name].sort(contract.key) for contract in written}


def _read(logs: Logs, wanted: Input, scope: Scope) -> pl.DataFrame:
    wide = scope.widened(before=wanted.days_before, after=wanted.days_after)
    if wanted.past_only:
        wide = replace(wide, last_day=scope.first_day - timedelta(days=1))
    day = pl.col("business_day")
    return logs[wanted.contract.name].filter(day.is_between(wide.first_day, wide.last_day))


def scope_of(axis: Axis, first: int, last: int) -> Scope:
    """Scope of the days counted from the axis's first one, both included."""
    begin = axis.business_day(0)
    return Scope(begin + timedelta(days=first), begin + timedelta(days=last), "acme")
