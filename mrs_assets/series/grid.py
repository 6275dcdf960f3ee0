"""The grid of ticks: which instants of which local days a series has, whatever the clocks do, and while it is known."""

from __future__ import annotations

from datetime import date, timedelta
from math import gcd

import polars as pl

from mrs_assets.contracts.calendar import day_start
from mrs_assets.contracts.settings import Retailer

_OFFSETS_ARE_MULTIPLES_OF = 15 * 60
"""Every offset from UTC in use since 1972 is a whole number of quarter hours, in seconds."""
REMEMBERED_DAYS = 56
"""Days after it was last told for which a series is still known."""


def tick_grid(retailer: Retailer, first_day: date, last_day: date) -> pl.DataFrame:
    """Ticks of the local days, both included: where the local clock shows a multiple of the grain, and at midnight.

    An hourly grid has 23 or 25 ticks on the days on which the clocks change.

    Returns:
        business_day, ts (start of the interval, UTC), slot (interval of the local day, from 0), weekday (1 = Monday),
        sorted by ts.
    """
    grain = int(retailer.grain_length.total_seconds())
    step = gcd(grain, _OFFSETS_ARE_MULTIPLES_OF)
    instants = pl.datetime_range(
        day_start(first_day, retailer),
        day_start(last_day + timedelta(days=1), retailer),
        interval=timedelta(seconds=step),
        closed="left",
        time_unit="us",
        time_zone="UTC",
        eager=True,
    ).alias("ts")
    local = pl.col("ts").dt.convert_time_zone(retailer.timezone)
    seconds = local.dt.hour().cast(pl.Int64) * 3600 + local.dt.minute().cast(pl.Int64) * 60 + local.dt.second()
    return (
        instants.to_frame()
        .with_columns(business_day=local.dt.date(), seconds=seconds, weekday=local.dt.weekday().cast(pl.Int32))
        .filter((pl.col("seconds") % grain == 0) | pl.col("business_day").is_first_distinct())
        # Where clocks go back over midnight, the day before is shown again for an hour that is already its own.
        .select("business_day", "ts", (pl.col("seconds") // grain).cast(pl.Int32).alias("slot"), "weekday")
        .filter(pl.col("business_day").is_between(first_day, last_day))
        .pipe(_one_per_day if retailer.grain == "1d" else _as_they_are)
    )


def known_ticks(told: pl.DataFrame, ticks: pl.DataFrame) -> pl.DataFrame:
    """Every tick of every series that was told at it or in the 56 days before its day.

    Args:
        told: store_id, sku, ts, business_day, and what was told.
        ticks: result of `tick_grid` for the days asked for.

    Returns:
        business_day, ts, store_id, sku, what was told (NULL where nothing was), and whether something was: `is_told`.
    """
    series = told.select("store_id", "sku").unique().sort("store_id", "sku").with_row_index("series")
    said = [name for name in told.columns if name not in ("store_id", "sku", "ts", "business_day")]
    facts = (
        told.join(series, on=["store_id", "sku"])
        .select("series", "ts", pl.col("business_day").alias("last_day"), *said, pl.col("ts").alias("told_at"))
        .sort("ts")
    )
    at_tick = pl.col("told_at") == pl.col("ts")
    return (
        ticks.select("business_day", "ts")
        .sort("ts")
        .join(series, how="cross", maintain_order="left")
        .join_asof(facts, on="ts", by="series", strategy="backward", check_sortedness=False)
        .filter(pl.col("last_day") >= pl.col("business_day") - timedelta(days=REMEMBERED_DAYS))
        .with_columns(*(pl.when(at_tick).then(pl.col(name)).alias(name) for name in said), is_told=at_tick)
        .drop("series", "last_day", "told_at")
    )


def _one_per_day(grid: pl.DataFrame) -> pl.DataFrame:
    return grid.unique("business_day", keep="first", maintain_order=True).sort("ts")


def _as_they_are(grid: pl.DataFrame) -> pl.DataFrame:
    return grid.sort("ts")
