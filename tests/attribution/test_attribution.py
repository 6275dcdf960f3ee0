from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.attribution.kinds import DATED, HIGHEST_CONFIDENCE, OBSERVED, UNKNOWN_CONFIDENCE
from mrs_assets.attribution.observed import DOUBLING_CLUSTER, FLAG_CAUSES
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.clustering.library import build_library
from mrs_assets.contracts.logs.attributed import ATTRIBUTED, CAUSE_CATEGORIES
from mrs_assets.contracts.logs.context import CAMPAIGNS, CONTEXTUAL_EVENTS, PROMOTIONS, SIGNAL_TYPES, STORES
from mrs_assets.contracts.logs.sales_timeseries import QUALITY_FLAGS
from mrs_assets.contracts.settings import Retailer
from tests.clustering.world import (
    Logs,
    World,
    clustered_as,
    frame_of,
    keeps_contract,
    range_equals_days,
    run,
    stored,
)

START = 40
QUIET = Retailer(timezone="America/New_York")


def promoted(world: World, start: int, end: int, *, store: str = "s1", sku: str = "PIZZA", **more: Any) -> dict[str, Any]:
    first, last = world.day(start), world.day(end)
    return {
        "retailer": world.name,
        "business_day": first,
        "promotion_id": "P1",
        "store_id": store,
        "sku": sku,
        "start_day": first,
        "end_day": last,
        "mechanic": "display",
    } | more


def campaign(world: World, start: int, end: int, **more: Any) -> dict[str, Any]:
    first, last = world.day(start), world.day(end)
    return {
        "retailer": world.name,
        "business_day": first,
        "campaign_id": "13",
        "campaign_name": "TypeA",
        "start_day": first,
        "end_day": last,
    } | more


def signal(world: World, start: float, end: float, kind: str = "weather", **more: Any) -> dict[str, Any]:
    origin = world.starts()[0]
    first = origin + timedelta(days=start)
    return {
        "retailer": world.name,
        "business_day": first.astimezone(world.retailer.zone).date(),
        "event_id": "E1",
        "signal_type": kind,
        "title": "Heat wave",
        "starts_at": first,
        "ends_at": origin + timedelta(days=end),
        "direction": "up",
    } | more


def placed(world: World, regions: Mapping[str, str | None], **more: Any) -> pl.DataFrame:
    rows = [
        {"retailer": world.name, "business_day": date(2015, 1, 1), "store_id": store, "region": region} | more
        for store, region in regions.items()
    ]
    return stored(STORES, frame_of(STORES, rows))


def uplift(world: World, stores: tuple[str, ...] = ("s1",), ratio: float = 3.0, length: int = 5) -> Logs:
    for store in stores:
        world.anomaly(store, "PIZZA", START, [ratio] * length)
    logs = world.logs()
    return logs | {"clustered": clustered_as(logs, {}, "sustained-uplift")}


def answers(logs: Logs, world: World, last: int = START + 4, **missing: str) -> list[dict[str, Any]]:
    """Rows of the last day, by store."""
    frames = run(ATTRIBUTION_STAGE, logs, world.settings(), world.day(last), world.day(last), **missing)
    keeps_contract(ATTRIBUTION_STAGE, frames)
    return frames[ATTRIBUTED.name].sort("store_id", "sku").to_dicts()


def with_promotions(logs: Logs, *rows: dict[str, Any]) -> Logs:
    return logs | {"promotions": stored(PROMOTIONS, frame_of(PROMOTIONS, rows))}


def with_campaigns(logs: Logs, *rows: dict[str, Any]) -> Logs:
    return logs | {"campaigns": stored(CAMPAIGNS, frame_of(CAMPAIGNS, rows))}


def with_signals(logs: Logs, *rows: dict[str, Any]) -> Logs:
    return logs | {"contextual_events": stored(CONTEXTUAL_EVENTS, frame_of(CONTEXTUAL_EVENTS, rows))}


def test_a_promotion_of_the_product_at_the_time_is_the_cause() -> None:
    world = World(retailer=QUIET)
    row = answers(with_promotions(uplift(world), promoted(world, START, START + 6)), world)[0]
    assert row["proposed_cause"] == "Promotion display on PIZZA"
    assert row["proposed_cause_category"] == "Marketing / Promotion"
    assert 0.6 < row["confidence_score"] <= HIGHEST_CONFIDENCE
    assert json.loads(row["supporting_evidence"])["candidates"][0]["candidate_id"] == "P1"


