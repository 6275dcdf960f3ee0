"""Reasons to doubt that time brings, on real rows: what was sold later, and members of an event that disagree."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from mrs_assets.contracts.settings import ContextFeed, Settings
from tests.conftest import SteppingClock
from tests.recall.conftest import DAYS, campaign, day, days_pass, recalled, report_of, reports, rounds, spikes
from tests.world import DirectWorld, World, daily_sales, settings_for

STEP = 124


def world_with(home: Path, **said: object) -> World:
    declared = settings_for(home).model_dump() | {"feeds": {"campaigns": ContextFeed()}} | said
    return DirectWorld(home, Settings.model_validate(declared), SteppingClock(datetime(2024, 9, 1, tzinfo=UTC)))


def steps_up(store: str, sku: str, at: date, units: float) -> float:
    """The usual spikes; one of them stays as a new level."""
    if (store, sku) == ("s3", "tea"):
        return units * 3 if at >= day(STEP) else units
    return spikes(store, sku, at, units)


def test_a_level_that_stayed_contradicts_the_uplift_that_was_reported(tmp_path: Path) -> None:
    world = world_with(tmp_path, recall={"settled_factor": 1.5, "low_confidence": 0.0})
    world.send(daily_sales(DAYS + 70, change=steps_up), "history.csv")
    world.send(campaign("spring", 118, 121, skus=["eggs"]), "first.json", feed="campaigns")
    world.tick()
    days_pass(world, 34)
    world.tick()
    assert rounds(world).is_empty()
    before = world.clock()
    days_pass(world, 2)
    world.tick()
    assert recalled(world) == {("s3", "tea")}
    (item,) = rounds(world).filter(trigger_reason="settled_evidence").to_dicts()
    (told,) = json.loads(item["evidence"])["settled_evidence"]
    assert abs(told["settled_uplift"]) * 1.5 < abs(told["uplift_units"])
    now = reports(world).filter(report_id=item["report_id"]).row(0, named=True)
    assert (now["source_used_proposed"], now["rereview_round"]) == ("rereview", 1)
    then = reports(world, before).filter(report_id=item["report_id"]).row(0, named=True)
    assert (then["source_used_proposed"], then["rereview_round"]) == ("attribution", None)
    days_pass(world, 2)
    assert world.tick().appended == {}, "settled once"


def test_members_of_one_event_that_are_sure_of_different_causes_are_looked_at_again(tmp_path: Path) -> None:
    world = world_with(tmp_path)
    world.send(daily_sales(DAYS, change=eggs_everywhere))
    world.send(campaign("north", 118, 121, stores=["s1", "s2"], skus=["eggs"]), "north.json", feed="campaigns")
    world.send(campaign("south", 118, 121, stores=["s3"], skus=["eggs"]), "south.json", feed="campaigns")
    world.tick()
    one, other = report_of(world, "s1", "eggs"), report_of(world, "s3", "eggs")
    assert one["report_group_id"] == other["report_group_id"]
    assert one["proposed_cause"] != other["proposed_cause"]
    days_pass(world, 6)
    world.tick()
    assert rounds(world).is_empty(), "what is new may still be coming in"
    days_pass(world, 2)
    world.tick()
    assert recalled(world) == {("s1", "eggs"), ("s2", "eggs"), ("s3", "eggs")}
    (told,) = json.loads(rounds(world)["evidence"][0])["contradictory_evidence"]
    assert told["causes"] == ["Campaign north", "Campaign south"]
    members = reports(world).filter(pl.col("report_group_id") == one["report_group_id"])
    assert set(members["source_used_proposed"]) == {"rereview"}
    assert world.tick().appended == {}


def eggs_everywhere(_store: str, sku: str, at: date, units: float) -> float:
    return units * 3 if sku == "eggs" and day(118) <= at < day(122) else units
