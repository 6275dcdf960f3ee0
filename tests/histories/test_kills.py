"""Killed with SIGKILL at every step of a tick, which starts again: nothing is lost, doubled or partial.

MRS_KILLS says how many moments are tried; `make soak` tries many. Moments between two statements of our own code are in
tests/stories/test_random_kills.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.histories import in_memory
from tests.histories.killing import MOMENTS, Morning, chosen
from tests.histories.trial import start_for

KILLS = int(os.environ.get("MRS_KILLS", "40"))
STORES = 4
MORNINGS = -(-KILLS // 100)
"""One tick has some 120 to 150 moments; for more kills there are more mornings."""


@pytest.fixture(scope="module", params=range(MORNINGS))
def morning(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    folder = tmp_path_factory.mktemp("kills")
    first_seed = STORES * request.param
    with in_memory.warehouses_in_memory():
        yield Morning(start_for(folder / "start", STORES), folder, range(first_seed, first_seed + STORES))


def test_a_tick_killed_at_any_step_is_finished_by_the_next_one(morning: Morning, tmp_path: Path) -> None:
    kills = chosen(morning.kills, KILLS // MORNINGS)
    assert len(kills) == KILLS // MORNINGS
    assert {kill.moment for kill in kills} == {*MOMENTS}
    assert {kill.step for kill in kills} == {kill.step for kill in morning.kills}
    for place, kill in enumerate(kills):
        found = [*morning.unlike_undisturbed(kill, tmp_path / str(place), where_it_was=place % 10 == 9)]
        assert not found, found
