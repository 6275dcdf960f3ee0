"""What a trained baseline may look at: facts that are known before a tick, whether or not anything sold in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from mrs_assets.contracts.calendar import public_holidays
from mrs_assets.contracts.settings import Retailer
from mrs_assets.detection.axis import EPOCH, Axis, Floats, Ints
from mrs_assets.detection.expectation import RECENT_DAYS, Expectation
from mrs_assets.detection.grid import Grid
from mrs_assets.detection.history import History, mean, total_of_days

FEATURES = (
    "log_expected",
    "recent_level",
    "middle_level",
    "weekday_factor",
    "weekday",
    "day_of_month",
    "minute_of_day",
    "days_to_holiday",
    "promoted",
    "promoted_before",
    "price_ratio",
)

LONGEST_PROMOTION = 331
"""Days after its first on which a promotion still counts; 366 days of promotions then answer for every look-back."""

FURTHEST_HOLIDAY = 15
PRICE_DAYS = 28


@dataclass(frozen=True)
class Surroundings:
    """What surrounds the sales of a block of series; NaN where nobody said.

    Attributes:
        promoted: ticks × series, 1 while a promotion runs, 0 otherwise; None where promotions are not known.
        price: days × series, mean price per unit.
        days_to_holiday: per tick, signed days to the nearest public holiday, negative before it.
    """

    promoted: Floats | None
    price: Floats
    days_to_holiday: Floats


def feature_matrix(axis: Axis, expectation: Expectation, around: Surroundings, first: int) -> Floats:
    """Features of every tick from row `first` on, in the order of `FEATURES`: (ticks × series) rows × features."""
    shape = expectation.expected.shape
    weekday = (axis.day[first:] + 3) % 7
    month_day = np.array([(EPOCH.fromordinal(EPOCH.toordinal() + int(day))).day for day in axis.day[first:]])
    unknown = np.full(shape, np.nan)
    promoted, promoted_before = unknown, unknown
    if around.promoted is not None:
        promoted = around.promoted[first:]
        promoted_before = History(axis, around.promoted).total_before(RECENT_DAYS, first) / len(RECENT_DAYS)
    columns = [
        np.log(np.ascontiguousarray(expectation.expected)),
        np.log(expectation.recent),
        np.log(expectation.middle),
        np.log(expectation.weekday),
        _per_tick(weekday, shape),
        _per_tick(month_day, shape),
        _per_tick(axis.minute[first:], shape),
        _per_tick(around.days_to_holiday[first:], shape),
        promoted,
        promoted_before,
        _price_ratio(axis, around.price, first),
    ]
    return np.stack([column.ravel() for column in columns], axis=1)


def _per_tick(values: Ints | Floats, shape: tuple[int, int]) -> Floats:
    return np.broadcast_to(values.astype(np.float64)[:, None], shape)


def _price_ratio(axis: Axis, price: Floats, first: int) -> Floats:
    # The newest price known before the day: the day's own is there only when something sold.
    first_day = int(axis.day_number[first])
    newest = np.full((len(price) - first_day, price.shape[1]), np.nan)
    for distance in range(PRICE_DAYS, 0, -1):
        earlier = price[first_day - distance : len(price) - distance]
        newest = np.where(np.isnan(earlier), newest, earlier)
    known = ~np.isnan(price)
    usual = mean(
        total_of_days(np.where(known, price, 0.0), RECENT_DAYS, first_day),
        total_of_days(known.astype(np.float64), RECENT_DAYS, first_day),
    )
    return (newest / usual)[axis.day_number[first:] - first_day]


def promoted_ticks(promotions: pl.DataFrame, grid: Grid) -> Floats:
    """Ticks × series: 1 while a promotion of the series runs, 0 otherwise. `*` stands for every store or product."""
    spans = promotions.select("store_id", "sku", "start_day", "end_day").with_columns(
        end_day=pl.min_horizontal("end_day", pl.col("start_day").dt.offset_by(f"{LONGEST_PROMOTION}d"))
    )
    numbered = grid.series.with_row_index("series")
    every = pl.lit("*")
    matched = pl.concat(
        numbered.with_columns(store_key=store, sku_key=sku)
        .join(spans, left_on=["store_key", "sku_key"], right_on=["store_id", "sku"])
        .select("series", "start_day", "end_day")
        for store, sku in (
            (pl.col("store_id"), pl.col("sku")),
            (pl.col("store_id"), every),
            (every, pl.col("sku")),
            (every, every),
        )
    )
    starts = np.searchsorted(grid.axis.day, matched["start_day"].to_physical().to_numpy())
    stops = np.searchsorted(grid.axis.day, matched["end_day"].to_physical().to_numpy(), side="right")
    change = np.zeros((len(grid.axis) + 1, grid.series.height), dtype=np.int64)
    columns = matched["series"].to_numpy()
    np.add.at(change, (starts, columns), 1)
    np.add.at(change, (np.maximum(stops, starts), columns), -1)
    running = np.cumsum(change, axis=0)[:-1]
    return (running > 0).astype(np.float64)


def daily_price(axis: Axis, price: Floats) -> Floats:
    """Mean of the known prices of each day: days × series, NaN where none is known.

    Args:
        axis: all ticks.
        price: price per unit, ticks × series; NaN where unknown.
    """
    known = ~np.isnan(price)
    return mean(History(axis, np.where(known, price, 0.0)).per_day(), History(axis, known.astype(np.float64)).per_day())


def holiday_distance(axis: Axis, retailer: Retailer) -> Floats:
    """Signed days from the retailer's nearest public holiday, at most `FURTHEST_HOLIDAY`, per tick of an axis."""
    margin = timedelta(days=FURTHEST_HOLIDAY)
    first, last = axis.business_day(0) - margin, axis.business_day(len(axis) - 1) + margin
    return days_to_holiday(axis, public_holidays(retailer, first, last))


def days_to_holiday(axis: Axis, holidays: Iterable[date]) -> Floats:
    """Signed days from the nearest public holiday, at most `FURTHEST_HOLIDAY`, per tick; negative before it."""
    nearest = np.full(len(axis), float(FURTHEST_HOLIDAY))
    for holiday in sorted(holidays):
        distance = (axis.day - (holiday - EPOCH).days).astype(np.float64)
        nearest = np.where(np.abs(distance) < np.abs(nearest), distance, nearest)
    return nearest
