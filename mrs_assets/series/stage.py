"""The series stage: `unified_sales_data` → `sales_timeseries_data`."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Frames, Input, Inputs, Stage, Want
from mrs_assets.series.coverage import store_coverage
from mrs_assets.series.facts import AT
from mrs_assets.series.gathering import Gathered, gather
from mrs_assets.series.grid import REMEMBERED_DAYS, tick_grid

EVERY_STORE_DAYS = 100_000
"""Reaches every row of `stores_log`, whose business day is the first of the calendar."""


def compute_series(inputs: Inputs) -> Frames:
    """One row per known store × SKU and tick of the days in scope.

    A series is known from its first fact on, and until 56 days after its last.
    """
    scope, retailer = inputs.scope, inputs.retailer
    grid = tick_grid(retailer, scope.first_day - timedelta(days=REMEMBERED_DAYS), scope.last_day)
    facts = inputs["unified"].filter(pl.col("business_day") <= scope.last_day)
    proxies = [name for name, source in retailer.sources.items() if not source.counts]
    if facts["source"].is_in(proxies).all():
        return {SALES_TIMESERIES.name: SALES_TIMESERIES.empty()}
    gathered = gather(facts, grid, scope.first_day, inputs["stores"], retailer)
    stores = store_coverage(gathered.reported, gathered.unheard, grid, scope.first_day, inputs["stores"], retailer)
    rows = gathered.rows.join(stores.select("store_id", "ts", "store_coverage"), on=["store_id", "ts"], how="left")
    return {SALES_TIMESERIES.name: _finished(rows, gathered, scope, retailer)}


def _finished(rows: pl.DataFrame, gathered: Gathered, scope: Scope, retailer: Retailer) -> pl.DataFrame:
    """Coverage per series, zeros where silence means them, doubts, and what a value had to do without."""
    zero = pl.lit(0).cast(pl.Decimal(18, 4))
    is_zero = pl.col("silent") & (pl.col("store_coverage") == "received") & pl.lit(retailer.absent_sku == "zero")
    spoken = pl.col("store_coverage").is_in(["received", "partial"])
    coverage = pl.when(pl.col("has_fact") | is_zero | ~spoken).then("store_coverage").otherwise(pl.lit("missing"))
    fused = ["degraded_reasons", "is_degraded", "model_version"] if "degraded_reasons" in rows.columns else []
    return (
        rows.join(gathered.repeated.with_columns(repeated=True), on=["store_id", "business_day"], how="left")
        .with_columns(pl.col("repeated").fill_null(value=False))
        .pipe(_with_flags, gathered.doubts)
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
    every_day=True,
    description=(
        "One row per known store, SKU and tick. Coverage says what the row rests on: received, partial, missing, "
        "closed, not expected. A value is never put where nothing was received."
    ),
)
