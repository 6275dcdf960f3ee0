"""The window scan: at each tick, the trailing windows that deviate most from their expectation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.detection.axis import Floats, Ints
from mrs_assets.detection.noise import RELATIVE_BASELINE_ERROR, signed_root_deviance

SCAN_DAYS = 60
"""Days that a window may reach back, whatever `max_window_ticks` says: the stage reads no further."""


@dataclass(frozen=True)
class Windows:
    """The best window that ends at each tick, in one direction; ticks × series.

    Attributes:
        z: its score, signed; 0 where no window deviates in the direction.
        ticks: its length.
    """

    z: Floats
    ticks: Ints


def longest_window(settings: Settings, retailer: Retailer) -> int:
    """Ticks of the longest window looked at."""
    return min(settings.detection.max_window_ticks, SCAN_DAYS * retailer.ticks_per_day)


def best_windows(
    actual: Floats, expected: Floats, spread: Floats, *, first: int, longest: int, least: float
) -> tuple[Windows, Windows]:
    """Find the best window upwards and the best one downwards that end at each row from `first` on.

    Of equal windows the shortest wins, so that a window begins with a tick that says something. Sums run from
    the newest tick to the oldest one.

    Args:
        actual: units, ticks × series, zero where a tick says nothing; see `Evidence`.
        expected: expected units, likewise.
        spread: dispersion × expected units, likewise.
        first: first row to scan; at least `longest` rows of look-back come before it, or all there are.
        longest: longest window, in ticks.
        least: score under which a window need not be found.
    """
    rows, shape = len(actual), (len(actual) - first, actual.shape[1])
    y, e, s, apart, enough, share = (np.zeros(shape) for _ in range(6))
    up, down = np.zeros(shape), np.zeros(shape)
    up_ticks, down_ticks = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    # Twice Pearson's statistic is never less than the deviance, and needs no logarithm: it says where to look.
    factor = least * least / 2.0
    for ticks in range(1, min(longest, first + 1) + 1):
        part = slice(first - ticks + 1, rows - ticks + 1)
        y += actual[part]
        e += expected[part]
        s += spread[part]
        np.subtract(y, e, out=apart)
        apart *= apart
        np.multiply(e, e, out=enough)
        enough *= factor * RELATIVE_BASELINE_ERROR**2
        np.multiply(s, factor, out=share)
        enough += share
        at = np.flatnonzero(apart > enough)
        z = signed_root_deviance(y.ravel()[at], e.ravel()[at], s.ravel()[at])
        for best, length, sign in ((up, up_ticks, 1.0), (down, down_ticks, -1.0)):
            better = z * sign > best.ravel()[at] * sign
            best.ravel()[at[better]] = z[better]
            length.ravel()[at[better]] = ticks
    return Windows(up, up_ticks), Windows(down, down_ticks)


def trailing_sums(values: Floats, rows: Ints, columns: Ints, longest: int) -> Floats:
    """Add up the 1 … `longest` newest ticks up to given ones (row, column), oldest last: lengths × given."""
    back = rows[None, :] - np.arange(longest)[:, None]
    newest_first = np.where(back >= 0, values[np.maximum(back, 0), columns[None, :]], 0.0)
    return np.cumsum(newest_first, axis=0)
