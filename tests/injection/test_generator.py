"""What is injected is what is said to be injected, and nothing else changes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.injection.families import DEVELOPMENT_SEEDS, EVALUATION_SEEDS, FAMILIES, TRAINING_SEEDS, family
from mrs_assets.injection.generator import inject

ROWS, SERIES, FIRST = 120, 60, 40
STORES = [f"s{number // 12}" for number in range(SERIES)]
ITEMS = [f"i{number % 12}" for number in range(SERIES)]


def _sales(seed: int, *, holes: bool = True) -> np.ndarray:
    rng = np.random.default_rng(seed)
    units = rng.poisson(rng.uniform(0.3, 40, SERIES), (ROWS, SERIES)).astype(float)
    if holes:
        units[rng.random(units.shape) < 0.05] = np.nan
        units[rng.random(units.shape) < 0.01] = -2
    return units


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.sampled_from([0.1, 0.5, 1.0]), per_day=st.sampled_from([1, 4]))
def test_only_what_the_events_say_changes_and_by_as_much_as_they_say(seed: int, rate: float, per_day: int) -> None:
    units = _sales(seed)
    before = units.copy()
    injection = inject(units, STORES, ITEMS, first=FIRST, seed=seed, rate=rate, ticks_per_day=per_day)
    np.testing.assert_array_equal(units, before)
    np.testing.assert_array_equal(np.isnan(injection.units), np.isnan(units))
    untouched = np.ones(units.shape, dtype=bool)
    for event in injection.events:
        own = slice(event.first, event.end), event.series
        assert FIRST <= event.first < event.end <= ROWS
        assert (event.first - FIRST) % per_day == 0
        assert np.nansum(injection.units[own] - units[own]) == pytest.approx(event.uplift)
        assert event.sign == np.sign(event.uplift) != 0
        untouched[own] = False
    np.testing.assert_array_equal(injection.units[untouched], units[untouched])
    assert len({event.series for event in injection.events}) == len(injection.events) <= round(rate * SERIES)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_returns_stay_and_nothing_falls_below_zero(seed: int) -> None:
    units = _sales(seed)
    changed = inject(units, STORES, ITEMS, first=FIRST, seed=seed).units
    sold = units > 0
    assert (changed[sold] >= 0).all()
    returned = units < 0
    assert (changed[returned] >= units[returned]).all()


def test_the_same_seed_gives_the_same_events_and_another_one_others() -> None:
    units = _sales(0)
    once, again, other = (inject(units, STORES, ITEMS, first=FIRST, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(once.units, again.units)
    assert once.events == again.events != other.events


@pytest.mark.parametrize("name", [kind.name for kind in FAMILIES])
def test_each_family_lasts_moves_and_spreads_as_declared(name: str) -> None:
    kind = family(name)
    units = _sales(1, holes=False) + 20
    injection = inject(units, STORES, ITEMS, first=FIRST, seed=3, families=[kind])
    assert len(injection.events) > SERIES // 2
    for event in injection.events:
        assert event.family == name
        assert event.ticks <= kind.days[1]
        assert event.ticks >= kind.days[0] or event.end == ROWS
    for number in {event.episode for event in injection.events}:
        together = [event for event in injection.events if event.episode == number]
        columns = [event.series for event in together]
        assert len(together) <= kind.most_series
        assert len({(event.first, event.ticks) for event in together}) == 1
        if kind.footprint == "store":
            assert len({STORES[column] for column in columns}) == 1
        if kind.footprint == "item":
            assert len({ITEMS[column] for column in columns}) == 1
    if name == "duplicated_days":
        event = injection.events[0]
        own = slice(event.first, event.end), event.series
        np.testing.assert_array_equal(injection.units[own], 2 * units[own])


def test_a_series_of_which_nothing_is_known_is_left_alone() -> None:
    units = _sales(2, holes=False)
    units[:, 0], units[:FIRST, 1] = np.nan, 0.0
    injection = inject(units, STORES, ITEMS, first=FIRST, seed=1)
    assert 0 not in {event.series for event in injection.events}
    assert np.isnan(injection.units[:, 0]).all()


def test_no_seed_belongs_to_two_purposes() -> None:
    ranges = [TRAINING_SEEDS, DEVELOPMENT_SEEDS, EVALUATION_SEEDS]
    assert all(earlier.stop <= later.start for earlier, later in pairwise(ranges))
