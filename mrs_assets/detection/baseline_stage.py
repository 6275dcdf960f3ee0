"""The stage that says what each series tick should have sold."""

from __future__ import annotations

import numpy as np
import polars as pl

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.stage import Frames, Input, Inputs, Stage, Want
from mrs_assets.detection.artefact import TrainedBaseline, load
from mrs_assets.detection.axis import Floats, Ints
from mrs_assets.detection.expectation import LOOKBACK, Expectation
from mrs_assets.detection.noise import interval
from mrs_assets.detection.panel import Panel, read_panel

MODEL = "baseline_sales_model"
PROMOTION_DAYS = 366

SEASONAL_SCALE = 1.0
"""Standard deviations on either side that hold 80 % of quiet ticks; docs/explanation/detection.md."""

INSUFFICIENT_SCALE = 1.6
"""The same for a plain mean of few days."""

SOURCES = np.array(["insufficient_history", "seasonal_heuristic", "model"])
_INSUFFICIENT, _SEASONAL, _MODEL = range(3)


def compute(inputs: Inputs) -> Frames:
    """One row per series tick in scope."""
    scope, series = inputs.scope, inputs["series"]
    wanted = series.filter(pl.col("business_day").is_between(scope.first_day, scope.last_day))
    if wanted.is_empty():
        return {BASELINE.name: BASELINE.empty()}
    model = inputs.models.get(MODEL)
    unknown = "promotions" in inputs.missing or "promotions" in inputs.unconfigured
    panel = read_panel(
        series,
        retailer=inputs.retailer,
        scope=scope,
        keys=wanted.select(SERIES),
        promotions=None if unknown else inputs["promotions"],
        for_model=model is not None,
    )
    row, column, placed = panel.grid.place(wanted.select("retailer", "business_day", *SERIES, "ts", "coverage"))
    numbers = _predict(panel, model.artefact if model else None, row - panel.grid.first, column)
    source = numbers.pop("source").astype(np.int64)
    closed = pl.col("coverage").is_in(["closed", "not_expected"])
    frame = placed.with_columns(
        *(pl.Series(name, values).fill_nan(None) for name, values in numbers.items()),
        pl.Series("baseline_source", SOURCES[source]),
        model_version=pl.when(pl.Series(source == _MODEL)).then(
            pl.lit(model.version if model else None, dtype=pl.String)
        ),
    ).with_columns(pl.when(~closed).then(pl.col(list(numbers))).name.keep())
    return {BASELINE.name: frame.drop("coverage", "_series").sort("retailer", *SERIES, "ts")}


def _predict(panel: Panel, model: TrainedBaseline | None, row: Ints, column: Ints) -> dict[str, Floats]:
    """Values of the wanted ticks (row in scope, column) by column name; `source` is a position in `SOURCES`."""
    names = ("expected_units", "expected_lower", "expected_upper", "dispersion", "source")
    found = {name: np.full(len(row), np.nan) for name in names}
    order = np.argsort(column, kind="stable")
    for columns, expectation in panel.expectations():
        begin, end = np.searchsorted(column[order], [columns.start, columns.stop])
        mine = order[begin:end]
        values = predict_block(panel, columns, expectation, model)
        for name, dense in zip(names, values, strict=True):
            found[name][mine] = dense[row[mine], column[mine] - columns.start]
    return found


def predict_block(
    panel: Panel, columns: slice, expectation: Expectation, model: TrainedBaseline | None
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Expected units, both ends of the 80 % interval, dispersion and source of a block: scope's ticks × series."""
    expected = expectation.expected
    source = np.where(expectation.is_seasonal, _SEASONAL, _INSUFFICIENT).astype(np.float64)
    scale = np.where(expectation.is_seasonal, SEASONAL_SCALE, INSUFFICIENT_SCALE)
    if model is not None:
        factor = model.factor(panel.features(columns, expectation)).reshape(expected.shape)
        expected = np.where(expectation.is_seasonal, expected * factor, expected)
        source = np.where(expectation.is_seasonal, float(_MODEL), source)
        scale = np.where(expectation.is_seasonal, model.scale(expected), scale)
    lower, upper = interval(expected, expectation.dispersion, scale)
    return expected, lower, upper, np.where(np.isnan(expected), np.nan, expectation.dispersion), source


BASELINE_STAGE = Stage(
    name=BASELINE.name,
    writes=(BASELINE,),
    compute=compute,
    needs={"series": Input(SALES_TIMESERIES, days_before=LOOKBACK)},
    wants={
        "promotions": Want("promotions_down", log=Input(PROMOTIONS, days_before=PROMOTION_DAYS)),
        "baseline_model": Want("baseline_down", model=MODEL, load=load),
    },
    description="What each series should have sold, from its own trailing weeks, the calendar and promotions.",
)
