"""The feature vector: one report's shape, size and footprint as numbers. No frames and no library."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS = 16
"""Points to which a window of any length is resampled."""

SHAPE_TICKS = 60
"""Longest window described, in ticks; of a longer one the newest ticks are described."""

SHARES = ("store_share", "item_share", "retailer_share")
"""How much else moves: shares of the store's, the item's and the retailer's other series."""

NAMES = (
    *(f"shape_{point:02d}" for point in range(POINTS)),
    "log_amplitude",
    "log_duration",
    "slope",
    "deviation",
    "zero_share",
    "level_before",
    "level_after",
    "distance_to_double",
    *SHARES,
    "parity",
)
"""Names of the vector's elements, in order."""

FEWEST_COUNTS, MOST_COUNTS = 3, 6
"""Ticks with sales from which on, and up to which, their all being even says something."""

FEWEST_BEFORE, USUAL_EVEN_SHARE = 7, 0.6
"""Counts before the window from which on the usual share of even ones is known, and up to which it is ordinary."""

SMALLEST_COUNT = 0.5
SMALLEST_SHARE = 0.05


@dataclass(frozen=True)
class Windows:
    """Windows to describe, one per row.

    Attributes:
        actual, expected: units per tick, rows × SHAPE_TICKS, left-aligned; NaN where nothing is known.
        length: ticks in the window.
        actual_before, expected_before: sums over the 28 days before the window.
        actual_after, expected_after: sums from the window's end to the report's tick.
        footprint: rows × 3: shares of the store's, item's and retailer's other series that move alike; NaN
            where there are no others.
    """

    actual: Array
    expected: Array
    length: NDArray[np.int64]
    actual_before: Array
    expected_before: Array
    actual_after: Array
    expected_after: Array
    footprint: Array
    even_before: Array


def log_ratio(actual: Array, expected: Array) -> Array:
    """log((actual + c) / (expected + c)) with c = max(0.5 units, 5 % of expected).

    The pseudo-count keeps a zero finite: between log(0.05 / 1.05) = -3.0 for big series and nearer to 0 for
    small ones, where a zero says less. Net returns count as zero.
    """
    count = np.maximum(SMALLEST_COUNT, SMALLEST_SHARE * expected)
    return np.log((np.maximum(actual, 0.0) + count) / (expected + count))


def told(shares: Array) -> Array:
    """Shares of other series as a vector tells them: in tenths.

    Half of what entries of a library tell apart; and a store more or less out of a hundred changes no other's vector.
    """
    return np.round(shares, 1)


def vectors(windows: Windows) -> Array:
    """Feature vectors: rows × len(NAMES), rounded to 6 decimals; NaN where a feature cannot be known.

    A row without a single known tick is NaN throughout.
    """
    known = np.isfinite(windows.actual) & np.isfinite(windows.expected)
    actual = np.where(known, windows.actual, 0.0)
    expected = np.where(known, windows.expected, 0.0)
    ratios = np.where(known, log_ratio(actual, expected), 0.0)
    count = _row_sum(known.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = _row_sum(ratios) / count
        spread = np.sqrt(_row_sum(np.where(known, (ratios - mean[:, None]) ** 2, 0.0)) / count)
        zero_share = _row_sum((known & (actual <= 0)).astype(float)) / count
        amplitude = log_ratio(_row_sum(actual) / count, _row_sum(expected) / count)
    shape = _resampled(ratios, known, windows.length)
    slope = (_row_sum(shape[:, -4:]) - _row_sum(shape[:, :4])) / 4
    columns = np.column_stack(
        [
            shape,
            amplitude,
            np.log(windows.length.astype(float)),
            slope,
            spread,
            zero_share,
            _level(windows.actual_before, windows.expected_before),
            _level(windows.actual_after, windows.expected_after),
            np.abs(amplitude - np.log(2.0)),
            told(windows.footprint),
            _parity(np.where(known, windows.actual, np.nan), windows.even_before),
        ]
    )
    columns[count == 0] = np.nan
    return np.round(columns, 6) + 0.0


def _row_sum(matrix: Array) -> Array:
    # Column by column: the order of additions, and so the last bit, does not depend on how many rows there are.
    total = np.zeros(matrix.shape[0])
    for column in range(matrix.shape[1]):
        total = total + matrix[:, column]
    return total


def _parity(actual: Array, even_before: Array) -> Array:
    """½ per tick that sold something where all of them sold an even number (each twice?), −1 where not.

    NaN under FEWEST_COUNTS ticks, and where counts are usually even anyway; counts up to MOST_COUNTS ticks.
    """
    some = actual > 0
    count = _row_sum(some.astype(float))
    even = _row_sum((some & (np.mod(actual, 2.0) == 0)).astype(float))
    told = np.where(even == count, np.minimum(count, MOST_COUNTS) / 2, -1.0)
    return np.where((count >= FEWEST_COUNTS) & (even_before <= USUAL_EVEN_SHARE), told, np.nan)


def even_share(even: Array, some: Array) -> Array:
    """Share of even counts; NaN under FEWEST_BEFORE counts."""
    return np.where(some >= FEWEST_BEFORE, even / np.maximum(some, 1.0), np.nan)


def _level(actual: Array, expected: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, log_ratio(actual, expected), np.nan)


def _resampled(ratios: Array, known: NDArray[np.bool_], length: NDArray[np.int64]) -> Array:
    """Log ratios at POINTS equidistant places from the first tick to the last, across unknown ticks linearly."""
    width = ratios.shape[1]
    place = np.arange(width)
    before = np.maximum.accumulate(np.where(known, place, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, place, width)[:, ::-1], axis=1)[:, ::-1]
    before, after = np.where(before < 0, after, before), np.where(after >= width, before, after)
    rows = np.arange(ratios.shape[0])[:, None]
    target = np.arange(POINTS) * (length[:, None] - 1) / (POINTS - 1)
    lower = np.floor(target).astype(int)
    upper = np.ceil(target).astype(int)
    left = np.clip(before[rows, lower], 0, width - 1)
    right = np.clip(after[rows, upper], 0, width - 1)
    gap = right - left
    weight = np.clip(np.where(gap > 0, (target - left) / np.where(gap > 0, gap, 1), 0.0), 0.0, 1.0)
    return ratios[rows, left] * (1 - weight) + ratios[rows, right] * weight
