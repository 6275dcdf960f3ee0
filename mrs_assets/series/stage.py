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
from mrs_assets.series.facts import AT
from mrs_assets.series.gathering import Gathered, gather
from mrs_assets.series.grid import tick_grid

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
    gathered = gather(facts, grid, scope.first_day, inputs["stores"], retailer)
    ticks = grid.filter(pl.col("business_day") >= scope.first_day)
    stores = store_coverage(gathered.reported, grid, scope.first_day, inputs["stores"], retailer)
    rows = _known_ticks(gathered.rows, ticks).join(
        stores.select("store_id", "ts", "store_coverage"), on=["store_id", "ts"], how="left"
    )
    return {SALES_TIMESERIES.name: _finished(rows, gathered, scope, retailer)}


def _known_ticks(told: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Every tick of every series that was told at it or in the 56 days before its day, with the tick's values."""
    series = told.select("store_id", "sku").unique().sort("store_id", "sku").with_row_index("series")
    values = [c for c in ("units", "revenue", "unit_price", "on_promotion", "reasons") if c in told.columns]
    facts = (
        told.join(series, on=["store_id", "sku"])
        .select(
            "series",
            "ts",
            pl.col("business_day").alias("last_day"),
            *values,
            "heard",
            pl.col("ts").alias("fact_ts"),
        )
        .sort("ts")
    )
    at_tick = pl.col("fact_ts") == pl.col("ts")
    return (
        ticks.select("business_day", "ts")
        .sort("ts")
        .join(series, how="cross", maintain_order="left")
        .join_asof(facts, on="ts", by="series", strategy="backward", check_sortedness=False)
        .filter(pl.col("last_day") >= pl.col("business_day") - timedelta(days=REMEMBERED_DAYS))
        .with_columns(
            at_tick.alias("is_told"),
            (at_tick & pl.col("heard")).alias("has_fact"),
            *(pl.when(at_tick).then(pl.col(name)).alias(name) for name in values),
        )
    )


def _finished(rows: pl.DataFrame, gathered: Gathered, scope: Scope, retailer: Retailer) -> pl.DataFrame:
    """Coverage per series, zeros where silence means them, doubts, and what a value had to do without."""
    zero = pl.lit(0).cast(pl.Decimal(18, 4))
    is_zero = ~pl.col("is_told") & (pl.col("store_coverage") == "received") & pl.lit(retailer.absent_sku == "zero")
    spoken = pl.col("store_coverage").is_in(["received", "partial"])
    coverage = pl.when(pl.col("has_fact") | is_zero | ~spoken).then("store_coverage").otherwise(pl.lit("missing"))
    fused = [] if gathered.silences is None else ["is_degraded", "degraded_reasons", "model_version"]
    return (
        rows.join(gathered.repeated.with_columns(repeated=True), on=["store_id", "business_day"], how="left")
        .with_columns(pl.col("repeated").fill_null(value=False))
        .pipe(_with_flags, gathered.doubts)
        .pipe(_with_reasons, gathered.silences, is_zero, retailer)
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
            "quality_flags",
            *fused,
        )
        .sort("store_id", "sku", "ts")
    )


def _with_flags(rows: pl.DataFrame, doubts: pl.DataFrame) -> pl.DataFrame:
    """Adds `quality_flags`, sorted."""
    flags = pl.concat_list(
        _flag("repeated_block", pl.col("repeated") & pl.col("has_fact")),
        _flag("returns_exceed_sales", (pl.col("units") < 0).fill_null(value=False)),
    ).list.drop_nulls()
    if doubts.is_empty():
        return rows.with_columns(quality_flags=flags)
    found = doubts.group_by(AT).agg(pl.col("flag").alias("doubts"))
    none = pl.lit([], dtype=pl.List(pl.String))
    both = flags.list.concat(pl.col("doubts").fill_null(none)).list.sort()
    return rows.join(found, on=AT, how="left").with_columns(quality_flags=both)


def _with_reasons(
    rows: pl.DataFrame, silences: pl.DataFrame | None, is_zero: pl.Expr, retailer: Retailer
) -> pl.DataFrame:
    """Adds which sources a value had to do without, and by which declaration the sources were weighed."""
    if silences is None:
        return rows
    own = pl.when(is_zero).then("silence").when(pl.col("units").is_not_null()).then("reasons")
    return (
        rows.join(silences.rename({"reasons": "silence"}), on=["store_id", "ts"], how="left")
        .with_columns(degraded_reasons=own.fill_null(pl.lit([], dtype=pl.List(pl.String))).list.sort())
        .with_columns(
            is_degraded=pl.col("degraded_reasons").list.len() > 0,
            model_version=pl.lit(f"sources-{retailer.source_weights}"),
        )
    )


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
