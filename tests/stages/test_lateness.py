"""A configured feed that goes late degrades exactly the days that it is too late for, alone or in a range."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from mrs_assets.boundary.reading import InputReader
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import ContextFeed
from mrs_assets.graph import STAGES
from mrs_resources.kernel import Provenance
from tests.world import DirectWorld, World, daily_sales, settings_for

ATTRIBUTION = next(stage for stage in STAGES if "campaigns" in stage.wants)
LIMIT = 3


def missing(world: World, first: date, last: date) -> dict[date, bool]:
    """Day → whether campaigns are missing, as a range of days is computed."""
    reader = InputReader(world.warehouse.models, world.settings, Provenance("test", "1"))
    scope = Scope(first, last, "acme")
    found = {}
    with world.warehouse.store.transaction() as tx:
        for span in reader.spans(tx, ATTRIBUTION, scope):
            inputs = reader.read(tx, ATTRIBUTION, replace(span))
            found |= dict.fromkeys(span.days, "campaigns" in inputs.missing)
    return found


def test_days_after_the_limit_go_without_it_until_the_next_file(tmp_path: Path) -> None:
    feeds = {"campaigns": ContextFeed(late_after_days=LIMIT)}
    world = DirectWorld(tmp_path, settings_for(tmp_path).model_copy(update={"feeds": feeds}))
    came = date(2024, 6, 1)
    world.clock.now = datetime(2024, 6, 1, 9, tzinfo=UTC)  # type: ignore[attr-defined]
    campaign = {"skus": [["eggs"]], "start_day": [came], "end_day": [came]}
    world.send(daily_sales(8), "sales.csv")
    world.send(pl.DataFrame({"campaign_id": ["c1"], **campaign}), "c1.json", feed="campaigns")
    world.tick()
    first, last = came - timedelta(days=5), came + timedelta(days=9)
    ranged = missing(world, first, last)
    assert ranged == {day: day > came + timedelta(days=LIMIT) for day in ranged}
    assert len(ranged) == 15
    assert ranged == {day: down for each in ranged for day, down in missing(world, each, each).items()}
    world.clock.now = datetime(2024, 6, 9, 9, tzinfo=UTC)  # type: ignore[attr-defined]
    world.send(pl.DataFrame({"campaign_id": ["c2"], **campaign}), "c2.json", feed="campaigns")
    world.tick()
    assert not any(missing(world, first, last).values())


def test_a_feed_with_nothing_to_say_of_a_day_is_not_down(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    world = DirectWorld(tmp_path, settings.model_copy(update={"feeds": {"campaigns": ContextFeed()}}))
    world.send(daily_sales(8), "sales.csv")
    world.tick()
    first = date(2024, 1, 5)
    assert missing(world, first, first) == {first: True}
    old = {"campaign_id": ["c1"], "start_day": [date(2023, 2, 1)], "end_day": [date(2023, 2, 2)]}
    world.send(pl.DataFrame(old), "c.json", feed="campaigns")
    world.tick()
    assert missing(world, first, first) == {first: False}
