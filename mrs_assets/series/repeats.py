"""Blocks of a store's days that are exact copies of earlier ones: a sign that a feed sent the same days twice."""

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


def repeated_days(gathered: pl.DataFrame) -> pl.DataFrame:
    """Store days that end a block equal, row by row, to a block of the same length up to four weeks before.

    A store whose neighbouring days are equal anyway says nothing and is left out. Only the days up to the one judged
    are looked at, so that the first two days of a copy are not flagged.

    Returns:
        store_id, business_day.
    """
    days = (
        gathered.group_by("store_id", "business_day")
        .agg(
            pl.struct("sku", "units", "revenue").hash(seed=0).sum().alias("print"),
            pl.len().alias("skus"),
        )
        .filter(pl.col("skus") >= BLOCK_SKUS)
        .select("store_id", "business_day", "print")
    )
    table = days
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
    return pl.concat(copies).unique().sort("store_id", "business_day")


def _moved(days: pl.DataFrame, forward: int, name: str) -> pl.DataFrame:
    return days.select("store_id", pl.col("business_day") + timedelta(days=forward), pl.col("print").alias(name))
