"""Which past ticks were anomalous themselves, so that they stay out of what is expected later.

A tick's mark rests on the 55 days before it, the 13 days around it and the 7 days after it, never on earlier
marks: the look-back is finite and a correction reaches no further than it.
"""

from __future__ import annotations

import numpy as np

from mrs_assets.detection.axis import Axis, Flags, Floats
from mrs_assets.detection.history import History, mean, total_of_days
from mrs_assets.detection.noise import PRIOR_DISPERSION, signed_root_deviance

ROBUST_DAYS = range(7, 56)
"""Distances that the robust expectation rests on: seven weeks, without the newest six days."""

LONGEST_MARK = 14
"""Longest window marked at once, in ticks or days."""

MARK_AHEAD_DAYS = 7
"""How many later days may still mark a tick; the baseline's gap leaves exactly these out."""

MARK_Z = 5.0
"""Score from which a past window is marked; lower ones would cut the ordinary tail off and bias the mean."""

EDGE_Z = 0.7
"""Score that the newest tick of a marked window needs on its own, so that a mark does not trail behind."""

_SEASONAL_PRIOR_UNITS = 4.0
_CAP_TIMES, _CAP_PLUS = 3.0, 3.0
_MEAN_DEVIATION_TO_SD = 1.2533
_PRIOR_TICKS = 10.0
_LARGEST_DISPERSION = 50.0


def robust_expectation(units: History, counted: History, first: int) -> tuple[Floats, Floats]:
    """Estimate units and dispersion from the trailing weeks, robust against anomalies in fewer than half of them.

    The level is the median of seven weekly means; the same weekday and time, capped, shapes it.

    Returns:
        Two arrays, rows from `first` on × series; NaN where nothing is known.
    """
    total, count = units.total_before(ROBUST_DAYS, first), counted.total_before(ROBUST_DAYS, first)
    level = mean(total, count) * _level_correction(units, counted, first)
    cap = _CAP_TIMES * level + _CAP_PLUS
    same_weekday, weekdays = np.zeros_like(total), np.zeros_like(total)
    deviation = np.zeros_like(total)
    for days in ROBUST_DAYS:
        value, weight = units.before(days, first), counted.before(days, first)
        deviation += np.abs(value - level) * weight
        if days % 7 == 0:
            same_weekday += np.minimum(value, cap)
            weekdays += weight
    seasonal = (same_weekday + _SEASONAL_PRIOR_UNITS) / (weekdays * level + _SEASONAL_PRIOR_UNITS)
    spread = _MEAN_DEVIATION_TO_SD * deviation / np.maximum(count, 1.0)
    raw = np.minimum(spread * spread / np.maximum(level, 0.05), _LARGEST_DISPERSION)
    dispersion = (count * raw + _PRIOR_TICKS * PRIOR_DISPERSION) / (count + _PRIOR_TICKS)
    floor = 0.5 / (count + 1.0)
    expected = np.where(count >= 14, np.maximum(level * seasonal, floor), np.nan)
    return expected, np.maximum(dispersion, 1.0)


def _level_correction(units: History, counted: History, first: int) -> Floats:
    """Median of the weekly means over their mean, per tick: what robustness does to the level."""
    axis = units.axis
    first_day = int(axis.day_number[first])
    daily, days_counted = units.per_day(), counted.per_day()
    weeks = []
    for week in range(1, 8):
        distances = range(7 * week, 7 * week + 7)
        weeks.append(
            mean(total_of_days(daily, distances, first_day), total_of_days(days_counted, distances, first_day))
        )
    ordered = np.sort(np.stack(weeks), axis=0)  # NaN last
    known = np.sum(~np.isnan(ordered), axis=0)
    low = np.take_along_axis(ordered, np.maximum(known - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, known[None] // 2, axis=0)[0]
    median = (low + high) / 2.0
    overall = mean(total_of_days(daily, ROBUST_DAYS, first_day), total_of_days(days_counted, ROBUST_DAYS, first_day))
    ratio = np.where(overall > 0, median / np.where(overall > 0, overall, 1.0), 1.0)
    return ratio[axis.day_number[first:] - first_day]


def anomalous_ticks(axis: Axis, units: Floats, counted: Floats, expected: Floats, dispersion: Floats) -> Flags:
    """Ticks that lie in a window that deviated: in single ticks and, within a day's grain, in whole days too.

    Args:
        axis: ticks of the rows given (a tail of the full axis).
        units: ticks × series, 0 where not counted.
        counted: 1 where a tick counts, else 0.
        expected: of `robust_expectation`.
        dispersion: of `robust_expectation`.
    """
    known = counted * ~np.isnan(expected)
    actual, expectation = units * known, np.where(known > 0, expected, 0.0)
    spread = expectation * dispersion
    if axis.ticks_per_day == 1:
        return _marked(actual, expectation, spread, MARK_AHEAD_DAYS)
    ticks = _marked(actual, expectation, spread, LONGEST_MARK - 1)
    sums = [History(axis, values).per_day() for values in (actual, expectation, spread)]
    days = _marked(sums[0], sums[1], sums[2], MARK_AHEAD_DAYS)
    return ticks | days[axis.day_number]


def _marked(actual: Floats, expected: Floats, spread: Floats, ahead: int) -> Flags:
    """Rows within the best window that ends at them or up to `ahead` rows later."""
    rows = len(actual)
    y, e, s = np.zeros_like(actual), np.zeros_like(actual), np.zeros_like(actual)
    best, length, edge = np.zeros_like(actual), np.zeros(actual.shape, dtype=np.int64), np.zeros_like(actual)
    for ticks in range(1, min(LONGEST_MARK, rows) + 1):
        cut = ticks - 1
        y[cut:] += actual[: rows - cut]
        e[cut:] += expected[: rows - cut]
        s[cut:] += spread[: rows - cut]
        z = signed_root_deviance(y, e, s)
        if ticks == 1:
            edge = z
        better = (np.abs(z) > np.abs(best)) & (edge * np.sign(z) >= EDGE_Z)
        better[:cut] = False
        best = np.where(better, z, best)
        length = np.where(better, ticks, length)
    length = np.where(np.abs(best) >= MARK_Z, length, 0)
    marks = np.zeros(actual.shape, dtype=np.bool_)
    for later in range(min(ahead, rows - 1) + 1):
        marks[: rows - later] |= length[later:] > later
    return marks
