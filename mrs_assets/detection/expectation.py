"""The seasonal expectation: masked, gapped means of the same weekday and time of day, and what they rest on.

Everything is computed for a block of series over ticks × series arrays, from the series' own past alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrs_assets.detection.axis import Axis, Flags, Floats
from mrs_assets.detection.history import History, mean, total_of_days
from mrs_assets.detection.masks import LONGEST_MARK, ROBUST_DAYS, anomalous_ticks, robust_expectation
from mrs_assets.detection.noise import PRIOR_DISPERSION, PRIOR_UNITS

MEAN_DAYS = range(8, 78)
"""Distances in days that the expectation rests on: ten weeks; the newest week is left out, since an anomaly
that is going on would raise its own expectation."""

RECENT_DAYS = range(8, 36)
WEEKDAYS = range(14, 78, 7)
UNGAPPED_DAYS = range(1, 78)

MARKED_DAYS = MEAN_DAYS[-1] + LONGEST_MARK - 1
LOOKBACK = MARKED_DAYS + ROBUST_DAYS[-1]
"""Days before a tick that its expectation depends on: 77 of means, 13 of marked windows, 55 of robust means."""

ENOUGH_DAYS = 14
"""Counted days at the same time of day from which a seasonal expectation is worth its name."""

WEEKDAY_PRIOR_UNITS = 20.0
"""Pseudo-units that draw a weekday's factor towards 1: its usual spread of .22, as a gamma prior's shape."""

LEVEL_PRIOR_UNITS = 60.0
"""Pseudo-units that draw the newest four weeks' level towards ten weeks': a usual change of .13."""

UNKNOWN_SEASON_VARIANCE = 0.16
"""Squared relative error of a mean that does not know the weekday yet: factors of grocery stores spread by .4."""


@dataclass(frozen=True)
class Expectation:
    """What a block of series should have sold, rows from the scope's first tick on × series.

    Attributes:
        expected: units; NaN where nothing at all is known.
        dispersion: variance per unit of expectation, the expectation's own error from few days included.
        is_seasonal: whether there was enough history; elsewhere the expectation is a plain mean.
        level: mean units at the same time of day over ten weeks.
        recent, middle: mean of four and of eight weeks over that of ten.
        weekday: the weekday's factor.
        days: counted days at the same time of day.
    """

    expected: Floats
    dispersion: Floats
    is_seasonal: Flags
    level: Floats
    recent: Floats
    middle: Floats
    weekday: Floats
    days: Floats


def expect(axis: Axis, units: Floats, holidays: Flags, first: int) -> Expectation:
    """Say what a block of series should have sold.

    Args:
        axis: all ticks, from `LOOKBACK` days before the scope on.
        units: ticks × series; NaN where a tick is not evidence.
        holidays: per tick, whether its day is a public holiday; those stay out of every mean.
        first: row of the scope's first tick, the first of its day.
    """
    received = ~np.isnan(units)
    filled = np.where(received, units, 0.0)
    marked_from = _row_of_day(axis, first, MARKED_DAYS)
    all_units, all_counted = History(axis, filled), History(axis, received.astype(np.float64))
    robust, robust_dispersion = robust_expectation(all_units, all_counted, marked_from)
    recent = slice(marked_from, None)
    marks = anomalous_ticks(
        axis.tail(marked_from), filled[recent], all_counted.values[recent], robust, robust_dispersion
    )

    usable = received & ~holidays[:, None]
    usable[recent] &= ~marks
    counted = History(axis, usable.astype(np.float64))
    kept = History(axis, np.where(usable, units, 0.0))
    total, days = kept.total_before(MEAN_DAYS, first), counted.total_before(MEAN_DAYS, first)
    level = mean(total, days)
    same, weekdays = kept.total_before(WEEKDAYS, first), counted.total_before(WEEKDAYS, first)
    base = np.where(days > 0, level, 0.0)
    weekday = (same + WEEKDAY_PRIOR_UNITS) / (weekdays * base + WEEKDAY_PRIOR_UNITS)
    month, two_months = _levels(axis, kept, counted, first)
    seasonal = np.maximum(base * weekday * month, 0.5 / (days + 1.0))

    is_seasonal = days >= ENOUGH_DAYS
    plain, plain_days = seasonal, days
    if not is_seasonal.all():
        plain_days = all_counted.total_before(UNGAPPED_DAYS, first)
        plain_total = all_units.total_before(UNGAPPED_DAYS, first)
        plain = np.where(plain_days > 0, np.maximum(mean(plain_total, plain_days), 0.5 / (plain_days + 1.0)), np.nan)
    expected = np.where(is_seasonal, seasonal, plain)
    dispersion = _dispersion(axis, filled=filled, usable=usable, robust=robust, marked_from=marked_from, first=first)
    dispersion = dispersion * (1.0 + 7.0 / np.maximum(np.where(is_seasonal, days, plain_days), 1.0))
    dispersion = np.where(is_seasonal, dispersion, dispersion + UNKNOWN_SEASON_VARIANCE * expected)
    return Expectation(expected, dispersion, is_seasonal, base, month, two_months, weekday, days)


def _row_of_day(axis: Axis, first: int, days_before: int) -> int:
    day = int(axis.day_number[first]) - days_before
    return int(np.searchsorted(axis.day_number, day))


def _levels(axis: Axis, kept: History, counted: History, first: int) -> tuple[Floats, Floats]:
    """Mean of the last four and eight weeks over that of ten, drawn towards 1, per tick."""
    first_day = int(axis.day_number[first])
    daily, ticks = kept.per_day(), counted.per_day()
    overall = mean(total_of_days(daily, MEAN_DAYS, first_day), total_of_days(ticks, MEAN_DAYS, first_day))
    overall = np.where(np.isnan(overall), 0.0, overall)
    rows = axis.day_number[first:] - first_day
    ratios = []
    for days in (RECENT_DAYS, range(8, 64)):
        total, count = total_of_days(daily, days, first_day), total_of_days(ticks, days, first_day)
        ratios.append(((total + LEVEL_PRIOR_UNITS) / (count * overall + LEVEL_PRIOR_UNITS))[rows])
    return ratios[0], ratios[1]


def _dispersion(axis: Axis, *, filled: Floats, usable: Flags, robust: Floats, marked_from: int, first: int) -> Floats:
    """Quasi-Poisson dispersion over the unmarked ticks of ten weeks, drawn towards the prior, per tick."""
    tail = axis.tail(marked_from)
    counts = usable[marked_from:] & ~np.isnan(robust)
    residual = filled[marked_from:] - robust
    squares = History(tail, np.where(counts, residual * residual, 0.0)).per_day()
    expected = History(tail, np.where(counts, robust, 0.0)).per_day()
    first_day = int(axis.day_number[first]) - int(axis.day_number[marked_from])
    numerator = total_of_days(squares, MEAN_DAYS, first_day) + PRIOR_UNITS * PRIOR_DISPERSION
    denominator = total_of_days(expected, MEAN_DAYS, first_day) + PRIOR_UNITS
    return np.maximum(numerator / denominator, 1.0)[axis.day_number[first:] - int(axis.day_number[first])]
