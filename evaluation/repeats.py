"""Days sent twice, at the grain of products: how many of them the rows give away before any model looks."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

from evaluation.journey import DAYS, FIRST, transaction_lines
from evaluation.scoring import Figure, share
from mrs_assets.series.repeats import BLOCK_SKUS, DOUBLED_SKUS, repeated_days

KINDS = {"copied 3–7 days": (3, 7), "copied 1–2 days": (1, 2), "twice another day": (1, 1)}
"""What is done to a store's days, and for how many days."""

FARTHEST = 21
"""Longest distance between days and their copy."""


def repeated_days_recall(seed: int) -> dict[str, tuple[Figure, int]]:
    """Share of the repetitions on which a day is flagged, by kind, and how many there were.

    Each store has one repetition of each kind, in days on which it sold enough products to speak of. Days that are
    flagged without any repetition are counted by `flagged_anyway`.
    """
    rows = _store_days()
    return {kind: _recall(rows, kind, seed + number) for number, kind in enumerate(KINDS)}


def flagged_anyway() -> tuple[int, int]:
    """Store days that are flagged although nothing was repeated, and store days altogether."""
    rows = _store_days()
    return repeated_days(rows).height, rows.select("store_id", "business_day").n_unique()


def _store_days() -> pl.DataFrame:
    return (
        transaction_lines()
        .group_by("store_id", pl.col("product_id").cast(pl.String).alias("sku"), pl.col("day").alias("business_day"))
        .agg(pl.col("units").sum(), pl.col("revenue").sum().round(2))
        .sort("store_id", "business_day", "sku")
    )


def _recall(rows: pl.DataFrame, kind: str, seed: int) -> tuple[Figure, int]:
    rng = np.random.default_rng(seed)
    shortest, longest = KINDS[kind]
    doubled = kind.startswith("twice")
    least = DOUBLED_SKUS if doubled else BLOCK_SKUS
    sold = rows.filter(pl.col("units") > 0).group_by("store_id", "business_day").agg(pl.len().alias("skus"))
    sold = sold.filter(pl.col("skus") >= least)
    changed, truth = [], []
    for (store,), own in sorted(sold.group_by("store_id"), key=lambda pair: str(pair[0][0])):
        days = set(own["business_day"])
        length = int(rng.integers(shortest, longest + 1))
        distance = int(rng.integers(1, 8)) if doubled else int(rng.integers(length, FARTHEST + 1))
        begin = FIRST + timedelta(days=int(rng.integers(FARTHEST + 1, DAYS - length)))
        copied = [begin + timedelta(days=number) for number in range(length)]
        if not all(day - timedelta(days=distance) in days for day in copied):
            continue
        source = rows.filter(store_id=store).filter(
            pl.col("business_day").is_in([day - timedelta(days=distance) for day in copied])
        )
        times = 2 if doubled else 1
        copy = source.with_columns(
            pl.col("business_day") + timedelta(days=distance), pl.col("units") * times, pl.col("revenue") * times
        )
        rest = rows.filter(store_id=store).filter(~pl.col("business_day").is_in(copied))
        changed.append(pl.concat([rest, copy]))
        truth.append({"store_id": store, "begin": begin, "last": copied[-1]})
    events = pl.DataFrame(truth)
    flagged = repeated_days(pl.concat(changed))
    hits = flagged.join(events, on="store_id").filter(pl.col("business_day").is_between("begin", "last"))
    found = events.with_columns(found=pl.col("store_id").is_in(hits["store_id"].to_list()), place=pl.col("store_id"))
    return share(found, "found"), events.height
