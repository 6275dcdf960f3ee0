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
TELLING_BITS = 30.0
"""How unlikely it must be that a block is a copy by chance: of a thousand stores one is in a hundred years, as far as
products sell independently of one another."""
NEIGHBOURING_DAYS = 7
"""Days before a day of which it may be exactly twice."""
DOUBLED_SKUS = 8
"""Products sold on a day that is twice another: of as many, none is by chance, however few units each sells."""
DISTINCT_VALUES = 3
"""Different numbers of units that such a block or day must have: few and like numbers repeat by habit."""


def repeated_days(gathered: pl.DataFrame) -> pl.DataFrame:
    """Store days that end a copied block, or are twice another day.

    A block ends on a day if it equals, row by row, a block of the same length up to four weeks before, and that is no
    chance: each row tells as much as it is rare among the store's days of those weeks. A store whose neighbouring days
    are equal anyway says nothing and is left out, and so is a day with fewer than five products. Only the days up to
    the one judged are looked at, so that the first two days of a copy are not flagged.

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
    return _no_chance(pl.concat(copies).unique(), gathered)


def _no_chance(blocks: pl.DataFrame, gathered: pl.DataFrame) -> pl.DataFrame:
    """Blocks, by the day that they end on, of which it says enough that they are alike.

    A row says log2(days / days with that very row) bits, of the days that the block or its like may lie on.
    """
    block, last = ["store_id", "last"], pl.col("last")
    near = blocks.rename({"business_day": "last"}).join(gathered.filter(pl.col("units") > 0), on="store_id")
    reach = timedelta(days=FARTHEST_DAYS + BLOCK_DAYS - 1)
    near = near.filter(pl.col("business_day").is_between(last - reach, last))
    days = near.group_by(block).agg(pl.col("business_day").n_unique().alias("days"))
    own = (pl.col("business_day") > last - timedelta(days=BLOCK_DAYS)).sum().alias("own")
    alike = near.group_by(*block, "sku", "units", "revenue").agg(pl.len().alias("alike"), own)
    bits = (pl.col("own") * (pl.col("days") / pl.col("alike")).log(2).round(3)).sum().round(3).alias("bits")
    values = pl.col("units").filter(pl.col("own") > 0).n_unique().alias("values")
    told = alike.join(days, on=block).group_by(block).agg(bits, values)
    told = told.filter((pl.col("bits") >= TELLING_BITS) & (pl.col("values") >= DISTINCT_VALUES))
    return told.select("store_id", business_day="last")


def _doubled(days: pl.DataFrame, gathered: pl.DataFrame) -> pl.DataFrame:
    pairs, sold = [], pl.col("units") > 0
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
        .agg(
            pl.len().alias("twice"),
            sold.sum().alias("sold"),
            pl.col("units").filter(sold).n_unique().alias("values"),
        )
        .filter(
            (pl.col("twice") == pl.col("skus"))
            & (pl.col("sold") >= DOUBLED_SKUS)
            & (pl.col("values") >= DISTINCT_VALUES)
        )
        .select("store_id", "business_day")
    )


def _moved(days: pl.DataFrame, forward: int, name: str) -> pl.DataFrame:
    return days.select("store_id", pl.col("business_day") + timedelta(days=forward), pl.col("print").alias(name))
