"""What the classifier may look at: a window, the ticks before it, the series' own noise, and its own store's others.

Nothing lies after the window's newest tick, and nothing in another store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.evidence import Evidence
from mrs_assets.detection.grid import Grid
from mrs_assets.detection.noise import signed_root_deviance
from mrs_assets.detection.scan import SCAN_DAYS
from mrs_assets.detection.windows import Found

BEFORE = 28
"""Ticks before a window that it is compared with."""

LOOKBACK = SCAN_DAYS + BEFORE
"""Days before a tick that its windows and their surroundings reach back."""

LENGTHS = (1, 2, 3, 7, 14, 28)
"""Trailing lengths, in ticks, that are scored whatever the best window is."""

OUTLYING = 2.5
"""Standard deviations from which a single tick is counted as outlying."""

ITEM_FEATURES = ("item_mean_square", "item_high", "item_very_high", "item_low")
"""What the series of a product do when nothing happens: mean squared score of a tick, and the shares of ticks far
above and below their expectation. Learnt once, so that a row looks at no other store."""

WINDOW_FEATURES = (
    "scan_z",
    "direction",
    "log_ticks",
    "log_ratio",
    "off_twice",
    "log_expected",
    "log_expected_per_tick",
    "dispersion",
    "highest_z",
    "lowest_z",
    "mean_z",
    "spread_of_z",
    "peak_position",
    "peak_share",
    "zero_share",
    "decay",
    "onset_z",
    "unknown_share",
    *(f"z_{length}" for length in LENGTHS),
    "before_7_z",
    "before_28_z",
    "step_z",
    "step_log_ratio",
    "noise_mean_square",
    "noise_highest",
    "noise_highest_in_direction",
    "noise_kurtosis",
    "noise_lag_1",
    "noise_lag_7",
    "noise_outlying",
    "noise_outlying_in_direction",
    "noise_zero_share",
    "store_z",
    "store_log_ratio",
    "store_newest_z",
    "store_share_in_direction",
    "store_log_expected",
    "price_log_ratio",
    "days_to_holiday",
    "holiday_in_window",
    "closed_nearby",
    "weekday",
    *ITEM_FEATURES,
)

EVERY_ITEM = "*"
UNKNOWN_HABITS = (np.nan,) * len(ITEM_FEATURES)

Features = npt.NDArray[np.float32]
Taken = Callable[[Floats | Flags, Ints], Floats]
"""Ticks × windows of an array over ticks × columns, newest tick first."""


@dataclass(frozen=True)
class Stores:
    """Each store's sums, ticks × stores, over all of its series, and which series are whose.

    Attributes:
        of: store of each series.
        actual, expected, spread: units.
    """

    of: Ints
    actual: Floats
    expected: Floats
    spread: Floats


def store_sums(evidence: Evidence) -> Stores:
    """Sum the series of each store, in their order, so that the bits do not depend on other stores."""
    names = evidence.grid.series["store_id"].to_numpy()
    begins = np.concatenate([[0], np.nonzero(names[1:] != names[:-1])[0] + 1, [len(names)]]).astype(np.int64)
    sums = []
    for values in (evidence.actual, evidence.expected, evidence.spread):
        total = np.zeros((len(values), len(begins) - 1))
        for store, (begin, end) in enumerate(pairwise(begins)):
            for column in range(begin, end):
                total[:, store] += values[:, column]
        sums.append(total)
    return Stores(np.repeat(np.arange(len(begins) - 1), np.diff(begins)), *sums)


def describe(
    evidence: Evidence,
    found: Found,
    *,
    longest: int,
    days_to_holiday: Floats,
    habits: Mapping[str, tuple[float, ...]],
) -> Features:
    """Features of windows, windows × `WINDOW_FEATURES`.

    Args:
        evidence: every series of the stores, from `LOOKBACK` days before the first window's newest tick on.
        found: the windows.
        longest: longest window, in ticks.
        days_to_holiday: per tick; see `features`.
        habits: product → values of `ITEM_FEATURES`; a product that is not among them is like `EVERY_ITEM`.
    """
    stores = store_sums(evidence)
    items = np.array(
        [habits.get(item, habits.get(EVERY_ITEM, UNKNOWN_HABITS)) for item in evidence.grid.series["sku"]]
    ).reshape(-1, len(ITEM_FEATURES))
    same = _candidates_alike(evidence.grid, stores, found)
    matrix = np.empty((len(found), len(WINDOW_FEATURES)), dtype=np.float32)
    for part, some in found.parts():
        columns = _describe(evidence, stores, some, longest, days_to_holiday) | {"store_share_in_direction": same[part]}
        columns |= dict(zip(ITEM_FEATURES, items[some.column].T, strict=True))
        for number, name in enumerate(WINDOW_FEATURES):
            matrix[part, number] = columns[name]
    return matrix


def _candidates_alike(grid: Grid, stores: Stores, found: Found) -> Floats:
    """Share of the store's other series that have a window in the same direction at the same tick."""
    width = int(stores.of[-1]) + 1 if len(stores.of) else 1
    place = (found.row * width + stores.of[found.column]) * 2 + (found.z > 0)
    count = np.bincount(place, minlength=len(grid.axis) * width * 2)[place]
    others = np.bincount(stores.of)[stores.of[found.column]] - 1
    return np.where(others > 0, (count - 1) / np.maximum(others, 1), np.nan)


