from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mrs_assets.attribution.kinds import HIGHEST_CONFIDENCE, UNKNOWN_CONFIDENCE
from tests.attribution.feeds import (
    QUIET,
    START,
    answers,
    campaign,
    placed,
    promoted,
    signal,
    uplift,
    with_campaigns,
    with_promotions,
    with_signals,
)
from tests.clustering.world import (
    World,
    clustered_as,
)


def test_a_promotion_of_the_product_at_the_time_is_the_cause() -> None:
    world = World(retailer=QUIET)
    row = answers(with_promotions(uplift(world), promoted(world, START, START + 6)), world)[0]
    assert row["proposed_cause"] == "Promotion display on PIZZA"
    assert row["proposed_cause_category"] == "Marketing / Promotion"
    assert 0.6 < row["confidence_score"] <= HIGHEST_CONFIDENCE
    assert json.loads(row["supporting_evidence"])["candidates"][0]["candidate_id"] == "P1"


@pytest.mark.parametrize(
    "decoy",
    [
        {"store": "s2"},
        {"sku": "BREAD"},
        {"start": START - 30, "end": START - 20},
        {"start": START + 5, "end": START + 9},
    ],
    ids=["wrong store", "wrong product", "too early", "too late"],
)
def test_a_promotion_elsewhere_or_at_another_time_is_not(decoy: dict[str, Any]) -> None:
    world = World(retailer=QUIET)
    times = {"start": START, "end": START + 6} | decoy
    row = answers(with_promotions(uplift(world), promoted(world, **times)), world)[0]
    assert row["proposed_cause"] == row["proposed_cause_category"] == "unknown"
    assert row["confidence_score"] == UNKNOWN_CONFIDENCE


def test_without_any_candidate_the_cause_is_unknown() -> None:
    world = World(retailer=QUIET)
    row = answers(uplift(world), world)[0]
    assert row["proposed_cause"] == "unknown"
    assert row["confidence_score"] == UNKNOWN_CONFIDENCE
    assert row["proposed_cause_2"] is None
    assert json.loads(row["supporting_evidence"])["candidates"] == []


def test_a_campaign_that_always_runs_explains_less_than_one_that_just_began() -> None:
    world = World(retailer=QUIET, days=120)
    world.anomaly("s1", "PIZZA", 100, [3.0] * 5)
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "sustained-uplift")
    fresh = with_campaigns(logs, campaign(world, 100, 110, skus=["PIZZA"], stores=["s1"]))
    always = with_campaigns(logs, campaign(world, 0, 110, skus=["PIZZA"], stores=["s1"]))
    new, old = (answers(given, world, 104)[0] for given in (fresh, always))
    assert new["proposed_cause"] == "Campaign 13 (TypeA)"
    assert old["proposed_cause"] == "unknown"


def test_a_public_holiday_explains_what_moves_everywhere() -> None:
    world = World(days=60)
    presidents_day = (date(2023, 2, 20) - world.day(0)).days
    for store in world.stores:
        for sku in world.skus:
            world.anomaly(store, sku, presidents_day - 2, [2.6, 3.0, 3.0], ends=False)
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "broad-uplift")
    row = answers(logs, world, presidents_day)[0]
    assert row["proposed_cause"] == "Washington's Birthday"
    assert row["proposed_cause_category"] == "Holiday / Calendar"
    abroad = replace(world, retailer=QUIET)
    assert answers(logs, abroad, presidents_day)[0]["proposed_cause"] == "unknown"


def test_weather_reaches_only_its_region() -> None:
    world = World(retailer=QUIET)
    logs = with_signals(uplift(world, ("s1", "s2")), signal(world, START, START + 5, regions=["north"]))
    logs["stores"] = placed(world, {"s1": "north", "s2": "south"})
    north, south = answers(logs, world)
    assert north["proposed_cause"] == "Heat wave"
    assert north["proposed_cause_category"] == "Weather"
    assert south["proposed_cause"] == "unknown"


def test_where_nobody_says_where_a_store_is_a_regional_cause_counts_less_and_the_row_says_so() -> None:
    world = World(retailer=QUIET)
    logs = with_signals(uplift(world), signal(world, START, START + 5, regions=["north"]))
    logs["stores"] = placed(world, {"s1": "north"})
    sure = answers(logs, world)[0]
    unsure = answers(logs, world, stores="missing")[0]
    assert unsure["confidence_score"] < sure["confidence_score"]
    assert json.loads(unsure["context_snapshot"])["stores"] == "missing"
    told = json.loads(unsure["supporting_evidence"])["would_change"]
    assert {"stores", "missing"} <= {v for t in told for v in (t["input"], t["state"])}


@pytest.mark.parametrize(("radius", "cause"), [(60.0, "Heat wave"), (30.0, "unknown")])
def test_a_circle_on_the_map_covers_what_lies_inside_it(radius: float, cause: str) -> None:
    world = World(retailer=QUIET)
    at = {"latitude": 51.5, "longitude": -0.1, "radius_km": radius}
    logs = with_signals(uplift(world), signal(world, START, START + 5, **at))
    logs["stores"] = placed(world, {"s1": None}, latitude=51.9, longitude=-0.1)  # 44 km north
    assert answers(logs, world)[0]["proposed_cause"] == cause


def test_one_absurd_span_neither_fails_nor_explains() -> None:
    world = World(retailer=QUIET)
    logs = with_campaigns(uplift(world), campaign(world, -200, 0, end_day=date(9999, 12, 31)))
    assert answers(logs, world)[0]["proposed_cause"] == "unknown"
    backwards = with_campaigns(uplift(World(retailer=QUIET)), campaign(world, START, START - 5))
    assert answers(backwards, world)[0]["proposed_cause"] == "unknown"
