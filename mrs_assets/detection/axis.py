"""The time axis of a retailer: every tick of a span of trading days, and how far one local time lies from another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_assets.contracts.calendar import business_day, day_start, tick_end
from mrs_assets.contracts.settings import Retailer

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EPOCH = date(1970, 1, 1)
NOWHERE = -1
"""Row number of a tick that does not exist, such as 02:00 on the day the clocks go forward."""


@dataclass(frozen=True)
class Axis:
    """Ticks in order, each with its local trading day and its local time of day.

    Attributes:
        ts, ends: start and end of each tick, microseconds since 1970 UTC.
        day: trading day of each tick, days since 1970.
        minute: local time of day at which each tick begins, minutes.
        ticks_per_day: ticks in a day of 24 hours.
    """

    ts: Ints
    ends: Ints
    day: Ints
    minute: Ints
    ticks_per_day: int

    def __len__(self) -> int:
        return len(self.ts)

    @cached_property
    def is_regular(self) -> bool:
        """Whether every day has the same ticks, so that a day back is a fixed number of ticks back."""
        per_day = self.ticks_per_day
        if len(self) % per_day:
            return False
        days, minutes = self.day.reshape(-1, per_day), self.minute.reshape(-1, per_day)
        return bool((days == days[:1] + np.arange(len(days))[:, None]).all() and (minutes == minutes[:1]).all())

    @cached_property
    def day_number(self) -> Ints:
        """Trading day of each tick, counted from the first day of the axis."""
        return self.day - self.day[0]

    @cached_property
    def days(self) -> int:
        """Number of trading days that the axis spans."""
        return int(self.day_number[-1]) + 1

    @cached_property
    def _row_of_time(self) -> Ints:
        # Days × minutes → first row. The repeated hour in autumn points to its first pass.
        table = np.full((self.days, 1440), NOWHERE, dtype=np.int64)
        rows = np.arange(len(self))[::-1]
        table[self.day_number[::-1], self.minute[::-1]] = rows
        return table

    @cached_property
    def rows_of_day(self) -> Ints:
        """Days × position → rows of each day in order, filled up with `NOWHERE`."""
        first = np.searchsorted(self.day_number, np.arange(self.days))
        count = np.searchsorted(self.day_number, np.arange(self.days), side="right") - first
        rows = first[:, None] + np.arange(max(1, int(count.max())))[None, :]
        return np.where(rows < (first + count)[:, None], rows, NOWHERE)

    def rows_before(self, days: int, first_row: int) -> Ints:
        """For each row from `first_row` on: the row of the same local time some days earlier, or `NOWHERE`."""
        earlier = self.day_number[first_row:] - days
        rows = self._row_of_time[np.maximum(earlier, 0), self.minute[first_row:]]
        return np.where(earlier >= 0, rows, NOWHERE)

    def tail(self, first_row: int) -> Axis:
        """Leave out the ticks before a row."""
        part = slice(first_row, None)
        return Axis(self.ts[part], self.ends[part], self.day[part], self.minute[part], self.ticks_per_day)

    def first_row(self, day: date) -> int:
        """Row of the first tick on or after a trading day."""
        return int(np.searchsorted(self.day, (day - EPOCH).days))

    def rows_starting_at(self, instants: Ints) -> Ints:
        """Rows of the ticks that begin at given instants; `NOWHERE` where none does."""
        return _exact(self.ts, instants)

    def rows_ending_at(self, instants: Ints) -> Ints:
        """Rows of the ticks that end at given instants; `NOWHERE` where none does."""
        return _exact(self.ends, instants)

    def business_day(self, row: int) -> date:
        """Trading day of a row."""
        return EPOCH + timedelta(days=int(self.day[row]))


def _exact(sorted_instants: Ints, wanted: Ints) -> Ints:
    place = np.minimum(np.searchsorted(sorted_instants, wanted), len(sorted_instants) - 1)
    return np.where(sorted_instants[place] == wanted, place, NOWHERE)


def build_axis(retailer: Retailer, first_day: date, last_day: date, extra: pl.Series | None = None) -> Axis:
    """Every tick of the retailer's grain in the days, both included.

    Args:
        retailer: its zone and grain; days of 23 and 25 hours have the ticks that their local time has.
        first_day: first trading day.
        last_day: last trading day.
        extra: instants off the grain (UTC) that have rows nevertheless.
    """
    begin, end = day_start(first_day, retailer), day_start(last_day + timedelta(days=1), retailer)
    if retailer.grain == "1d":
        ticks = pl.Series(
            [day_start(first_day + timedelta(days=n), retailer) for n in range((last_day - first_day).days + 1)]
        )
    else:
        step = min(retailer.grain_length, timedelta(minutes=15))
        fine = pl.datetime_range(
            begin, end, step, closed="left", time_unit="us", time_zone=retailer.timezone, eager=True
        )
        ticks = fine.dt.truncate(retailer.grain)
    starts = ticks.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if extra is not None and len(extra):
        starts = pl.concat([starts, extra.cast(starts.dtype)])
    local = pl.col("ts").dt.convert_time_zone(retailer.timezone)
    frame = (
        pl.DataFrame({"ts": starts.unique().sort()})
        .with_columns(day=business_day(pl.col("ts"), retailer), tick=tick_end(pl.col("ts"), retailer))
        .with_columns(minute=local.dt.hour().cast(pl.Int64) * 60 + local.dt.minute())
        .filter(pl.col("day").is_between(first_day, last_day))
    )
    return Axis(
        ts=frame["ts"].to_physical().to_numpy().copy(),
        ends=frame["tick"].to_physical().to_numpy().copy(),
        day=frame["day"].to_physical().cast(pl.Int64).to_numpy().copy(),
        minute=frame["minute"].to_numpy().copy(),
        ticks_per_day=retailer.ticks_per_day,
    )
