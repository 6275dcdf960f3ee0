"""Days sent twice, at the grain of products: how many of them the rows give away before any model looks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from evaluation.journey import DAYS, FIRST, transaction_lines
from evaluation.scoring import Figure, share
from mrs_assets.series.repeats import BLOCK_SKUS, DOUBLED_SKUS, NEIGHBOURING_DAYS, repeated_days

LARGE = 20
"""Products sold a day from which a store is one whose days can hardly be alike by chance."""


@dataclass(frozen=True)
class Repetition:
    """What is done to a store's days.

    Attributes:
        days: fewest and most days in a row.
        least: products sold on each of the days.
        times: how often the units of the other day are counted.
    """

    days: tuple[int, int]
    least: int = BLOCK_SKUS
    times: int = 1


COPIED = "copied 3–7 days"
KINDS = {
    COPIED: Repetition((3, 7)),
    f"copied 3–7 days, {LARGE} products a day or more": Repetition((3, 7), LARGE),
    "copied 1–2 days": Repetition((1, 2)),
    "exactly twice another day": Repetition((1, 1), DOUBLED_SKUS, 2),
    f"exactly twice another day, {LARGE} products or more": Repetition((1, 1), LARGE, 2),
}

FARTHEST = 21
"""Longest distance between days and their copy."""


def repeated_days_recall(seed: int) -> dict[str, tuple[Figure, int]]:
    """Share of the repetitions on which a day is flagged, by kind, and how many there were.

    Each store has one repetition of each kind, in days on which it sold enough products to speak of. Days that are
    flagged without any repetition are counted by `flagged_anyway`.
    """
    rows = _store_days()
    kinds = enumerate(KINDS.items())
    return {name: _recall(rows, kind, seed + number) for number, (name, kind) in kinds}


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


def _recall(rows: pl.DataFrame, kind: Repetition, seed: int) -> tuple[Figure, int]:
    rng = np.random.default_rng(seed)
    sold = rows.filter(pl.col("units") > 0).group_by("store_id", "business_day").agg(pl.len().alias("skus"))
    sold = sold.filter(pl.col("skus") >= kind.least)
    changed, truth = [], []
    for (store,), own in sorted(sold.group_by("store_id"), key=lambda pair: str(pair[0][0])):
        days = set(own["business_day"])
        length = int(rng.integers(kind.days[0], kind.days[1] + 1))
        nearest, farthest = (1, NEIGHBOURING_DAYS) if kind.times > 1 else (length, FARTHEST)
        distance = int(rng.integers(nearest, farthest + 1))
        begin = FIRST + timedelta(days=int(rng.integers(FARTHEST + 1, DAYS - length)))
        copied = [begin + timedelta(days=number) for number in range(length)]
        if not all(day - timedelta(days=distance) in days for day in copied):
            continue
        source = rows.filter(store_id=store).filter(
            pl.col("business_day").is_in([day - timedelta(days=distance) for day in copied])
        )
        copy = source.with_columns(
            pl.col("business_day") + timedelta(days=distance),
            pl.col("units") * kind.times,
            pl.col("revenue") * kind.times,
        )
        rest = rows.filter(store_id=store).filter(~pl.col("business_day").is_in(copied))
        changed.append(pl.concat([rest, copy]))
        truth.append({"store_id": store, "begin": begin, "last": copied[-1]})
    events = pl.DataFrame(truth)
    flagged = repeated_days(pl.concat(changed))
    hits = flagged.join(events, on="store_id").filter(pl.col("business_day").is_between("begin", "last"))
    found = events.with_columns(found=pl.col("store_id").is_in(hits["store_id"].to_list()), place=pl.col("store_id"))
    return share(found, "found"), events.height
