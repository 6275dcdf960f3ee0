"""The series stage: `unified_sales_data` → `sales_timeseries_data`."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.contracts.logs.context import STORES
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Frames, Input, Inputs, Stage, Want
from mrs_assets.series.coverage import store_coverage
from mrs_assets.series.facts import gather
from mrs_assets.series.grid import tick_grid
from mrs_assets.series.repeats import repeated_days

REMEMBERED_DAYS = 56
"""Days after its last fact for which a series still has rows."""

EVERY_STORE_DAYS = 100_000
"""Reaches every row of `stores_log`, whose business day is the first of the calendar."""


def compute_series(inputs: Inputs) -> Frames:
    """One row per known store × SKU and tick of the days in scope.

    A series is known from its first fact on, and until 56 days after its last.
    """
    scope, retailer = inputs.scope, inputs.retailer
    grid = tick_grid(retailer, scope.first_day - timedelta(days=REMEMBERED_DAYS), scope.last_day)
    facts = inputs["unified"].filter(pl.col("business_day") <= scope.last_day)
    if facts.is_empty():
        return {SALES_TIMESERIES.name: SALES_TIMESERIES.empty()}
    gathered = gather(facts, grid)
    ticks = grid.filter(pl.col("business_day") >= scope.first_day)
    stores = store_coverage(gathered, grid, scope.first_day, inputs["stores"], retailer)
    rows = _known_ticks(gathered, ticks).join(
        stores.select("store_id", "ts", "store_coverage"), on=["store_id", "ts"], how="left"
    )
    return {SALES_TIMESERIES.name: _finished(rows, gathered, scope, retailer)}


def _known_ticks(gathered: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Every tick of every series that had a fact at it or in the 56 days before its day, with the tick's values."""
    series = gathered.select("store_id", "sku").unique().sort("store_id", "sku").with_row_index("series")
    facts = (
        gathered.join(series, on=["store_id", "sku"])
        .select(
            "series",
            "ts",
            pl.col("business_day").alias("last_day"),
            "units",
            "revenue",
            "unit_price",
            "on_promotion",
            pl.col("ts").alias("fact_ts"),
        )
        .sort("ts")
    )
    values = ("units", "revenue", "unit_price", "on_promotion")
    at_tick = pl.col("fact_ts") == pl.col("ts")
    return (
        ticks.select("business_day", "ts")
        .sort("ts")
        .join(series, how="cross", maintain_order="left")
        .join_asof(facts, on="ts", by="series", strategy="backward", check_sortedness=False)
        .filter(pl.col("last_day") >= pl.col("business_day") - timedelta(days=REMEMBERED_DAYS))
        .with_columns(at_tick.alias("has_fact"), *(pl.when(at_tick).then(pl.col(name)).alias(name) for name in values))
    )


def _finished(rows: pl.DataFrame, gathered: pl.DataFrame, scope: Scope, retailer: Retailer) -> pl.DataFrame:
    """Coverage per series, zeros where silence means them, and doubts."""
    zero = pl.lit(0).cast(pl.Decimal(18, 4))
    is_zero = ~pl.col("has_fact") & (pl.col("store_coverage") == "received") & pl.lit(retailer.absent_sku == "zero")
    spoken = pl.col("store_coverage").is_in(["received", "partial"])
    coverage = pl.when(pl.col("has_fact") | is_zero | ~spoken).then("store_coverage").otherwise(pl.lit("missing"))
    flags = pl.concat_list(
        _flag("repeated_block", pl.col("repeated") & pl.col("has_fact")),
        _flag("returns_exceed_sales", (pl.col("units") < 0).fill_null(value=False)),
    ).list.drop_nulls()
    return (
        rows.join(_repeats(gathered, retailer), on=["store_id", "business_day"], how="left")
        .with_columns(pl.col("repeated").fill_null(value=False))
        .select(
            pl.lit(scope.retailer).alias("retailer"),
            "business_day",
            "store_id",
            "sku",
            "ts",
            pl.when(is_zero).then(zero).otherwise("units").alias("units"),
            pl.when(is_zero).then(zero).otherwise("revenue").alias("revenue"),
            "unit_price",
            "on_promotion",
            coverage.alias("coverage"),
            flags.alias("quality_flags"),
        )
        .sort("store_id", "sku", "ts")
    )


def _repeats(gathered: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """Copied days of daily feeds; within a day, later hours would speak about earlier ones."""
    daily = gathered if retailer.grain == "1d" else gathered.clear()
    return repeated_days(daily).with_columns(pl.lit(value=True).alias("repeated"))


def _flag(name: str, raised: pl.Expr) -> pl.Expr:
    return pl.when(raised).then(pl.lit(name))


SERIES_STAGE = Stage(
    name=SALES_TIMESERIES.name,
    writes=(SALES_TIMESERIES,),
    compute=compute_series,
    needs={"unified": Input(UNIFIED_SALES, days_before=REMEMBERED_DAYS)},
    wants={"stores": Want("stores_down", log=Input(STORES, days_before=EVERY_STORE_DAYS))},
    span="store",
    before_reports=True,
    description=(
        "One row per known store, SKU and tick. Coverage says what the row rests on: received, partial, missing, "
        "closed, not expected. A value is never put where nothing was received."
    ),
)
