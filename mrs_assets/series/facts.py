"""Received facts on the grid: what each source told of a tick, and one source of them where nobody fuses them."""

from __future__ import annotations

import polars as pl

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.settings import Retailer
from mrs_assets.series.health import with_conflicts, with_sight

PREFERRED_SOURCE = "till"
AT = ["store_id", "sku", "ts"]
AMOUNT = pl.Decimal(18, 4)
VALUES = ["units", "revenue", "unit_price", "on_promotion"]
DOUBTS = {"store_id": pl.String, "sku": pl.String, "ts": INSTANT, "flag": pl.String}
"""Schema of doubts: one row per store, SKU, tick and quality flag."""


def told_facts(facts: pl.DataFrame, grid: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """Add up the facts of each interval, per source.

    A total is NULL where one of its parts has no value. Prices are revenue per unit where both are positive, else the
    mean of the prices given.

    Args:
        facts: rows of `unified_sales_data`.
        grid: ticks that cover the facts.
        retailer: its zone, its grain, and after how long a source is dark.

    Returns:
        store_id, sku, source, business_day, ts, slot, weekday, units, revenue, unit_price, on_promotion, and whether
        the source was blind (`dark`), contradicts itself (`conflict`), did neither (`heard`), says itself that it has
        no count (`declared`). Values are NULL where it is not heard.
    """
    ticks = grid.rename({"ts": "tick", "business_day": "day"})
    placed = (
        facts.select("store_id", "sku", "ts", "source", *VALUES, "last_seen_at")
        .sort("ts")
        .join_asof(ticks, left_on="ts", right_on="tick", strategy="backward")
        .filter(pl.col("tick").is_not_null())
        .pipe(with_sight, retailer)
    )
    interval = ["store_id", "sku", "tick", *(["source"] if placed["source"].n_unique() > 1 else [])]
    # Where each interval has one fact, and that is the daily case, there is nothing to add up.
    if placed.select(interval).is_duplicated().any():
        told = _summed(placed, interval)
    else:
        told = placed.with_columns(conflict=pl.lit(value=False))
    told = told.with_columns(heard=~(pl.col("dark") | pl.col("conflict")))
    blanked = [] if told["heard"].all() else VALUES
    return told.select(
        "store_id",
        "sku",
        "source",
        pl.col("day").alias("business_day"),
        pl.col("tick").alias("ts"),
        "slot",
        "weekday",
        "units",
        "revenue",
        price().alias("unit_price"),
        "on_promotion",
        "dark",
        "conflict",
        "heard",
        "declared",
    ).with_columns(pl.when("heard").then(pl.col(name)).alias(name) for name in blanked)


def preferred(told: pl.DataFrame) -> pl.DataFrame:
    """One source per store, SKU and tick: the till where it reported it, else the first by name; last, one unheard.

    Args:
        told: result of `told_facts`.
    """
    if told["source"].n_unique() == 1:
        return told
    name = pl.when(pl.col("source") == PREFERRED_SOURCE).then(pl.lit("")).otherwise("source")
    rank = pl.when("heard").then(pl.lit("a")).otherwise(pl.lit("b")) + name
    return told.filter(rank == rank.min().over(AT))


def own_doubts(told: pl.DataFrame) -> pl.DataFrame:
    """What sources say against themselves: rows of `DOUBTS`, `dark_source` and `duplicate_window`."""
    flags = (("dark", "dark_source"), ("conflict", "duplicate_window"))
    found = [told.filter(pl.col(column)).select(*AT, flag=pl.lit(flag)) for column, flag in flags]
    return pl.concat(found).unique()


def price() -> pl.Expr:
    """Revenue per unit where both are positive, else the price that was named."""
    per_unit = (pl.col("revenue").cast(pl.Float64) / pl.col("units").cast(pl.Float64)).round(4)
    both = (pl.col("revenue") > 0) & (pl.col("units") > 0)
    return pl.when(both).then(per_unit).otherwise(pl.col("unit_price").cast(pl.Float64)).cast(AMOUNT, strict=False)


def _summed(placed: pl.DataFrame, interval: list[str]) -> pl.DataFrame:
    def total(name: str) -> pl.Expr:
        return pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()).alias(name)

    said = pl.col("on_promotion").drop_nulls()
    parts = [
        pl.col("day", "slot", "weekday").first(),
        total("units"),
        total("revenue"),
        (pl.col("unit_price").sum().cast(pl.Float64) / pl.col("unit_price").count())
        .fill_nan(None)
        .round(4)
        .cast(AMOUNT)
        .alias("unit_price"),
        pl.when(said.len() > 0).then(said.any()).alias("on_promotion"),
    ]
    if "source" not in interval:
        parts.append(pl.col("source").first())
    if blind := placed["dark"].any():
        # One sale among blind zeros is a count; one fact without a value leaves none.
        dark = pl.when(pl.col("units").null_count() > 0).then(pl.col("dark").any()).otherwise(pl.col("dark").all())
        parts += [dark.alias("dark"), pl.col("declared").any()]
    at_start = pl.col("ts") == pl.col("tick")
    if told_whole := placed.select(at_start.any()).item():
        placed = placed.with_columns(at_start=at_start, whole=pl.when(at_start).then("units"))
        parts += [pl.col("whole").sum(), pl.col("units").sum().alias("added")]
        parts += [pl.col("at_start").sum().alias("wholes"), pl.len().alias("facts")]
    summed = placed.group_by(interval).agg(parts)
    if not blind:
        summed = summed.with_columns(dark=pl.lit(value=False), declared=pl.col("units").is_null())
    return with_conflicts(summed) if told_whole else summed.with_columns(conflict=pl.lit(value=False))
