"""Nothing is lost or doubled by a process that dies, or by two that work at once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from tests.stories.recovery import assert_same_belief, assert_same_history, finish_tick, kill_tick, start_tick
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

SALES = daily_sales(122, stores=("s1", "s2"), change=spike)
LATER = FIRST_DAY + timedelta(days=60)


def send_files(world: World) -> None:
    world.send(SALES.filter(pl.col("ts") < LATER), "first.csv")
    world.send(SALES.filter(pl.col("ts") >= LATER), "second.csv")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("undisturbed")
    world = DirectWorld(home, settings_for(home))
    send_files(world)
    world.tick()
    assert world.live(DETECTED).height > 0
    return world


def test_a_killed_tick_is_finished_by_the_next_one(undisturbed: World, tmp_path: Path) -> None:
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    send_files(world)
    for moment, fatal in (("before", 3), ("after", 4), ("before", 9), ("after", 16)):
        kill_tick(tmp_path, moment, fatal)
    world.clock.now += timedelta(hours=1)  # the ticks that died had clocks of their own, and time does not go back
    world.tick()
    assert_same_belief(world, undisturbed)
    assert_same_history(world, undisturbed)
    assert world.tick().appended == {}


def test_what_a_killed_tick_left_unpublished_the_next_one_publishes(undisturbed: World, tmp_path: Path) -> None:
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    send_files(world)
    kill_tick(tmp_path, "publication", 1)
    assert world.warehouse.publisher.published() is None
    assert set(world.tick().appended) <= {SLO_RESULTS.name}  # levels are judged anew, nothing else is written
    assert_same_belief(world, undisturbed)


def test_two_ticks_at_once_lose_and_double_nothing(undisturbed: World, tmp_path: Path) -> None:
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    send_files(world)
    for worker in [start_tick(tmp_path), start_tick(tmp_path)]:
        finish_tick(worker)
    world.tick()
    assert_same_belief(world, undisturbed)
    assert_same_history(world, undisturbed, (UNIFIED_SALES, DETECTED))
