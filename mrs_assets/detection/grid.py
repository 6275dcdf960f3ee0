"""Many series as dense arrays, ticks × series, and the way back to rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from mrs_assets.contracts.columns import INSTANT, SERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer
from mrs_assets.detection.axis import Axis, Floats, Ints, build_axis

BLOCK = 512
"""Series that are computed together: their arrays stay in the processor's cache."""


@dataclass(frozen=True)
class Grid:
    """Where each series and each tick lies in the arrays.

    Attributes:
        axis: the ticks: rows of the arrays.
        series: store_id, sku, in order: columns of the arrays.
        first: row of the scope's first tick; earlier rows are look-back.
    """

    axis: Axis
    series: pl.DataFrame
    first: int

    def place(self, frame: pl.DataFrame, *, ts: str = "ts") -> tuple[Ints, Ints, pl.DataFrame]:
        """Rows, columns, and the frame's rows that they belong to; rows off the grid are left out."""
        numbered = frame.join(self.series.with_row_index("_series"), on=SERIES, how="inner", maintain_order="left")
        row = self.axis.rows_starting_at(numbered[ts].to_physical().to_numpy())
        on_axis = row >= 0
        if not on_axis.all():
            numbered, row = numbered.filter(pl.Series(on_axis)), row[on_axis]
        return row, numbered["_series"].to_numpy().astype(np.int64), numbered

    def scatter(self, frame: pl.DataFrame, values: Sequence[pl.Expr]) -> list[Floats]:
        """Dense ticks × series arrays of expressions over a frame; NaN where there is no row or no value."""
        row, column, placed = self.place(frame)
        arrays = []
        numbers = placed.select(value.cast(pl.Float64).alias(str(n)) for n, value in enumerate(values))
        for name in numbers.columns:
            dense = np.full((len(self.axis), self.series.height), np.nan)
            dense[row, column] = numbers[name].to_numpy()
            arrays.append(dense)
        return arrays

    def blocks(self) -> Iterator[slice]:
        """Columns in handfuls that fit the processor's cache."""
        for start in range(0, self.series.height, BLOCK):
            yield slice(start, min(start + BLOCK, self.series.height))


def build_grid(series: pl.DataFrame, retailer: Retailer, scope: Scope, days_before: int, keys: pl.DataFrame) -> Grid:
    """Lay a grid over some series (`keys`: store_id, sku) for a scope and the days before it."""
    axis = build_axis(retailer, scope.first_day - timedelta(days=days_before), scope.last_day, series["ts"].unique())
    return Grid(axis=axis, series=keys.select(SERIES).unique().sort(SERIES), first=axis.first_row(scope.first_day))


def as_instants(microseconds: Ints) -> pl.Series:
    """Instants, UTC, from microseconds since 1970."""
    return pl.Series(microseconds).cast(INSTANT)


def as_days(numbers: Ints) -> pl.Series:
    """Trading days from days since 1970."""
    return pl.Series(numbers).cast(pl.Int32).cast(pl.Date)


HAS_VALUE = (pl.col("coverage") == "received") & pl.col("units").is_not_null()
"""A tick that counts as evidence: the store reported it in full, with a value."""

TICK_PRICE = (
    pl.when((pl.col("units") > 0) & (pl.col("revenue") > 0))
    .then(pl.col("revenue").cast(pl.Float64) / pl.col("units").cast(pl.Float64))
    .otherwise(pl.when(pl.col("unit_price") > 0).then(pl.col("unit_price").cast(pl.Float64)))
)
"""Price per unit of one series tick: what was taken over what was sold, else the price that was named."""
