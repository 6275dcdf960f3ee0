"""The comparison with public libraries: what is made of their scores, and what is said where they are not installed."""

from __future__ import annotations

import numpy as np
import pytest

from evaluation import peers
from evaluation.chapters import is_installed

FIRST = 100


def reports(scores: list[list[float]]) -> list[tuple[int, int, int, int]]:
    """Reports over 3 of days × series."""
    found = peers.reports_over(np.array(scores), 3.0, FIRST)
    return found.select("series", "first", "end", "sign").rows()


def test_days_over_the_threshold_that_follow_each_other_are_one_report() -> None:
    one = [[0.0], [4.0], [3.0], [1.0], [5.0], [0.0], [0.0], [3.5]]
    assert reports(one) == [(0, 101, 105, 1), (0, 107, 108, 1)]


def test_each_direction_is_its_own() -> None:
    both = [[4.0, 0.0], [-4.0, 0.0], [4.0, -9.0]]
    assert reports(both) == [(0, 100, 103, 1), (0, 101, 102, -1), (1, 102, 103, -1)]


def test_nothing_over_the_threshold_is_no_report() -> None:
    assert reports([[0.0, -2.9], [2.9, 0.0]]) == []


def test_a_gap_is_filled_from_the_week_before_and_scored_by_nobody() -> None:
    units = np.arange(21.0)[:, None].repeat(2, axis=1)
    units[10, 0] = np.nan
    assert peers.filled(units)[10].tolist() == [3.0, 10.0]


@pytest.mark.skipif(not is_installed(), reason="the extra `peers` is not installed")
@pytest.mark.parametrize("scores", [peers.forecaster_scores, peers.detector_scores])
def test_a_burst_scores_highest_and_a_gap_nothing(scores: peers.Scores) -> None:
    rng = np.random.default_rng(3)
    units = rng.poisson(20.0, (150, 6)).astype(float)
    units[140:143, 2] = 120.0
    units[145, 4] = np.nan
    said = scores(units, 122)
    assert said.shape == (28, 6)
    day, series = np.unravel_index(np.argmax(said), said.shape)
    assert (series, 122 + day) in {(2, 140), (2, 141), (2, 142)}
    assert said[23, 4] == 0.0
