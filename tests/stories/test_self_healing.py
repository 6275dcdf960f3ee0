"""What was degraded mends itself once its cause is gone, and ends as if nothing had ever been wrong."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import CORRECTED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.recovery import Recovery, recovery
from mrs_assets.planning.run_tags import PLAN_TAG
from mrs_assets.slo.answers import left_degraded
from mrs_assets.slo_watch.facts import read_facts
from tests.conftest import SteppingClock
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, REPORTS_FROM, DirectWorld, World, daily_sales, settings_for

DAYS = 124
EVERY_LOG = (*(log for stage in STAGES for log in stage.writes), FINALISED)


def world_at(home: Path, kind: type[World] = World, **said: Any) -> World:
    """A world with promotions configured, and whatever else is said of it."""
    declared = settings_for(home).model_dump() | {"feeds": {"promotions": ContextFeed()}, "environment": "staging"}
    return kind(home, Settings.model_validate(declared | {"retries": {"attempts": 1}} | said))


def again(world: World, **said: Any) -> World:
    """The same home under other settings, at the same time."""
    return type(world)(world.home, world_at(world.home, **said).settings, world.clock)


def hours_pass(world: World, hours: float = 5) -> None:
    assert isinstance(world.clock, SteppingClock)
    world.clock.now += timedelta(hours=hours)


def send_promotion(world: World) -> None:
    day = FIRST_DAY + timedelta(days=117)
    rows = {"promotion_id": ["p1"], "store_id": ["s2"], "sku": ["eggs"], "start_day": [day], "end_day": [day]}
    world.send(pl.DataFrame(rows), "p.json", feed="promotions")


def look(world: World) -> Recovery:
    return recovery(world.warehouse, world.settings, STAGES, CLOSING, ())


def asked_by_the_sensor(world: World) -> list[dg.RunRequest]:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"warehouse": world.warehouse})
        return list(world.definitions.resolve_sensor_def("recovery").evaluate_tick(context).run_requests or ())


def contents(world: World) -> Mapping[str, pl.DataFrame]:
    return {log.name: world.content(log) for log in EVERY_LOG}


def reasons(world: World, log: Contract) -> set[str]:
    return set(world.live(log)["degraded_reasons"].explode(empty_as_null=True).drop_nulls())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, pl.DataFrame]:
    world = world_at(tmp_path_factory.mktemp("undisturbed"), DirectWorld)
    world.send(daily_sales(DAYS, change=spike))
    send_promotion(world)
    world.tick()
    assert world.live(DETECTED).height > 0
    assert look(world).standing == []
    return contents(world)


def assert_as_if_nothing_had_been(world: World, undisturbed: Mapping[str, pl.DataFrame]) -> None:
    for name, rows in contents(world).items():
        assert rows.equals(undisturbed[name]), name


def test_a_stage_that_failed_is_mended_by_the_next_tick(
    tmp_path: Path, undisturbed: Mapping[str, pl.DataFrame]
) -> None:
    world = world_at(tmp_path, faults=[Fault(point=CLUSTERED.name, action="raise")])
    world.send(daily_sales(DAYS, change=spike))
    send_promotion(world)
    world.tick()
    assert reasons(world, CLUSTERED) == {"MRCL_down"}
    assert look(world).plans == [], "it failed just now"
    hours_pass(world)
    mended = again(world)
    (plan,) = look(mended).plans
    assert plan.triggers == ("MRCL_down",)
    first = mended.live(CLUSTERED)["business_day"].min()
    assert plan.steps[0].scope.first_day == first, "only days with reports are computed again"
    assert CLUSTERED.name in plan.steps[0].assets
    assert DETECTED.name not in plan.assets
    (asked,) = asked_by_the_sensor(mended)
    assert {key.to_user_string() for key in asked.asset_selection or ()} == set(plan.steps[0].assets)
    assert asked.tags[PLAN_TAG] == plan.plan_id
    before = mended.live(CLUSTERED)
    mended.tick()
    assert (mended.live(CLUSTERED)["version"] > before["version"]).all(), "undegraded rows are new versions"
    assert_as_if_nothing_had_been(mended, undisturbed)
    assert look(mended) == Recovery([], [])
    assert mended.tick().appended == {}


def test_a_feed_that_was_silent_mends_every_day_when_it_speaks(
    tmp_path: Path, undisturbed: Mapping[str, pl.DataFrame]
) -> None:
    world = world_at(tmp_path, DirectWorld)
    world.send(daily_sales(DAYS, change=spike))
    world.tick()
    found = look(world)
    assert found.plans == []
    assert {item.reason for item in found.standing if item.log == ATTRIBUTED.name} == {"promotions_down"}
    assert {item.waits_for for item in found.standing if item.log == ATTRIBUTED.name} == {"promotions_log"}
    send_promotion(world)
    world.tick()
    assert_as_if_nothing_had_been(world, undisturbed)


def test_what_fails_again_is_left_alone_longer_each_time(tmp_path: Path) -> None:
    world = world_at(tmp_path, DirectWorld, faults=[Fault(point=f"{ATTRIBUTED.name}.promotions", action="raise")])
    world.send(daily_sales(DAYS, change=spike))
    send_promotion(world)
    world.tick()
    tries = []
    for _ in range(12):
        hours_pass(world, 0.25)
        tries.append(len(world.tick().plans))
    assert tries[0] == 1, "it looks well, so that it is tried after the first pause"
    assert 2 <= sum(tries[1:]) <= 5, "in three hours the pause doubles from five minutes"
    assert reasons(world, ATTRIBUTED) == {"promotions_down"}


def test_much_is_mended_bit_by_bit_and_the_rest_is_not_forgotten(
    tmp_path: Path, undisturbed: Mapping[str, pl.DataFrame]
) -> None:
    world = world_at(tmp_path, DirectWorld, faults=[Fault(point=CLUSTERED.name, action="raise")])
    world.send(daily_sales(DAYS, change=spike))
    send_promotion(world)
    world.tick()
    hours_pass(world, 0.25)
    mended = again(world, recovery={"days_at_once": 3, "overdue_minutes": 30})
    degraded = mended.live(CLUSTERED)["business_day"].n_unique()
    assert degraded > 3
    found = look(mended)
    assert len(found.plans[0].days_changed) == 3
    assert found.carried_over == degraded - 3
    assert overdue(mended) == 0
    hours_pass(mended, 1)
    assert overdue(mended) > 0, "an hour after its cause went, nobody had computed it again"
    for _ in range(-(-degraded // 3)):
        mended.tick()
    assert_as_if_nothing_had_been(mended, undisturbed)


def overdue(world: World) -> float:
    with world.warehouse.store.transaction() as tx:
        (told,) = left_degraded(read_facts(tx, world.settings))
    assert told.value is not None
    return told.value


def test_edits_that_cannot_be_read_are_back_with_the_next_tick(tmp_path: Path) -> None:
    world = world_at(tmp_path, DirectWorld)
    world.send(daily_sales(DAYS, change=spike))
    send_promotion(world)
    world.tick()
    report = world.live(FINALISED)["report_id"][0]
    said = {"annotation_id": str(uuid.UUID(int=1)), "report_id": report, "action": "approve"}
    world.send_edit(said | {"actor": "ada", "user_role": "analyst", "acted_at": "2024-05-31T10:00:00Z"})
    unreadable = again(world, faults=[Fault(point=f"{FINALISED.name}.edits", action="raise")])
    broken = World(world.home, unreadable.settings, world.clock)
    broken.tick()
    decided = pl.col("final_decision") == "approved"
    assert reasons(broken, FINALISED) == {"edits_down"}
    assert broken.live(FINALISED).filter(decided).is_empty()
    hours_pass(world)
    mended = again(world)
    mended.tick()
    assert mended.live(FINALISED).filter(decided)["report_id"].to_list() == [report]
    assert reasons(mended, FINALISED) == set()
    assert mended.live(FINALISED)["business_day"].min() >= REPORTS_FROM - timedelta(days=14)


def test_what_was_never_real_is_closed_as_it_was_and_waits_for_nothing(tmp_path: Path) -> None:
    """Closed while clusters and events could not be computed: nothing of it is computed again, and nobody is asked."""
    down = [Fault(point=name, action="raise") for name in (CLUSTERED.name, COHORTED.name)]
    world = world_at(tmp_path, DirectWorld, faults=down[:1])
    world.send(daily_sales(DAYS, change=spike))
    send_promotion(world)
    world.tick()
    assert reasons(world, EVENTS) == {"MRCL_down"}
    worse = again(world, faults=down)
    worse.send(daily_sales(DAYS).filter(pl.col("store_id") == "s2", pl.col("sku") == "eggs"), "never.csv")
    worse.tick()
    assert worse.live(DETECTED).is_empty()
    mended = again(world)
    for _ in range(3):
        hours_pass(mended, 24)
        mended.tick()
    assert set(mended.live(EVENTS)["resolution_reason"]) == {CORRECTED}
    assert reasons(mended, EVENTS) == {"MRCL_down"}
    assert look(mended) == Recovery([], [])
    hours_pass(mended, 24)
    assert mended.tick().plans == []
