from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.attribution.kinds import HIGHEST_CONFIDENCE
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.feeds.contextual_events import SIGNAL_TYPES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.settings import Retailer
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
    keeps_contract,
    range_equals_days,
    run,
)


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
    assert ATTRIBUTION_STAGE.down == "MRPAL_down"


@given(st.integers(0, 4), st.floats(0.0, 6.0), st.sampled_from(SIGNAL_TYPES))
@settings(max_examples=4, deadline=None)
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
@settings(max_examples=4, deadline=None)
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
    rows = range_equals_days(ATTRIBUTION_STAGE, logs, world.settings(), world.day(37), world.day(42))[ATTRIBUTED.name]
    assert rows["confidence_score"].max() is None or rows["confidence_score"].max() <= HIGHEST_CONFIDENCE
    for text in rows["supporting_evidence"]:
        told = {"candidates", "considered", "unknown_score", "unknown_share", "would_change"}
        assert told == set(json.loads(text))


def test_an_hourly_anomaly_finds_its_cause_within_the_day() -> None:
    world = World(
        retailer=Retailer(timezone="Europe/London", grain="1h"), stores=("s1",), skus=("PIZZA", "BREAD"), days=45
    )
    world.anomaly("s1", "PIZZA", 40 * 24 + 15, [4.0] * 6)
    logs = world.logs()
    origin = datetime(2023, 2, 10, 14, 30, tzinfo=UTC)
    viral = signal(world, 40, 41, "social", title="Viral clip", starts_at=origin, ends_at=origin + timedelta(hours=5))
    rows = range_equals_days(
        ATTRIBUTION_STAGE, with_signals(logs, viral), world.settings(), world.day(40), world.day(40)
    )[ATTRIBUTED.name]
    assert rows.height == 6
    assert set(rows["proposed_cause"]) == {"Viral clip"}
