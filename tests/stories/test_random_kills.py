"""Killed anywhere, finished by the next tick. For more moments: MRS_KILLS=40 pytest tests/stories/test_random_kills.py.

What is interrupted is a working day: sales that correct what a report rests on, new days with another anomaly, and an
analyst's word on the report.
"""

from __future__ import annotations

import os
import random
import uuid
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.finalised import FINALISED
from tests.backends import copy_home
from tests.stories.recovery import assert_same_belief, assert_same_history, finish_tick, kill_tick, start_tick
from tests.stories.test_one_anomaly import SPIKE, spike
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

KILLS = int(os.environ.get("MRS_KILLS", "2"))
STORES = ("s1", "s2")
KNOWN_DAYS, DAYS = 123, 126
SURGE = [FIRST_DAY + timedelta(days=n) for n in (123, 124)]


def truth(store: str, sku: str, day: date, units: float) -> float:
    """What the retailer says later: the spike was over after two days, and milk surged elsewhere."""
    if (store, sku) == ("s1", "milk") and day in SURGE:
        return units * 4
    return units if day in SPIKE[2:] else spike(store, sku, day, units)


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with its work waiting in the inbox."""
    home = tmp_path_factory.mktemp("morning")
    world = DirectWorld(home, settings_for(home))
    world.send(daily_sales(KNOWN_DAYS, stores=STORES, change=spike))
    world.tick()
    report = world.live(DETECTED).filter(store_id="s2", sku="eggs")["report_id"][0]
    world.send(daily_sales(DAYS, stores=STORES, change=truth).filter(pl.col("ts") >= SPIKE[0]), "again.csv")
    word = {"annotation_id": str(uuid.UUID(int=9)), "report_id": report, "actor": "lewis", "user_role": "analyst"}
    says = {"action": "edit", "field": "final_cause", "value": "Egg festival", "acted_at": "2024-05-20T10:00:00Z"}
    world.send_edit(word | says)
    return world


def copy_of(world: World, home: Path) -> World:
    copy_home(world.home, home)
    return DirectWorld(home, settings_for(home))


@pytest.fixture(scope="module")
def undisturbed(morning: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = copy_of(morning, tmp_path_factory.mktemp("undisturbed") / "home")
    world.tick()
    return world


@pytest.fixture(scope="module")
def moments(morning: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often each moment comes in the tick that is to be killed."""
    return finish_tick(start_tick(copy_of(morning, tmp_path_factory.mktemp("counted") / "home").home, "line"))


def test_the_day_has_everything_that_can_be_torn(morning: World, undisturbed: World) -> None:
    with undisturbed.warehouse.store.transaction() as tx:
        assert tx.history(DETECTED)["is_retracted"].any()
    new = undisturbed.live(DETECTED).join(morning.live(DETECTED), on="report_id", how="anti")
    assert ("s1", "milk") in new.select("store_id", "sku").rows()
    assert undisturbed.live(ENDED).height > 0
    assert "Egg festival" in undisturbed.live(FINALISED)["final_cause"].to_list()


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_tick_killed_anywhere_is_finished_by_the_next_one(
    seed: int, morning: World, undisturbed: World, moments: dict[str, int], tmp_path: Path
) -> None:
    drawn = random.Random(seed)  # noqa: S311 - moments, not secrets
    moment = drawn.choice(sorted(moments))
    fatal = drawn.randint(1, moments[moment])
    world = copy_of(morning, tmp_path / "home")
    kill_tick(world.home, moment, fatal)
    world.clock.now += timedelta(hours=1)  # the tick that died had a clock of its own, and time does not go back
    world.tick()
    assert_same_belief(world, undisturbed)
    assert_same_history(world, undisturbed)
    assert world.tick().appended == {}
