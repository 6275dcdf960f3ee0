"""The placebo: what sales did before the window when the same kind of candidate was there."""

from __future__ import annotations

import polars as pl

PLACEBO_DAYS = 56
"""Days before the window over which it is counted how often the same kind of candidate was there without it."""

STEADY_UNITS = 20.0
"""Units that a ratio is shrunk towards 1 with: fewer than these say little."""

SERIES = ["store_id", "sku"]
WINDOW = [*SERIES, "began_at"]
_SCALE = 10**4
_MICRO = pl.duration(microseconds=1)


def lift(pairs: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Log ratio of the units per tick while candidates of a kind ran in the 56 days before, and of all those days.

    Args:
        pairs: windows (store_id, sku, began_at) and the candidates that cover them: kind, starts_at, ends_at.
        series: rows of `sales_timeseries_data` of those days.

    Returns:
        store_id, sku, began_at, kind, lift: shrunk towards 0; no row where nothing ran, or nobody says what sold.
    """
    counted = (
        series.filter((pl.col("coverage") == "received") & pl.col("units").is_not_null())
        .select(*SERIES, "ts", sold=(pl.col("units").cast(pl.Float64) * _SCALE).round().cast(pl.Int64), ticks=1)
        .sort(*SERIES, "ts")
    )
    running = counted.select(*SERIES, "ts", *(pl.col(c).cum_sum().over(SERIES) for c in ("sold", "ticks"))).sort("ts")
    first = pl.col("began_at") - pl.duration(days=PLACEBO_DAYS)
    ran = pairs.select(
        *WINDOW,
        "kind",
        lower=pl.max_horizontal("starts_at", first),
        upper=pl.min_horizontal("ends_at", "began_at"),
    ).filter(pl.col("upper") > pl.col("lower"))
    during = _between(ran, running)
    whole = _between(ran.select(*WINDOW, lower=first, upper="began_at").unique(), running)
    both = during.group_by(*WINDOW, "kind").agg(pl.col("sold", "ticks").sum()).join(whole, on=WINDOW, suffix="_all")
    usual = pl.col("sold_all") / pl.col("ticks_all") * pl.col("ticks")
    shrunk = ((pl.col("sold") / _SCALE + STEADY_UNITS) / (usual / _SCALE + STEADY_UNITS)).log()
    told = (pl.col("ticks") > 0) & (pl.col("sold") >= 0) & (pl.col("sold_all") >= 0)
    return both.filter(told).select(*WINDOW, "kind", lift=shrunk)


def _between(spans: pl.DataFrame, running: pl.DataFrame) -> pl.DataFrame:
    """Sums of what begins in [lower, upper), as exact differences of running sums."""
    numbered = spans.with_row_index("span")
    sums = [
        numbered.select("span", *SERIES, ts=pl.col(bound) - _MICRO)
        .sort("ts", "span")
        .join_asof(running, on="ts", by=SERIES, strategy="backward", check_sortedness=False)
        .sort("span")
        .select(pl.col("sold", "ticks").fill_null(0))
        for bound in ("lower", "upper")
    ]
    return pl.concat([numbered.drop("span"), sums[1] - sums[0]], how="horizontal")
