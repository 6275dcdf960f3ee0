"""What a report's window was worth: uplift in units and money, with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.evidence import Evidence
from mrs_assets.detection.noise import EIGHTY_PERCENT, signed_root_deviance, variance
from mrs_assets.detection.reports import REPORT_DAYS

CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Impact:
    """One value per window; NaN where no tick of the window is evidence any more, such as after a correction.

    Attributes:
        in_money: whether a price is known; the amounts are units where not.
        attributed, baseline: actual and expected sales.
        half: half-width of the 80 % interval around attributed − baseline.
        uplift_units: actual − expected units.
        z: signed root deviance of the window.
    """

    in_money: Flags
    attributed: Floats
    baseline: Floats
    half: Floats
    uplift_units: Floats
    z: Floats


def impact_of(evidence: Evidence, start: Ints, last: Ints, tick: Ints, column: Ints) -> Impact:
    """Impact of windows (first row, last row, row of the tick that judges, series), received ticks only.

    A tick without a price of its own, such as one without sales, is valued at the newest price known at the tick.
    Windows begin at most `REPORT_DAYS` before the tick.
    """
    width = int((last - start).max(initial=0)) + 1
    step = max(1, CELLS_AT_ONCE // width)
    parts = [
        _some(evidence, start[part], last[part], tick[part], column[part])
        for part in (slice(begin, begin + step) for begin in range(0, max(len(start), 1), step))
    ]
    return Impact(*(np.concatenate([getattr(part, name) for part in parts]) for name in Impact.__dataclass_fields__))


def _some(evidence: Evidence, start: Ints, last: Ints, tick: Ints, column: Ints) -> Impact:
    rows = start[None, :] + np.arange(int((last - start).max(initial=0)) + 1)[:, None]
    inside = rows <= last[None, :]
    at = (np.minimum(rows, last[None, :]), np.broadcast_to(column, rows.shape))
    says = inside & evidence.counts[at]
    actual = np.where(says, evidence.actual[at], 0.0)
    expected = np.where(says, evidence.expected[at], 0.0)
    newest = evidence.last_price(tick, column, REPORT_DAYS)
    price = np.where(np.isnan(evidence.price[at]), newest[None, :], evidence.price[at])
    in_money = np.count_nonzero(np.isnan(np.where(says, price, 0.0)), axis=0) == 0
    value = np.where(in_money[None, :] & says, price, 1.0)
    y, e, s = _sum(actual), _sum(expected), _sum(np.where(says, evidence.spread[at], 0.0))
    attributed, baseline = _sum(actual * value), _sum(expected * value)
    per_unit = np.where(e > 0, baseline / np.where(e > 0, e, 1.0), 1.0)
    unknown = np.where(np.any(says, axis=0), 0.0, np.nan)
    return Impact(
        in_money=in_money,
        attributed=attributed + unknown,
        baseline=baseline + unknown,
        half=EIGHTY_PERCENT * np.sqrt(variance(e, s)) * per_unit + unknown,
        uplift_units=y - e + unknown,
        z=signed_root_deviance(y, e, s) + unknown,
    )


def _sum(values: Floats) -> Floats:
    # One after the other from the first row on, so that the bits do not depend on the other windows.
    return np.cumsum(values, axis=0)[-1]
