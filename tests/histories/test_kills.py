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
PARTS = 4


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    folder = tmp_path_factory.mktemp("kills")
    with in_memory.warehouses_in_memory():
        yield Morning(start_for(folder / "start", STORES), folder, range(STORES))


@pytest.mark.parametrize("part", range(PARTS))
def test_a_tick_killed_at_any_step_is_finished_by_the_next_one(part: int, morning: Morning, tmp_path: Path) -> None:
    for place, kill in enumerate(chosen(morning.kills, KILLS)[part::PARTS]):
        found = [*morning.unlike_undisturbed(kill, tmp_path / str(place), where_it_was=place % 10 == 9)]
        assert not found, found


def test_every_step_is_killed_at_and_every_moment(morning: Morning) -> None:
    kills = chosen(morning.kills, KILLS)
    assert len(kills) == KILLS
    assert {kill.moment for kill in kills} == {*MOMENTS}
    assert {kill.step for kill in kills} == {kill.step for kill in morning.kills}
