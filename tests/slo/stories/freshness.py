"""News that does not come, and days that are shown late."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.resilience import Fault
from tests.slo.levels import DAYS, admit_only, checks, copied, result, sales, time_passes, under, value_of, worst_of
from tests.slo.stories.story import Acts, Story
from tests.world import World


def a_feed_that_stops_goes_stale_while_nothing_runs(known: World, home: Path) -> Acts:
    world = copied(known, home)
    time_passes(world, hours=35)
    yield world
    time_passes(world, hours=2)
    stale = yield world
    assert 36 < value_of(stale) < 38
    assert stale.metadata["limit"].value == 36
    time_passes(world, hours=24)
    yield world
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    world.tick()
    yield world


def reports_are_late_while_their_file_waits_and_as_long_as_the_window_remembers(known: World, home: Path) -> Acts:
    world = copied(known, home)
    world.send(sales(DAYS - 40, times=1.2), "corrected.csv")
    admit_only(world)
    yield world
    time_passes(world, minutes=31)
    waiting = yield world
    assert value_of(waiting) > 30
    assert {row["shown"] for row in worst_of(waiting)} == {"no"}
    time_passes(world, minutes=20)
    yield world
    world.tick()
    late = checks(world)["detection_is_fresh"]
    assert not late.passed, "they came late, which being there now does not undo"
    assert {row["shown"] for row in worst_of(late)} == {"yes"}
    assert result(world, "detection_is_fresh")["budget_left"] == 0.0
    time_passes(world, days=8)
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    world.tick()
    yield world


def a_stage_that_is_down_is_late_alone(log: Contract, fresh: str, known: World, home: Path) -> Acts:
    failing = copied(known, home, faults=(Fault(point=log.name, action="raise"),))
    time_passes(failing, days=8)
    failing.send(sales(DAYS - 3, DAYS + 1, times=1.1), "corrected.csv")
    failing.tick()
    yield failing
    time_passes(failing, hours=4.5)
    yield failing
    assert checks(failing)["detection_is_fresh"].passed
    time_passes(failing, hours=4.5)
    yield failing
    mended = under(failing)
    mended.tick()
    assert not checks(mended)[fresh].passed, "they came late"
    time_passes(mended, days=8)
    mended.send(sales(DAYS + 1, DAYS + 2, times=3), "next.csv")
    mended.tick()
    yield mended


CLUSTERS = partial(a_stage_that_is_down_is_late_alone, CLUSTERED, "clustering_is_fresh")
CAUSES = partial(a_stage_that_is_down_is_late_alone, ATTRIBUTED, "attribution_is_fresh")

STORIES = {
    "sales_arrive_on_time": Story(a_feed_that_stops_goes_stale_while_nothing_runs),
    "detection_is_fresh": Story(reports_are_late_while_their_file_waits_and_as_long_as_the_window_remembers),
    "clustering_is_fresh": Story(CLUSTERS, explained_by="missing:MRCL_down:acme"),
    "attribution_is_fresh": Story(CAUSES, explained_by="missing:MRPAL_down:acme"),
}
