"""What a block of series sold in the past, and sums over it at fixed distances in days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from mrs_assets.detection.axis import NOWHERE, Axis, Floats


@dataclass(frozen=True)
class History:
    """One quantity of a block of series, ticks × series, that can be looked back into.

    Sums add whole arrays in the order of the distances asked for, so that a tick's sum has the same bits
    whatever range it is computed in.

    Attributes:
        axis: the ticks.
        values: ticks × series; 0 where a tick does not count.
    """

    axis: Axis
    values: Floats

    def before(self, days: int, first: int) -> Floats:
        """Values at the same local time some days earlier, for the rows from `first` on; 0 where there is none."""
        if self.axis.is_regular:
            shift = days * self.axis.ticks_per_day
            return self.values[first - shift : len(self.values) - shift]
        rows = self.axis.rows_before(days, first)
        return np.where((rows == NOWHERE)[:, None], 0.0, self.values[rows])

    def total_before(self, days: Iterable[int], first: int) -> Floats:
        """Sum of the values at the same local time over several distances in days."""
        total = np.zeros((len(self.values) - first, self.values.shape[1]))
        for distance in days:
            total += self.before(distance, first)
        return total

    def per_day(self) -> Floats:
        """Sum over each trading day: days × series."""
        total = np.zeros((self.axis.days, self.values.shape[1]))
        for rows in self.axis.rows_of_day.T:
            total += np.where((rows == NOWHERE)[:, None], 0.0, self.values[rows])
        return total


def total_of_days(per_day: Floats, distances: Iterable[int], first_day: int) -> Floats:
    """Sum of daily values over several distances, for the days from `first_day` on: days × series."""
    total = np.zeros((len(per_day) - first_day, per_day.shape[1]))
    for distance in distances:
        total += per_day[first_day - distance : len(per_day) - distance]
    return total


def mean(total: Floats, count: Floats) -> Floats:
    """Total over count; NaN where nothing was counted."""
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