@pytest.mark.parametrize(
    "decoy",
    [{"store": "s2"}, {"sku": "BREAD"}, {"start": START - 30, "end": START - 20}, {"start": START + 5, "end": START + 9}],
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


def test_one_product_at_zero_in_a_trading_store_is_a_stock_out() -> None:
    world = World(retailer=QUIET)
    row = answers(uplift(world, ratio=0.0), world)[0]
    assert row["proposed_cause"] == "Stock-out of PIZZA in store s1"
    assert row["proposed_cause_category"] == "Own Stockout / Operational"


def test_a_whole_store_at_zero_is_a_disruption_and_no_stock_out() -> None:
    world = World(retailer=QUIET)
    for sku in world.skus:
        world.anomaly("s1", sku, START, [0.0] * 3)
    logs = world.logs()
    rows = answers(logs, world, START + 2)
    assert {row["proposed_cause"] for row in rows} == {"Trading disrupted in store s1"}


def test_missing_ticks_of_the_neighbours_are_data_and_not_demand() -> None:
    world = World(retailer=QUIET)
    world.anomaly("s1", "PIZZA", START, [0.3] * 4)
    for sku in world.skus[1:]:
        for n in range(4):
            world.units["s1", sku, START + n] = None
    row = answers(world.logs(), world, START + 3)[0]
    assert row["proposed_cause"] == "Data error: sales of store s1 partly missing"


def test_a_price_cut_explains_an_uplift_but_not_a_drop() -> None:
    for ratio, cause in ((2.5, "Price of PIZZA down 25 %"), (0.5, "unknown")):
        world = World(retailer=QUIET)
        for n in range(5):
            world.prices["s1", "PIZZA", START + n] = 1.5
        assert answers(uplift(world, ratio=ratio), world)[0]["proposed_cause"] == cause


def test_flagged_data_is_a_data_error() -> None:
    world = World(retailer=QUIET)
    for n in range(5):
        world.flags["s1", "PIZZA", START + n] = ["duplicate_window"]
    row = answers(uplift(world, ratio=2.0), world)[0]
    assert row["proposed_cause"] == "Data error: days sent twice"
    assert row["proposed_cause_category"] == "Data Error"


def test_a_store_whose_products_all_double_was_recorded_twice() -> None:
    world = World(retailer=QUIET)
    for sku in world.skus:
        world.anomaly("s1", sku, START, [2.0] * 3)
    world.anomaly("s2", "PIZZA", START, [2.0] * 3)
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "broad-uplift")
    rows = answers(logs, world, START + 2)
    causes = {row["store_id"]: row["proposed_cause"] for row in rows}
    assert causes == {"s1": "Data error: sales of store s1 recorded twice", "s2": "unknown"}


def test_the_clusters_and_flags_that_are_looked_for_exist() -> None:
    assert DOUBLING_CLUSTER in build_library().families
    assert set(FLAG_CAUSES) == set(QUALITY_FLAGS)
    assert set(SIGNAL_TYPES) <= set(DATED)
    assert {kind.category for kind in (*DATED.values(), *OBSERVED.values())} == set(CAUSE_CATEGORIES)


def test_a_report_without_a_usable_cluster_says_so_and_trusts_less() -> None:
    world = World(retailer=QUIET)
    logs = with_promotions(uplift(world), promoted(world, START, START + 6))
    whole = answers(logs, world)[0]
    logs["clustered"] = clustered_as(logs, {}, None)
    without = answers(logs, world)[0]
    assert without["degraded_reasons"] == ["MRCL_down"]
    assert without["proposed_cause"] == whole["proposed_cause"]
    assert without["confidence_score"] < whole["confidence_score"]
    assert not whole["is_degraded"]


def test_every_want_may_be_missing() -> None:
    world = World(retailer=QUIET)
    logs = with_promotions(uplift(world), promoted(world, START, START + 6))
    row = answers(logs, world, **dict.fromkeys(ATTRIBUTION_STAGE.wants, "missing"))[0]
    assert row["proposed_cause"] == "unknown"
    states = json.loads(row["context_snapshot"])
    assert set(states.values()) == {"missing", "not_configured"}
    for want in ATTRIBUTION_STAGE.wants:
        assert answers(logs, world, **{want: "unconfigured"})[0]["report_status"] == "attributed"


