"""A file of an optional feed that hangs, kills or exhausts whoever reads it: it waits, and nothing else does."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.resilience import Fault, FaultAction
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.planning.intake import admission_requests
from mrs_resources.liveness import down_from
from mrs_resources.log_store import SYSTEM_RUN
from tests.conftest import SteppingClock
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

DAY = FIRST_DAY + timedelta(days=3)


def world_at(home: Path, *faults: Fault, clock: SteppingClock | None = None, kind: type[World] = DirectWorld) -> World:
    said = {
        "feeds": {"promotions": ContextFeed(), "campaigns": ContextFeed()},
        "environment": "staging",
        "isolation": {"seconds": 20, "memory_mb": 3072},
        "retries": {"attempts": 2, "first_pause_seconds": 0},
        "faults": faults,
    }
    return kind(home, Settings.model_validate(settings_for(home).model_dump() | said), clock or SteppingClock())


def send_promotion(world: World, name: str = "p.json", day: date = DAY) -> None:
    rows = {"promotion_id": [name], "store_id": ["s2"], "sku": ["eggs"], "start_day": [day], "end_day": [day]}
    world.send(pl.DataFrame(rows), name, feed="promotions")


def first_down(world: World) -> date:
    with world.warehouse.store.transaction() as tx:
        return down_from(tx, PROMOTIONS, world.settings, "acme")


@pytest.mark.few(2)
@pytest.mark.parametrize("action", ["raise", "kill", "exhaust", "delay"])
def test_the_file_waits_and_everything_else_comes_in(action: FaultAction, tmp_path: Path) -> None:
    world = world_at(tmp_path, Fault(point="promotions_feed", action=action, seconds=600), kind=World)
    if action == "delay":
        limits = world.settings.isolation.model_copy(update={"seconds": 2.0})
        world = World(tmp_path, world.settings.model_copy(update={"isolation": limits}), world.clock)
    world.send(daily_sales(5))
    send_promotion(world)
    world.send(
        pl.DataFrame({"campaign_id": ["c1"], "skus": [["eggs"]], "start_day": [DAY], "end_day": [DAY]}),
        "c.json",
        feed="campaigns",
    )
    result = world.tick()
    assert result.degraded[PROMOTIONS.name] == ("promotions",)
    assert world.live(UNIFIED_SALES).height == 60
    assert world.live(CAMPAIGNS).height == 1
    assert world.live(PROMOTIONS).is_empty()
    assert isinstance(world.clock, SteppingClock)
    mended = world_at(tmp_path, clock=world.clock)
    mended.tick()
    assert mended.live(PROMOTIONS).height == 1
    assert mended.query("SELECT rows_received FROM feed_arrivals_log WHERE feed = 'promotions'").height == 1


def test_a_feed_that_fails_over_and_over_is_left_alone_and_then_probed(tmp_path: Path) -> None:
    broken = Fault(point="promotions_feed", action="raise")
    clock = SteppingClock()
    world = world_at(tmp_path, broken, clock=clock)
    world.send(daily_sales(2))
    send_promotion(world)
    for _ in range(world.settings.breakers.failures):
        assert "promotions" in admission_requests(world.warehouse, world.settings)[0].feeds
        world.tick()
    assert admission_requests(world.warehouse, world.settings) == []
    assert world.tick().appended == {}, "an open breaker is not even tried"
    tried = world.live(BREAKERS, run_id=SYSTEM_RUN).height
    clock.now += timedelta(hours=5)
    world.tick()
    outcomes = world.live(BREAKERS, run_id=SYSTEM_RUN).sort("attempt")["outcome"].to_list()
    assert outcomes == ["failed"] * tried + ["probing", "failed"]
    clock.now += timedelta(hours=5)
    mended = world_at(tmp_path, clock=clock)
    mended.tick()
    assert mended.live(PROMOTIONS).height == 1
    assert mended.live(BREAKERS, run_id=SYSTEM_RUN).sort("attempt")["outcome"].to_list()[-1] == "succeeded"


def test_a_feed_is_down_from_the_day_that_its_files_cannot_be_used(tmp_path: Path) -> None:
    clock = SteppingClock(datetime.fromisoformat("2024-02-01T09:00:00+00:00"))
    world = world_at(tmp_path, clock=clock)
    world.send(daily_sales(5))
    send_promotion(world)
    world.tick()
    assert first_down(world) == date.max
    clock.now += timedelta(days=2)
    world.send(pl.DataFrame({"nonsense": [1]}), "drifted.json", feed="promotions")
    world.tick()
    assert first_down(world) == date(2024, 2, 3), "a file without its columns says nothing"
    clock.now += timedelta(days=1)
    send_promotion(world, "p2.json", date(2024, 2, 4))
    world.tick()
    assert first_down(world) == date.max
    clock.now += timedelta(days=1)
    broken = world_at(tmp_path, Fault(point="promotions_feed", action="raise"), clock=clock)
    send_promotion(broken, "p3.json", date(2024, 2, 5))
    broken.tick()
    assert first_down(broken) == date(2024, 2, 5)