def _describe(
    evidence: Evidence, stores: Stores, found: Found, longest: int, days_to_holiday: Floats
) -> dict[str, Floats]:
    reach = longest + BEFORE
    back = found.row[None, :] - np.arange(reach)[:, None]
    known_row = back >= 0
    back = np.maximum(back, 0)
    sign, length = np.where(found.z > 0, 1.0, -1.0), found.ticks

    def taken(values: Floats | Flags, columns: Ints) -> Floats:
        return np.where(known_row, values[back, columns[None, :]], 0.0)

    actual, expected, spread = (
        taken(values, found.column) for values in (evidence.actual, evidence.expected, evidence.spread)
    )
    counts = taken(evidence.counts, found.column) > 0
    own = signed_root_deviance(actual, expected, spread) * sign
    age = np.arange(reach)[:, None]
    inside, earlier = counts & (age < length), counts & (age >= length)
    week, month = (earlier & (age < length + ticks) for ticks in (7, BEFORE))

    def total(values: Floats, of: Flags) -> Floats:
        return _sum(np.where(of, values, 0.0))

    def score(of: Flags) -> Floats:
        return signed_root_deviance(total(actual, of), total(expected, of), total(spread, of)) * sign

    y, e, s = (total(values, inside) for values in (actual, expected, spread))
    ticks = np.maximum(_sum(inside), 1.0)
    log_ratio = np.log((y + 0.5) / (e + 0.5))
    surplus = np.where(inside, (actual - expected) * sign, 0.0)
    highest = np.max(np.where(inside, own, -np.inf), axis=0)
    peak = np.argmax(np.where(inside, own, -np.inf), axis=0)
    mean_z = total(own, inside) / ticks
    newer = inside & (age < (length + 1) // 2)
    older = inside & ~newer
    found_features = {
        "scan_z": found.z * sign,
        "direction": sign,
        "log_ticks": np.log(length),
        "log_ratio": log_ratio,
        "off_twice": np.abs(log_ratio - np.log(2.0)),
        "log_expected": np.log(e + 0.01),
        "log_expected_per_tick": np.log(e / ticks + 0.01),
        "dispersion": s / np.maximum(e, 1e-9),
        "highest_z": highest,
        "lowest_z": np.min(np.where(inside, own, np.inf), axis=0),
        "mean_z": mean_z,
        "spread_of_z": np.sqrt(np.maximum(total(own * own, inside) / ticks - mean_z * mean_z, 0.0)),
        "peak_position": peak / length,
        "peak_share": np.max(surplus, axis=0) / np.maximum(np.abs(y - e), 0.1),
        "zero_share": _sum(inside & (actual <= 0)) / ticks,
        "decay": _mean(own, newer) - _mean(own, older),
        "onset_z": own[length - 1, np.arange(len(found))],
        "unknown_share": 1.0 - ticks / length,
    }
    for ticks_back in LENGTHS:
        found_features[f"z_{ticks_back}"] = score(counts & (age < ticks_back))
    return (
        found_features
        | {"before_7_z": score(week), "before_28_z": score(month)}
        | _step(actual, expected, spread, inside, month, sign)
        | _noise(own * sign, earlier, actual, sign)
        | _store(stores, found, (actual, expected, spread), taken, sign)
        | {"price_log_ratio": _price(evidence, found, back, known_row, age)}
        | _calendar(evidence, found, days_to_holiday, back, age, taken)
    )


def _step(
    actual: Floats, expected: Floats, spread: Floats, inside: Flags, before: Flags, sign: Floats
) -> dict[str, Floats]:
    """How the window differs from what its expectation would be, had it followed the four weeks before it."""
    y, e = (_sum(np.where(before, values, 0.0)) for values in (actual, expected))
    level = (y + 5.0) / (e + 5.0)
    within, expectation, s = (_sum(np.where(inside, values, 0.0)) for values in (actual, expected, spread))
    moved = expectation * level
    return {
        "step_z": signed_root_deviance(within, moved, s * level) * sign,
        "step_log_ratio": np.log((within + 0.5) / (moved + 0.5)) * sign,
    }


def _noise(own: Floats, earlier: Flags, actual: Floats, sign: Floats) -> dict[str, Floats]:
    """How the series behaves at other times: its ticks before the window."""
    count = np.maximum(_sum(earlier), 1.0)
    quiet = np.where(earlier, own, 0.0)
    square = _sum(quiet * quiet) / count

    def lagged(ticks: int) -> Floats:
        both = earlier[ticks:] & earlier[:-ticks]
        product = np.where(both, quiet[ticks:] * quiet[:-ticks], 0.0)
        return _sum(product) / np.maximum(_sum(both), 1.0) / np.maximum(square, 1e-9)

    outlying = np.abs(quiet) >= OUTLYING
    return {
        "noise_mean_square": square,
        "noise_highest": np.max(np.abs(quiet), axis=0),
        "noise_highest_in_direction": np.max(quiet * sign, axis=0),
        "noise_kurtosis": _sum(quiet**4) / count / np.maximum(square * square, 1e-9),
        "noise_lag_1": lagged(1),
        "noise_lag_7": lagged(7),
        "noise_outlying": _sum(outlying) / count,
        "noise_outlying_in_direction": _sum(outlying & (quiet * sign > 0)) / count,
        "noise_zero_share": _sum(earlier & (actual <= 0)) / count,
    }


def _store(
    stores: Stores, found: Found, own: tuple[Floats, Floats, Floats], taken: Taken, sign: Floats
) -> dict[str, Floats]:
    """What the store's other series did in the window, and at its newest tick."""
    store = stores.of[found.column]
    age = np.arange(len(own[0]))[:, None]
    others = [
        np.maximum(taken(values, store) - mine, 0.0)
        for values, mine in zip((stores.actual, stores.expected, stores.spread), own, strict=True)
    ]
    y, e, s = (_sum(np.where(age < found.ticks, values, 0.0)) for values in others)
    return {
        "store_z": signed_root_deviance(y, e, s) * sign,
        "store_log_ratio": np.log((y + 0.5) / (e + 0.5)) * sign,
        "store_newest_z": signed_root_deviance(*(np.ascontiguousarray(values[0]) for values in others)) * sign,
        "store_log_expected": np.log(e + 0.01),
    }


def _price(evidence: Evidence, found: Found, back: Ints, known_row: Flags, age: Ints) -> Floats:
    """Log of the mean price in the window over that of the four weeks before; NaN where either is unknown."""
    price = np.where(known_row, evidence.price[back, found.column[None, :]], np.nan)
    priced = ~np.isnan(price)
    means = []
    for of in (age < found.ticks, (age >= found.ticks) & (age < found.ticks + BEFORE)):
        count = _sum(of & priced)
        means.append(_sum(np.where(of & priced, price, 0.0)) / np.where(count > 0, count, np.nan))
    return np.log(np.maximum(means[0], 1e-6) / np.maximum(means[1], 1e-6))


def _calendar(
    evidence: Evidence, found: Found, days_to_holiday: Floats, back: Ints, age: Ints, taken: Taken
) -> dict[str, Floats]:
    near = np.where(age < found.ticks, np.abs(days_to_holiday[back]), np.inf)
    closed = taken(evidence.closed, found.column)
    return {
        "days_to_holiday": days_to_holiday[found.row],
        "holiday_in_window": np.min(near, axis=0),
        "closed_nearby": _sum(closed * (age < found.ticks + 2)),
        "weekday": ((evidence.grid.axis.day[found.row] + 3) % 7).astype(np.float64),
    }


def _mean(values: Floats, of: Flags) -> Floats:
    return _sum(np.where(of, values, 0.0)) / np.maximum(_sum(of), 1.0)


def _sum(values: Floats | Flags) -> Floats:
    # One after the other from the newest row on, so that the bits do not depend on the other windows.
    return np.cumsum(values, axis=0, dtype=np.float64)[-1]
