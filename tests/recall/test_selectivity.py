"""Late context against brute force: whatever would be concluded otherwise is recalled, and only what overlaps."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_resources.kernel import Provenance
from tests.conftest import SteppingClock
from tests.recall.conftest import campaign, day, moved, reports, rounds
from tests.world import DirectWorld, World, daily_sales, settings_for

DAYS, FIRST_SPIKE = 190, 116
STORES, SKUS = ("s1", "s2", "s3", "s4"), ("milk", "bread", "eggs", "tea", "jam")
CHANCE = random.Random(5)  # noqa: S311 - a made-up year, no secrets
SPIKES = {(s, k): [CHANCE.randrange(FIRST_SPIKE, DAYS - 12) for _ in range(2)] for s in STORES for k in SKUS}
REACH = timedelta(days=12)
"""More than any campaign's lead, lag and a misjudged onset together."""


def spiked(store: str, sku: str, at: date, units: float) -> float:
    return units * 3 if any(day(n) <= at < day(n + 4) for n in SPIKES[store, sku]) else units


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("year")
    declared = settings_for(home).model_dump() | {"feeds": {"campaigns": ContextFeed()}}
    declared |= {"replays": {"hold_above_reports": 0}}
    world = DirectWorld(home, Settings.model_validate(declared), SteppingClock(datetime(2024, 9, 1, tzinfo=UTC)))
    world.send(daily_sales(DAYS, stores=STORES, skus=SKUS, change=spiked))
    world.send(campaign("early", 20, 24), "first.json", feed="campaigns")
    world.tick()
    assert reports(world).height > 20
    return world


def every_answer(world: World) -> pl.DataFrame:
    """What attribution says of every report at its newest tick, computed for every day."""
    runner = StageRunner(world.warehouse.store, world.warehouse.models, world.settings)
    whole = Scope(day(FIRST_SPIKE - 4), day(DAYS), "acme")
    rows, _ = runner.answer(ATTRIBUTION_STAGE, whole, Provenance("test", "1"))
    return rows.sort("tick").group_by("report_id").last().select("report_id", "proposed_cause", "confidence_score")


@pytest.mark.few(3)
@pytest.mark.parametrize("seed", range(6))
def test_whatever_a_late_campaign_changes_is_recalled_and_nothing_far_from_it(
    year: World, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - a made-up campaign
    world = moved(year, tmp_path / "home")
    before = every_answer(world)
    (store, sku), spikes = chance.choice(sorted(SPIKES.items()))
    first = spikes[0] + chance.choice((-3, 0, 2))
    stores, skus = chance.choice([([store], [sku]), ([store], None), (None, [sku]), (None, None)])
    world.send(campaign("late", first, first + 3, stores=stores, skus=skus), "late.json", feed="campaigns")
    corrected = daily_sales(DAYS, stores=STORES, skus=SKUS, change=spiked).filter(store_id="s1", sku="milk")
    corrected = corrected.filter(pl.col("ts") == day(SPIKES["s1", "milk"][0] + 1)).with_columns(pl.col("units") + 1)
    world.send(corrected, "corrected.csv")
    assert len(world.tick().held) == 1, "nothing is replayed"
    moved_on = every_answer(world).join(before, on="report_id", suffix="_before")
    needed = moved_on.filter(pl.col("proposed_cause") != pl.col("proposed_cause_before"))
    recalled = set(rounds(world)["report_id"])
    assert set(needed["report_id"]) <= recalled, "nothing that is needed is missed"
    begin = datetime.combine(day(first), time(), UTC) - REACH
    end = datetime.combine(day(first + 4), time(), UTC) + REACH
    near = reports(world).filter(
        pl.col("window_start") < end,
        pl.col("tick") > begin,
        pl.col("store_id").is_in(stores or STORES),
        pl.col("sku").is_in(skus or SKUS),
    )
    assert recalled <= set(near["report_id"])
    assert len(recalled) < reports(world).height
    by_recall = rounds(world).filter(outcome="changed")
    assert set(needed["report_id"]) <= set(by_recall["report_id"])


def test_a_change_of_a_campaign_counts_where_it_was_and_where_it_is(year: World, tmp_path: Path) -> None:
    world = moved(year, tmp_path / "home")
    (store, sku), spikes = sorted(SPIKES.items())[0]
    (other, product), elsewhere = sorted(SPIKES.items())[-1]
    corrected = daily_sales(DAYS, stores=STORES, skus=SKUS, change=spiked).filter(store_id="s2", sku="jam")
    corrected = corrected.filter(pl.col("ts") == day(SPIKES["s2", "jam"][0] + 1)).with_columns(pl.col("units") + 1)
    world.send(corrected, "corrected.csv")
    world.send(campaign("late", spikes[0], spikes[0] + 3, stores=[store], skus=[sku]), "1.json", feed="campaigns")
    world.tick()
    once = set(rounds(world)["report_id"])
    moved_away = campaign("late", elsewhere[0], elsewhere[0] + 3, stores=[other], skus=[product])
    world.send(moved_away, "2.json", feed="campaigns")
    world.tick()
    again = rounds(world).group_by("report_id").agg(pl.len())
    assert once <= set(again.filter(pl.col("len") == 2)["report_id"])
    fresh = reports(world).filter(pl.col("report_id").is_in(set(again["report_id"]) - once))
    assert set(fresh.select("store_id", "sku").iter_rows()) == {(other, product)}
