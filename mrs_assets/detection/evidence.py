"""What each tick says: units against expectation, with their noise and price, as dense arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer
from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.grid import HAS_VALUE, TICK_PRICE, Grid, build_grid


@dataclass(frozen=True)
class Evidence:
    """Ticks × series; zero where a tick is not evidence: not received in full, or nothing was expected of it.

    Attributes:
        grid: which tick and which series; rows before `grid.first` are look-back.
        counts: whether a tick is evidence.
        actual, expected: units.
        spread: dispersion × expected units.
        price: price per unit; NaN where unknown.
        closed: whether the store was closed, so that nothing could be known.
    """

    grid: Grid
    counts: Flags
    actual: Floats
    expected: Floats
    spread: Floats
    price: Floats
    closed: Flags

    def last_price(self, rows: Ints, columns: Ints, within_days: int) -> Floats:
        """Newest price known at given ticks (row, column), at most some days old; NaN where there is none."""
        own = np.arange(len(self.price))[:, None]
        newest = np.maximum.accumulate(np.where(np.isnan(self.price), -1, own), axis=0)[rows, columns]
        day = self.grid.axis.day
        fresh = (newest >= 0) & (day[rows] - day[np.maximum(newest, 0)] <= within_days)
        return np.where(fresh, self.price[np.maximum(newest, 0), columns], np.nan)


def read_evidence(
    series: pl.DataFrame,
    baseline: pl.DataFrame,
    *,
    retailer: Retailer,
    scope: Scope,
    days_before: int,
    keys: pl.DataFrame,
) -> Evidence:
    """Lay series and baseline rows of one retailer over each other.

    Args:
        series: rows of `sales_timeseries_data`, look-back included.
        baseline: rows of the baseline log, likewise.
        retailer: its zone and grain.
        scope: days to compute.
        days_before: look-back, days.
        keys: store_id, sku of the series to read.
    """
    grid = build_grid(series, retailer, scope, days_before, keys)
    closed = pl.when(pl.col("coverage") == "closed").then(1.0)
    units, price, shut = grid.scatter(series, [pl.when(HAS_VALUE).then(pl.col("units")), TICK_PRICE, closed])
    expected, dispersion = grid.scatter(baseline, [pl.col("expected_units"), pl.col("dispersion")])
    counts = ~(np.isnan(units) | np.isnan(expected) | np.isnan(dispersion))
    spread = np.where(counts, expected * dispersion, 0.0)
    return Evidence(
        grid=grid,
        counts=counts,
        actual=np.where(counts, units, 0.0),
        expected=np.where(counts, expected, 0.0),
        spread=spread,
        price=price,
        closed=~np.isnan(shut),
    )


def keys_of(*frames: pl.DataFrame) -> pl.DataFrame:
    """List the distinct series of some frames: store_id, sku."""
    return pl.concat([frame.select(SERIES) for frame in frames]).unique()
