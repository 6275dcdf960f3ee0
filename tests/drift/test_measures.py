"""The measures of drift: what they are on distributions whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrs_assets.drift.measures import distribution, population_stability_index, share_outside, shares_in, standardised

RNG = np.random.default_rng(5)


def test_the_same_values_do_not_move_and_a_shift_moves_by_how_far_it_is() -> None:
    reference = distribution(RNG.normal(size=20_000))
    moved = [population_stability_index(reference, RNG.normal(shift, size=20_000)) for shift in (0.0, 0.2, 0.5, 1.0)]
    assert moved[0] < 0.01
    assert moved == sorted(moved)
    # Two unit normals a shift d apart are d² from one another in symmetric Kullback-Leibler divergence; bins see less.
    assert 0.8 * 0.25 < moved[2] <= 0.26
    assert moved[3] > 0.25


def test_a_known_table_gives_its_index() -> None:
    reference = distribution(np.array([0.0] * 50 + [1.0] * 50))
    now = np.array([0.0] * 25 + [1.0] * 75)
    assert reference.edges == (0.0, 1.0)
    by_hand = (0.25 - 0.5) * math.log(0.25 / 0.5) + (0.75 - 0.5) * math.log(0.75 / 0.5)
    assert population_stability_index(reference, now) == pytest.approx(by_hand)


def test_values_that_stop_coming_are_a_shift() -> None:
    values = RNG.normal(size=5_000)
    holes = values.copy()
    holes[::3] = np.nan
    reference = distribution(values)
    assert population_stability_index(reference, holes) > 0.25
    assert shares_in(reference.edges, holes)[-1] == pytest.approx(1 / 3, abs=1e-3)


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), max_size=40))
def test_shares_are_shares_whatever_the_values(numbers: list[float]) -> None:
    values = np.array(numbers, dtype=np.float64)
    told = distribution(values)
    assert sum(told.shares) == pytest.approx(1.0 if numbers else 0.0, abs=1e-4)
    assert population_stability_index(told, values) == pytest.approx(0.0, abs=1e-9)


def test_residuals_and_intervals_say_nothing_where_nothing_is_known() -> None:
    nan = float("nan")
    z = standardised(np.array([3.0, nan, 3.0]), np.array([1.0, 1.0, 1.0]), np.array([4.0, 4.0, 0.0]))
    assert z[0] == 1.0
    assert np.isnan(z[1:]).all()
    lower, upper = np.array([0.0, 0.0, nan, 0.0]), np.array([1.0, 1.0, 1.0, 1.0])
    assert share_outside(np.array([0.5, 2.0, 9.0, nan]), lower, upper) == 0.5
    assert math.isnan(share_outside(np.array([nan]), lower[:1], upper[:1]))
