"""One retailer's series with all that a baseline looks at, read into arrays and served in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from mrs_assets.contracts.calendar import public_holidays
from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer
from mrs_assets.detection.axis import EPOCH, Flags, Floats
from mrs_assets.detection.expectation import LOOKBACK, Expectation, expect
from mrs_assets.detection.features import (
    Surroundings,
    daily_price,
    feature_matrix,
    holiday_distance,
    promoted_ticks,
)
from mrs_assets.detection.grid import HAS_VALUE, TICK_PRICE, Grid, build_grid


@dataclass(frozen=True)
class Panel:
    """Arrays over a grid.

    Attributes:
        grid: ticks and series; rows before `grid.first` are look-back.
        units: ticks × series; NaN where a tick is not evidence.
        is_holiday: per tick.
        days_to_holiday: per tick; see `features`.
        promoted: ticks × series; None where nobody knows or asked.
        price: per unit, ticks × series; NaN where nobody knows or asked.
    """

    grid: Grid
    units: Floats
    is_holiday: Flags
    days_to_holiday: Floats
    promoted: Floats | None
    price: Floats

    def expectations(self) -> Iterator[tuple[slice, Expectation]]:
        """Seasonal expectation of the scope's ticks, block of series by block."""
        for columns in self.grid.blocks():
            units = np.ascontiguousarray(self.units[:, columns])
            yield columns, expect(self.grid.axis, units, self.is_holiday, self.grid.first)

    def features(self, columns: slice, expectation: Expectation) -> Floats:
        """Feature matrix of a block; see `features.FEATURES`."""
        promoted = None if self.promoted is None else np.ascontiguousarray(self.promoted[:, columns])
        price = daily_price(self.grid.axis, self.price[:, columns])
        around = Surroundings(promoted=promoted, price=price, days_to_holiday=self.days_to_holiday)
        return feature_matrix(self.grid.axis, expectation, around, self.grid.first)


def read_panel(
    series: pl.DataFrame,
    *,
    retailer: Retailer,
    scope: Scope,
    keys: pl.DataFrame,
    promotions: pl.DataFrame | None = None,
    for_model: bool = False,
) -> Panel:
    """Read series into arrays.

    Args:
        series: rows of `sales_timeseries_data` of one retailer, from `LOOKBACK` days before the scope on.
        retailer: its zone, grain and public holidays.
        scope: days to compute.
        keys: store_id, sku of the series to compute.
        promotions: rows of `promotions_log`; None where nobody knows.
        for_model: whether to read what only a trained model looks at.
    """
    grid = build_grid(series, retailer, scope, LOOKBACK, keys)
    axis = grid.axis
    values = [pl.when(HAS_VALUE).then(pl.col("units"))]
    dense = grid.scatter(series, [*values, TICK_PRICE] if for_model else values)
    holidays = public_holidays(retailer, axis.business_day(0), axis.business_day(len(axis) - 1))
    return Panel(
        grid=grid,
        units=dense[0],
        is_holiday=np.isin(axis.day, [(day - EPOCH).days for day in holidays]),
        days_to_holiday=holiday_distance(axis, retailer),
        promoted=promoted_ticks(promotions, grid) if for_model and promotions is not None else None,
        price=dense[1] if for_model else np.full_like(dense[0], np.nan),
    )


def whole_panel(series: pl.DataFrame, promotions: pl.DataFrame, retailer: Retailer, name: str) -> Panel:
    """Read all days of one retailer into arrays, for learning; a retailer without promotions tells none."""
    scope = Scope(series["business_day"].min(), series["business_day"].max(), name)  # type: ignore[arg-type]
    return read_panel(
        series,
        retailer=retailer,
        scope=scope,
        keys=series.select(SERIES),
        promotions=promotions if promotions.height else None,
        for_model=True,
    )