def test_when_attribution_is_down_the_cause_is_unknown_without_confidence() -> None:
    world = World(retailer=QUIET)
    logs = uplift(world)
    assert ATTRIBUTION_STAGE.fallback is not None
    down = replace(ATTRIBUTION_STAGE, compute=ATTRIBUTION_STAGE.fallback)
    frames = run(down, logs, world.settings(), world.day(START), world.day(START + 4))
    keeps_contract(ATTRIBUTION_STAGE, frames)
    rows = frames[ATTRIBUTED.name]
    assert rows.height == 5
    assert set(rows["proposed_cause"]) == {"unknown"}
    assert rows["confidence_score"].null_count() == 5
    assert rows["degraded_reasons"].to_list() == [["MRPAL_down"]] * 5


def test_one_absurd_span_neither_fails_nor_explains() -> None:
    world = World(retailer=QUIET)
    logs = with_campaigns(uplift(world), campaign(world, -200, 0, end_day=date(9999, 12, 31)))
    assert answers(logs, world)[0]["proposed_cause"] == "unknown"
    backwards = with_campaigns(uplift(World(retailer=QUIET)), campaign(world, START, START - 5))
    assert answers(backwards, world)[0]["proposed_cause"] == "unknown"


@given(st.integers(0, 4), st.floats(0.0, 6.0), st.sampled_from(SIGNAL_TYPES))
@settings(max_examples=12, deadline=None)
def test_a_signal_that_starts_after_a_tick_changes_nothing_at_it(day: int, later: float, kind: str) -> None:
    world = World(retailer=QUIET, stores=("s1",), skus=("PIZZA", "BREAD"), days=55)
    logs = uplift(world)
    after = with_signals(logs, signal(world, START + day + 1 + later, START + 14, kind))
    assert answers(after, world, START + day) == answers(logs, world, START + day)


@given(
    st.lists(st.tuples(st.integers(30, 44), st.floats(0, 4), st.integers(1, 8)), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(-60, 50), st.integers(0, 90)), max_size=4),
    st.lists(st.tuples(st.floats(0, 50), st.floats(0, 5), st.sampled_from(SIGNAL_TYPES)), max_size=4),
)
@settings(max_examples=6, deadline=None)
def test_a_range_equals_day_by_day(
    reports: list[tuple[int, float, int]], spans: list[tuple[int, int]], signals: list[tuple[float, float, str]]
) -> None:
    world = World(stores=("s1", "s2"), skus=("PIZZA", "BREAD"))
    places = [(store, sku) for store in world.stores for sku in world.skus]
    for (store, sku), (start, ratio, length) in zip(places, reports, strict=False):
        world.anomaly(store, sku, start, [ratio] * length)
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "exact-doubling")
    logs["stores"] = placed(world, {"s1": "north", "s2": None})
    logs = with_promotions(
        logs, *(promoted(world, s, s + n, sku="*", promotion_id=f"P{i}") for i, (s, n) in enumerate(spans))
    )
    logs = with_campaigns(logs, *(campaign(world, s, s + n, campaign_id=str(i)) for i, (s, n) in enumerate(spans)))
    logs = with_signals(
        logs,
        *(signal(world, s, s + n, kind, event_id=f"E{i}", regions=["north"]) for i, (s, n, kind) in enumerate(signals)),
    )
    rows = range_equals_days(ATTRIBUTION_STAGE, logs, world.settings(), world.day(36), world.day(46))[ATTRIBUTED.name]
    assert rows["confidence_score"].max() is None or rows["confidence_score"].max() <= HIGHEST_CONFIDENCE
    for text in rows["supporting_evidence"]:
        assert {"candidates", "considered", "unknown_score", "would_change"} == set(json.loads(text))


def test_an_hourly_anomaly_finds_its_cause_within_the_day() -> None:
    world = World(retailer=Retailer(timezone="Europe/London", grain="1h"), stores=("s1",), skus=("PIZZA", "BREAD"), days=45)
    world.anomaly("s1", "PIZZA", 40 * 24 + 15, [4.0] * 6)
    logs = world.logs()
    origin = datetime(2023, 2, 10, 14, 30, tzinfo=UTC)
    viral = signal(world, 40, 41, "social", title="Viral clip", starts_at=origin, ends_at=origin + timedelta(hours=5))
    rows = range_equals_days(
        ATTRIBUTION_STAGE, with_signals(logs, viral), world.settings(), world.day(40), world.day(40)
    )[ATTRIBUTED.name]
    assert rows.height == 6
    assert set(rows["proposed_cause"]) == {"Viral clip"}
