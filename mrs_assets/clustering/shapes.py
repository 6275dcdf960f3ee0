"""The parametric shapes that the cluster library is built from: formulas, ranges, and how they are drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrs_assets.clustering.features import SHAPE_TICKS, Array, Windows, even_share

Whole = NDArray[np.int64]
Profile = Callable[[Array, Array, Array], Array]
"""(tick 0 … n−1, n, peak ratio) → actual / expected."""


def _constant(tick: Array, ticks: Array, peak: Array) -> Array:
    return peak * np.ones(np.broadcast_shapes(tick.shape, ticks.shape))


def _decay(tick: Array, ticks: Array, peak: Array) -> Array:
    return 1 + (peak - 1) * np.exp(-3 * tick / ticks)


def _ramp(tick: Array, ticks: Array, peak: Array) -> Array:
    return np.exp(np.log(peak) * (tick + 1) / ticks)


def _hump(tick: Array, ticks: Array, peak: Array) -> Array:
    return 1 + (peak - 1) * np.sin(np.pi * (tick + 0.5) / ticks)


@dataclass(frozen=True)
class Family:
    """One kind of anomaly.

    Attributes:
        id, name: what reports of the family are called.
        profile: actual / expected over the window.
        durations: shortest and longest windows, one pair per variant, in ticks.
        peaks: smallest and largest peak ratios, one pair per variant.
        reach: what else moves: nothing (`own`), the `store`, the `item` or the `retailer`.
        doubled: every unit is recorded twice, so that the noise is that of half the total.
        lasting: the level does not come back, so that there is no after.
    """

    id: str
    name: str
    profile: Profile
    durations: tuple[tuple[int, int], ...]
    peaks: tuple[tuple[float, float], ...]
    reach: tuple[str, ...] = ("own",)
    doubled: bool = False
    lasting: bool = False


_SPANS = ((2, 5), (6, 14), (15, 27))
_BROAD = ("store", "item", "retailer")

FAMILIES = (
    Family("spike-decay", "sudden spike with decay", _decay, ((3, 6), (7, 14), (15, 24)), ((2.2, 3.5), (3.5, 7.0))),
    Family("sustained-uplift", "sustained uplift", _constant, _SPANS, ((1.3, 1.7), (2.4, 3.2), (3.2, 6.0))),
    Family("exact-doubling", "exact doubling", _constant, ((1, 1), (2, 4), (5, 14)), ((2.0, 2.0),), doubled=True),
    Family("drop-to-zero", "drop to zero", _constant, ((2, 5), (6, 14), (15, 40)), ((0.0, 0.0),)),
    Family("partial-drop", "partial drop", _constant, _SPANS, ((0.15, 0.4), (0.4, 0.75))),
    Family("gradual-rise", "gradual rise", _ramp, ((5, 12), (13, 30)), ((1.8, 2.8), (2.8, 5.0))),
    Family("gradual-fall", "gradual fall", _ramp, ((5, 12), (13, 30)), ((0.1, 0.25), (0.25, 0.5))),
    Family("rise-and-fall", "rise and fall", _hump, ((4, 9), (10, 24)), ((1.8, 3.0), (3.0, 6.0))),
    Family("single-tick-spike", "single-tick spike", _constant, ((1, 1),), ((1.5, 1.8), (2.5, 4.0), (4.0, 9.0))),
    Family("single-tick-dip", "single-tick dip", _constant, ((1, 1),), ((0.0, 0.1), (0.1, 0.6))),
    Family(
        "level-shift-up", "level shift up", _constant, ((30, SHAPE_TICKS),), ((1.25, 1.7), (1.7, 3.0)), lasting=True
    ),
    Family(
        "level-shift-down", "level shift down", _constant, ((30, SHAPE_TICKS),), ((0.2, 0.5), (0.5, 0.8)), lasting=True
    ),
    Family("broad-uplift", "broad uplift", _hump, ((1, 3), (4, 14)), ((1.4, 2.2), (2.2, 4.5)), reach=_BROAD),
    Family("broad-drop", "broad drop", _constant, ((1, 3), (4, 14)), ((0.0, 0.3), (0.3, 0.75)), reach=_BROAD),
)

_SHARES = {
    "own": ((0.0, 0.08), (0.0, 0.08), (0.0, 0.05)),
    "store": ((0.5, 1.0), (0.0, 0.3), (0.0, 0.2)),
    "item": ((0.0, 0.2), (0.5, 1.0), (0.0, 0.2)),
    "retailer": ((0.4, 1.0), (0.4, 1.0), (0.4, 1.0)),
}
"""Ranges of the store, item and retailer shares for each reach."""


@dataclass(frozen=True)
class Background:
    """Quiet times that shapes are drawn onto, one per row.

    Attributes:
        actual, expected: units per tick, rows × BACKGROUND_TICKS; NaN where nothing is known. The window begins at
            tick BEFORE_TICKS.
    """

    actual: Array
    expected: Array


BEFORE_TICKS, AFTER_TICKS = 28, 3
BACKGROUND_TICKS = BEFORE_TICKS + SHAPE_TICKS + AFTER_TICKS


def made_up(count: int, seed: int) -> Background:
    """Steady series of 3–300 units a tick (log-uniform), Poisson with log-normal noise of 10 % a tick."""
    rng = np.random.default_rng(seed)
    volume = np.exp(rng.uniform(np.log(3.0), np.log(300.0), count))[:, None]
    noise = np.exp(rng.normal(0.0, 0.1, (count, BACKGROUND_TICKS)))
    actual = rng.poisson(volume * noise).astype(float)
    return Background(actual, np.broadcast_to(volume, actual.shape).copy())


def drawn_onto(
    background: Background, family: Family, duration: tuple[int, int], peak: tuple[float, float], reach: str, seed: int
) -> Windows:
    """Windows of one variant on a background. Durations and peaks are uniform on their ranges.

    What is added is Poisson; what is taken away leaves each unit by chance; a doubled family sells everything twice.
    Half of the windows have an after, where the family has one.
    """
    rng = np.random.default_rng(seed)
    count = len(background.actual)
    length = rng.integers(duration[0], duration[1] + 1, count)
    height = rng.uniform(peak[0], peak[1], count)[:, None]
    tick = np.arange(SHAPE_TICKS, dtype=float)[None, :]
    ratio = np.maximum(family.profile(tick, length[:, None].astype(float), height), 0.0)
    inside = slice(BEFORE_TICKS, BEFORE_TICKS + SHAPE_TICKS)
    usual, expected = background.actual[:, inside], background.expected[:, inside]
    whole = np.maximum(np.nan_to_num(usual), 0.0).astype(np.int64)
    more = rng.poisson(np.maximum(ratio - 1.0, 0.0) * np.nan_to_num(expected))
    fewer = rng.binomial(whole, np.minimum(ratio, 1.0))
    actual = 2.0 * usual if family.doubled else usual + np.where(ratio >= 1, more, fewer - whole)
    outside = tick >= length[:, None]
    before = np.nan_to_num(background.actual[:, :BEFORE_TICKS])
    after = np.where((rng.random(count) < 0.5) & (not family.lasting), rng.integers(1, AFTER_TICKS + 1, count), 0)
    low, high = np.array(_SHARES[reach]).T
    return Windows(
        actual=np.where(outside, np.nan, actual),
        expected=np.where(outside, np.nan, expected),
        length=length,
        actual_before=np.nansum(background.actual[:, :BEFORE_TICKS], axis=1),
        expected_before=np.nansum(background.expected[:, :BEFORE_TICKS], axis=1),
        actual_after=_first_sum(background.actual[:, inside.stop :], after),
        expected_after=_first_sum(background.expected[:, inside.stop :], after),
        footprint=rng.uniform(low, high, (count, 3)),
        even_before=even_share(
            ((before > 0) & (np.mod(before, 2.0) == 0)).sum(axis=1).astype(float),
            (before > 0).sum(axis=1).astype(float),
        ),
    )


def _first_sum(ticks: Array, count: Whole) -> Array:
    return np.nansum(np.where(np.arange(ticks.shape[1]) < count[:, None], ticks, 0.0), axis=1)


def variants() -> Iterator[tuple[int, Family, tuple[int, int], tuple[float, float], str]]:
    """Every variant: place of the family in FAMILIES, the family, its range of lengths and of peaks, and its reach."""
    for place, family in enumerate(FAMILIES):
        for duration in family.durations:
            for peak in family.peaks:
                for reach in family.reach:
                    yield place, family, duration, peak, reach
