"""The placebo: what sales did before the window when the same kind of candidate was there."""

from __future__ import annotations

import polars as pl

from mrs_assets.attribution.between import UNIT, Sold
from mrs_assets.contracts.columns import SERIES

PLACEBO_DAYS = 56
"""Days before the window over which it is counted how often the same kind of candidate was there without it."""

STEADY_UNITS = 20.0
"""Units that a ratio is shrunk towards 1 with: fewer than these say little."""

WINDOW = [*SERIES, "began_at"]


def lift(pairs: pl.DataFrame, sold: Sold) -> pl.DataFrame:
    """Log ratio of the units per tick while candidates of a kind ran in the 56 days before, and of all those days.

    Args:
        pairs: windows (store_id, sku, began_at) and the candidates that cover them: kind, starts_at, ends_at.
        sold: what the series sold on those days.

    Returns:
        store_id, sku, began_at, kind, lift: shrunk towards 0; no row where nothing ran, or nobody says what sold.
    """
    first = pl.col("began_at") - pl.duration(days=PLACEBO_DAYS)
    ran = pairs.select(
        *WINDOW, "kind", lower=pl.max_horizontal("starts_at", first), upper=pl.min_horizontal("ends_at", "began_at")
    ).filter(pl.col("upper") > pl.col("lower"))
    spans = ran.select(WINDOW).unique().sort(WINDOW).with_columns(lower=first)
    during = pl.concat([ran, sold.between(ran, SERIES, "lower", "upper")], how="horizontal")
    whole = pl.concat([spans, sold.between(spans, SERIES, "lower", "began_at")], how="horizontal")
    both = during.group_by(*WINDOW, "kind").agg(pl.col("sold", "ticks").sum()).join(whole, on=WINDOW, suffix="_all")
    usual = pl.col("sold_all") / pl.col("ticks_all") * pl.col("ticks")
    shrunk = ((pl.col("sold") / UNIT + STEADY_UNITS) / (usual / UNIT + STEADY_UNITS)).log()
    told = (pl.col("ticks") > 0) & (pl.col("sold") >= 0) & (pl.col("sold_all") >= 0)
    return both.filter(told).select(*WINDOW, "kind", lift=shrunk)
