"""The parametric shapes that the cluster library is built from: each family's formula and ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mrs_assets.clustering.features import SHAPE_TICKS, Array, Windows

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


def simulate(
    family: Family, duration: tuple[int, int], peak: tuple[float, float], *, reach: str, count: int, seed: int
) -> Windows:
    """Noisy windows of one variant.

    Durations and peaks are uniform on their ranges; expected units per tick are log-uniform on 3–300; actual
    units are Poisson around expected × profile × log-normal noise of 10 % (a doubled family: twice a Poisson
    count). The level before is that of 28 ticks around the expectation; an after exists for half of the windows.
    """
    rng = np.random.default_rng(seed)
    length = rng.integers(duration[0], duration[1] + 1, count)
    height = rng.uniform(peak[0], peak[1], count)[:, None]
    volume = np.exp(rng.uniform(np.log(3.0), np.log(300.0), count))[:, None]
    tick = np.arange(SHAPE_TICKS, dtype=float)[None, :]
    profile = np.maximum(family.profile(tick, length[:, None].astype(float), height), 0.0)
    noise = np.exp(rng.normal(0.0, 0.1, (count, SHAPE_TICKS)))
    halved = 2 if family.doubled else 1
    actual = halved * rng.poisson(volume * profile * noise / halved).astype(float)
    outside = tick >= length[:, None]
    before = volume[:, 0] * 28
    after_ticks = np.where((rng.random(count) < 0.5) & (not family.lasting), rng.integers(1, 4, count), 0)
    after = volume[:, 0] * after_ticks
    low, high = np.array(_SHARES[reach]).T
    return Windows(
        actual=np.where(outside, np.nan, actual),
        expected=np.where(outside, np.nan, np.broadcast_to(volume, actual.shape)),
        length=length,
        actual_before=rng.poisson(before * np.exp(rng.normal(0.0, 0.06, count))).astype(float),
        expected_before=before,
        actual_after=rng.poisson(after * np.exp(rng.normal(0.0, 0.15, count))).astype(float),
        expected_after=after,
        footprint=rng.uniform(low, high, (count, 3)),
    )
