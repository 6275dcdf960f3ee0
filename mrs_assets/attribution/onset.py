"""Where in a report's window its series really jumps: a window found by its sum begins with what little noise adds."""

from __future__ import annotations

import polars as pl

from mrs_assets.attribution.between import UNIT, Sold
from mrs_assets.contracts.columns import SERIES

BEFORE_DAYS = 28
"""Days before the window that the level before the jump is taken from."""

SPAN = [*SERIES, "began_at", "until", "direction"]


def sharp_onsets(reports: pl.DataFrame, sold: Sold) -> pl.DataFrame:
    """Find the tick of the window at which one level before and another after explain the units best.

    The split of largest Poisson likelihood, of those with the change in the report's direction; the first of equals.

    Args:
        reports: bounded MRDL rows.
        sold: what the series sold, from BEFORE_DAYS before the windows on.

    Returns:
        SPAN and jumped_at; no row where nothing is known of the series.
    """
    spans = reports.select(SPAN).unique().sort(SPAN).with_row_index("span")
    near = (
        spans.join(sold.ticks, on=SERIES)
        .filter((pl.col("ts") >= pl.col("began_at") - pl.duration(days=BEFORE_DAYS)) & (pl.col("ts") < pl.col("until")))
        .sort("span", "ts")
    )
    units = pl.col("sold").clip(lower_bound=0)
    counted = near.with_columns(
        before=(units.cum_sum() - units).over("span"),
        whole=units.sum().over("span"),
        first=pl.int_range(pl.len()).over("span"),
        count=pl.len().over("span"),
    ).filter((pl.col("ts") >= pl.col("began_at")) & (pl.col("first") > 0))
    earlier, later = pl.col("before") / UNIT, (pl.col("whole") - pl.col("before")) / UNIT
    pace, jump = earlier / pl.col("first"), later / (pl.col("count") - pl.col("first"))
    likely = (_logged(earlier, pace) + _logged(later, jump)).round(6)
    right_way = pl.when(pl.col("direction") == "down").then(jump < pace).otherwise(jump > pace)
    return (
        counted.with_columns(likely=likely)
        .filter(right_way)
        .sort("span", "likely", "ts", descending=[False, True, False])
        .group_by("span", maintain_order=True)
        .agg(jumped_at=pl.col("ts").first())
        .join(spans, on="span")
        .drop("span")
    )


def _logged(units: pl.Expr, pace: pl.Expr) -> pl.Expr:
    return pl.when(units > 0).then(units * pace.log()).otherwise(0.0)
