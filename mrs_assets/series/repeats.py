"""A store's days that are copies of earlier ones, or exactly twice one of them: signs that days were sent twice."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import polars as pl

BLOCK_DAYS = 3
"""Days in a row that must be copies."""
BLOCK_SKUS = 5
"""Products that each of the days must have."""
FARTHEST_DAYS = 28
"""Longest distance between a block and its copy."""
NEIGHBOURING_DAYS = 7
"""Days before a day of which it may be exactly twice."""
DOUBLED_SKUS = 8
"""Products sold on a day that is twice another: of as many, none is by chance, however few units each sells."""
DISTINCT_VALUES = 3
"""Different numbers of units that a day must have: the few and like numbers of a small store repeat by chance."""


def repeated_days(gathered: pl.DataFrame) -> pl.DataFrame:
    """Store days that end a copied block, or are twice another day.

    A block ends on a day if it equals, row by row, a block of the same length up to four weeks before. A store whose
    neighbouring days are equal anyway says nothing and is left out, and so is a day on which fewer than five products
    sold or all sold alike. Only the days up to the one judged are looked at, so that the first two days of a copy are
    not flagged.

    A day is twice another if it lists the same products as one of the seven days before, and of each exactly twice the
    units; at least eight of them sold, with at least three different numbers of units.

    Returns:
        store_id, business_day.
    """
    days = (
        gathered.group_by("store_id", "business_day")
        .agg(
            pl.struct("sku", "units", "revenue").hash(seed=0).sum().alias("print"),
            pl.len().alias("skus"),
            pl.col("units").sum().alias("total"),
        )
        .filter(pl.col("skus") >= BLOCK_SKUS)
    )
    return pl.concat([_copied(days, gathered), _doubled(days, gathered)]).unique().sort("store_id", "business_day")


def _copied(days: pl.DataFrame, gathered: pl.DataFrame) -> pl.DataFrame:
    table = days.select("store_id", "business_day", "print")
    for back in range(1, BLOCK_DAYS):
        table = table.join(_moved(days, back, f"print_{back}"), on=["store_id", "business_day"])
    prints = ["print", *(f"print_{back}" for back in range(1, BLOCK_DAYS))]
    table = table.filter(pl.all_horizontal(pl.col(a) != pl.col(b) for a, b in pairwise(prints)))
    copies = []
    for distance in range(BLOCK_DAYS, FARTHEST_DAYS + 1):
        found = table
        for back, own in enumerate(prints):
            earlier = _moved(days, distance + back, "earlier")
            found = found.join(earlier, on=["store_id", "business_day"]).filter(pl.col(own) == pl.col("earlier"))
            found = found.drop("earlier")
        copies.append(found.select("store_id", "business_day"))
    return (
        gathered.join(pl.concat(copies).unique(), on=["store_id", "business_day"])
        .group_by("store_id", "business_day")
        .agg(*_telling())
        .filter((pl.col("sold") >= BLOCK_SKUS) & (pl.col("values") >= DISTINCT_VALUES))
        .select("store_id", "business_day")
    )


def _doubled(days: pl.DataFrame, gathered: pl.DataFrame) -> pl.DataFrame:
    pairs = []
    for distance in range(1, NEIGHBOURING_DAYS + 1):
        day, back = pl.col("business_day"), timedelta(days=distance)
        earlier = days.select("store_id", "skus", day + back, day.alias("once_on"), once="total")
        pair = days.join(earlier, on=["store_id", "business_day", "skus"])
        pairs.append(pair.filter((pl.col("total") > 0) & (pl.col("total") == 2 * pl.col("once"))))
    likely = pl.concat(pairs).select("store_id", "business_day", "once_on", "skus")
    if likely.is_empty():
        return likely.select("store_id", "business_day")
    rows = gathered.select("store_id", "business_day", "sku", "units")
    once = rows.select("store_id", "sku", pl.col("business_day").alias("once_on"), once="units")
    both = likely.join(rows, on=["store_id", "business_day"]).join(once, on=["store_id", "sku", "once_on"])
    return (
        both.filter(pl.col("units") == 2 * pl.col("once"))
        .group_by("store_id", "business_day", "once_on", "skus")
        .agg(pl.len().alias("twice"), *_telling())
        .filter(
            (pl.col("twice") == pl.col("skus"))
            & (pl.col("sold") >= DOUBLED_SKUS)
            & (pl.col("values") >= DISTINCT_VALUES)
        )
        .select("store_id", "business_day")
    )


def _telling() -> tuple[pl.Expr, pl.Expr]:
    """How many products sold, and how many different numbers of units they sold."""
    sold = pl.col("units") > 0
    return sold.sum().alias("sold"), pl.col("units").filter(sold).n_unique().alias("values")


def _moved(days: pl.DataFrame, forward: int, name: str) -> pl.DataFrame:
    return days.select("store_id", pl.col("business_day") + timedelta(days=forward), pl.col("print").alias(name))
