"""The window scan: at each tick, the trailing windows that deviate most from their expectation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.detection.axis import Floats, Ints
from mrs_assets.detection.noise import signed_root_deviance

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
    actual: Floats, expected: Floats, spread: Floats, *, first: int, longest: int
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
    """
    rows, shape = len(actual), (len(actual) - first, actual.shape[1])
    y, e, s = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    up, down = np.zeros(shape), np.zeros(shape)
    up_ticks, down_ticks = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for ticks in range(1, min(longest, first + 1) + 1):
        part = slice(first - ticks + 1, rows - ticks + 1)
        y += actual[part]
        e += expected[part]
        s += spread[part]
        z = signed_root_deviance(y, e, s)
        higher, lower = z > up, z < down
        np.copyto(up, z, where=higher)
        np.copyto(up_ticks, ticks, where=higher)
        np.copyto(down, z, where=lower)
        np.copyto(down_ticks, ticks, where=lower)
    return Windows(up, up_ticks), Windows(down, down_ticks)


def trailing_sums(values: Floats, rows: Ints, columns: Ints, longest: int) -> Floats:
    """Add up the 1 … `longest` newest ticks up to given ones (row, column), oldest last: lengths × given."""
    back = rows[None, :] - np.arange(longest)[:, None]
    newest_first = np.where(back >= 0, values[np.maximum(back, 0), columns[None, :]], 0.0)
    return np.cumsum(newest_first, axis=0)
