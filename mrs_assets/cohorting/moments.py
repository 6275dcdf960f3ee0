"""What was known at each tick: rows that hold over a span of time, laid out at the instants of interest."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

HORIZON = timedelta(days=60)
"""How long a row is remembered after its tick: an ended report can belong to a living event for so long."""


def instants(rows: pl.DataFrame) -> pl.DataFrame:
    """List the distinct ticks of rows, as `moment`, sorted, with their place `at`."""
    return rows.select(moment="tick").unique().sort("moment").with_row_index("at")


def held(rows: pl.DataFrame, by: list[str], moments: pl.DataFrame) -> pl.DataFrame:
    """Each row at each moment at which it is the newest of its `by` and not older than the horizon.

    A row holds from its tick until the next tick of the same `by`, at most HORIZON; rows after a moment are not
    seen at it. The result is sorted by moment and `by`, with `at` and `moment` added.
    """
    spans = (
        rows.sort(*by, "tick")
        .with_columns(next_tick=pl.col("tick").shift(-1).over(by))
        .with_columns(
            until=pl.min_horizontal(pl.col("tick") + pl.lit(HORIZON), "next_tick").fill_null(
                pl.col("tick") + pl.lit(HORIZON)
            )
        )
    )
    places = moments["moment"]
    return (
        spans.with_columns(
            at=pl.int_ranges(
                pl.lit(places).search_sorted(pl.col("tick"), side="left"),
                pl.lit(places).search_sorted(pl.col("until"), side="left"),
                dtype=pl.UInt32,
            )
        )
        .drop("next_tick", "until")
        .filter(pl.col("at").list.len() > 0)
        .explode("at")
        .join(moments, on="at", maintain_order="left")
        .sort("at", *by)
    )
