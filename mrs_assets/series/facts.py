"""Received facts gathered on the grid: one value per store, SKU and tick, from one source."""

from __future__ import annotations

import polars as pl

PREFERRED_SOURCE = "till"


def gather(facts: pl.DataFrame, grid: pl.DataFrame) -> pl.DataFrame:
    """Sum the facts of each interval.

    The source `till` is used where it reported the interval, else the first by name. A total is NULL where one of its
    parts has no value. Prices are revenue per unit where both are positive, else the mean of the prices given.

    Args:
        facts: rows of `unified_sales_data`.
        grid: ticks that cover the facts.

    Returns:
        store_id, sku, business_day, ts, slot, weekday, units, revenue, unit_price, on_promotion; one row per key.
    """
    ticks = grid.rename({"ts": "tick", "business_day": "day"})
    placed = (
        facts.select("store_id", "sku", "ts", "source", "units", "revenue", "unit_price", "on_promotion")
        .sort("ts")
        .join_asof(ticks, left_on="ts", right_on="tick", strategy="backward")
        .filter(pl.col("tick").is_not_null())
    )
    interval = ["store_id", "sku", "tick"]
    if placed["source"].n_unique() > 1:
        preferred = pl.when(pl.col("source") == PREFERRED_SOURCE).then(pl.lit("")).otherwise("source")
        placed = placed.filter(preferred == preferred.min().over(interval))
    # Where each interval has one fact, and that is the daily case, there is nothing to add up.
    summed = placed if not placed.select(interval).is_duplicated().any() else _summed(placed, interval)
    return summed.select(
        "store_id",
        "sku",
        pl.col("day").alias("business_day"),
        pl.col("tick").alias("ts"),
        "slot",
        "weekday",
        "units",
        "revenue",
        _price().alias("unit_price"),
        "on_promotion",
    )


def _summed(placed: pl.DataFrame, interval: list[str]) -> pl.DataFrame:
    def total(name: str) -> pl.Expr:
        return pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()).alias(name)

    said = pl.col("on_promotion").drop_nulls()
    return placed.group_by(interval).agg(
        pl.col("day", "slot", "weekday").first(),
        total("units"),
        total("revenue"),
        (pl.col("unit_price").sum().cast(pl.Float64) / pl.col("unit_price").count())
        .fill_nan(None)
        .round(4)
        .cast(pl.Decimal(18, 4))
        .alias("unit_price"),
        pl.when(said.len() > 0).then(said.any()).alias("on_promotion"),
    )


def _price() -> pl.Expr:
    per_unit = (pl.col("revenue").cast(pl.Float64) / pl.col("units").cast(pl.Float64)).round(4)
    both = (pl.col("revenue") > 0) & (pl.col("units") > 0)
    return pl.when(both).then(per_unit).otherwise(pl.col("unit_price").cast(pl.Float64)).cast(pl.Decimal(18, 4))
