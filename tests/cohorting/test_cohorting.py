from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.cohorting.stage import COHORTING_STAGE
from mrs_assets.contracts import ids
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.ended import CORRECTED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.settings import Retailer
from tests.clustering.world import (
    Logs,
    World,
    attributed_as,
    clustered_as,
    frame_of,
    keeps_contract,
    range_equals_days,
    run,
    stored,
)

START = 10
DISPLAY = ("Promotion display on PIZZA", "Marketing / Promotion", 0.8)
STORM = ("Storm", "Weather", 0.7)


def told(
    *worlds: World, shapes: Mapping[str, str] | None = None, causes: Mapping[str, tuple[str, str, float]] | None = None
) -> Logs:
    """Logs of all worlds together, with clusters (else `novel`) and causes (else unknown) by report id."""
    logs: Logs = {}
    for world in worlds:
        for name, log in world.logs().items():
            if name in ("detected", "ended"):
                logs[name] = pl.concat([logs[name], log]) if name in logs else log
    return logs | {
        "clustered": clustered_as(logs, shapes or {}, "novel"),
        "attributed": attributed_as(logs, causes or {}),
    }


def at_day(logs: Logs, world: World, day: int, *others: World, **missing: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    frames = run(COHORTING_STAGE, logs, world.settings(*others), world.day(day), world.day(day), **missing)
    keeps_contract(COHORTING_STAGE, frames)
    return frames[COHORTED.name].sort("report_id"), frames[EVENTS.name].sort("report_group_id")


def same_product(world: World, starts: Mapping[str, int], length: int = 5) -> list[str]:
    return [world.anomaly(store, "PIZZA", start, [3.0] * length) for store, start in starts.items()]


def test_the_same_cause_in_many_stores_is_one_event_with_a_readable_name() -> None:
    world = World()
    reports = same_product(world, dict.fromkeys(("s1", "s2", "s3", "s4", "s5"), START))
    rows, events = at_day(told(world, causes=dict.fromkeys(reports, DISPLAY)), world, START + 1)
    assert rows["report_group_id"].n_unique() == events.height == 1
    event = events.row(0, named=True)
    assert event["cohort_name"] == "PIZZA in 5 stores of acme: Promotion display on PIZZA"
    assert event["stores"] == [f"acme/s{n}" for n in range(1, 6)]
    assert event["leading_cause"] == DISPLAY[0]
    assert event["leading_cause_confidence"] == pytest.approx(0.8)
    assert set(rows["cohort_reason"]) == {"same cause"}
    assert rows["cohort_confidence"].to_list() == pytest.approx([0.9] * 5)
    assert rows["cohort_size"].to_list() == [5] * 5


def test_reports_that_share_nothing_stay_alone() -> None:
    world = World()
    same_product(world, {"s1": START, "s2": START})
    world.anomaly("s3", "TEA", START, [3.0] * 5)
    rows, events = at_day(told(world), world, START + 1)
    assert rows["report_group_id"].n_unique() == events.height == 3
    assert rows["cohort_confidence"].null_count() == 3
    assert rows["cohort_size"].to_list() == [1, 1, 1]


def test_one_product_with_one_shape_in_three_stores_is_one_event_but_in_two_it_is_coincidence() -> None:
    for stores, groups in ((("s1", "s2", "s3"), 1), (("s1", "s2"), 2)):
        world = World()
        reports = same_product(world, dict.fromkeys(stores, START))
        rows, _ = at_day(told(world, shapes=dict.fromkeys(reports, "sustained-uplift")), world, START + 1)
        assert rows["report_group_id"].n_unique() == groups


def test_one_store_with_one_shape_in_many_products_is_one_event() -> None:
    world = World()
    reports = [world.anomaly("s1", sku, START, [0.0] * 3) for sku in world.skus]
    rows, events = at_day(told(world, shapes=dict.fromkeys(reports, "broad-drop")), world, START + 1)
    assert rows["report_group_id"].n_unique() == 1
    assert events.row(0, named=True)["cohort_name"] == "6 products in store s1 of acme: broad drop"


def test_a_region_ties_stores_only_where_it_is_known() -> None:
    world = World(stores=tuple(f"s{n}" for n in range(8)), skus=tuple(f"K{n}" for n in range(8)))
    reports = [world.anomaly(f"s{n}", f"K{n}", START, [3.0] * 3) for n in range(8)]
    logs = told(world, shapes=dict.fromkeys(reports, "sustained-uplift"))
    places = [
        {"retailer": "acme", "business_day": date(2015, 1, 1), "store_id": store, "region": "north"}
        for store in world.stores
    ]
    placed = logs | {"stores": stored(STORES, frame_of(STORES, places))}
    assert at_day(placed, world, START)[0]["report_group_id"].n_unique() == 1
    assert at_day(placed, world, START, stores="missing")[0]["report_group_id"].n_unique() == 8


def test_opposite_directions_and_distant_onsets_do_not_belong_together() -> None:
    world = World()
    up = world.anomaly("s1", "PIZZA", START, [3.0] * 8)
    down = world.anomaly("s2", "PIZZA", START, [0.2] * 8)
    late = world.anomaly("s3", "PIZZA", START + 4, [3.0] * 4)
    rows, _ = at_day(told(world, causes=dict.fromkeys((up, down, late), STORM)), world, START + 5)
    assert rows["report_group_id"].n_unique() == 3


def test_weather_crosses_retailers_and_a_campaign_does_not() -> None:
    for cause, groups in ((STORM, 1), (("Campaign 13", "Marketing / Promotion", 0.8), 2)):
        worlds = World(), World(name="other")
        reports = [world.anomaly("s1", "PIZZA", START, [3.0] * 4) for world in worlds]
        rows, events = at_day(told(*worlds, causes=dict.fromkeys(reports, cause)), worlds[0], START + 1, worlds[1])
        assert rows.height == 2
        assert rows["report_group_id"].n_unique() == groups
        assert events["retailer_count"].to_list() == [2] if groups == 1 else [1, 1]


def test_an_event_keeps_its_id_after_its_first_report_ended_and_ends_with_its_last() -> None:
    world = World()
    first = world.anomaly("s1", "PIZZA", START, [3.0] * 2)
    rest = same_product(world, {"s2": START + 1, "s3": START + 1}, length=8)
    logs = told(world, causes=dict.fromkeys((first, *rest), DISPLAY))
    frames = range_equals_days(COHORTING_STAGE, logs, world.settings(), world.day(START), world.day(START + 9))
    events = EVENTS.conform(frames[EVENTS.name]).sort("tick")
    assert set(events["report_group_id"]) == {ids.report_group_id(first, world.starts()[START])}
    assert events["event_status"].to_list() == ["active"] * 8 + ["ended"]
    assert events["report_count"].to_list() == [1] + [3] * 8
    last = events.row(-1, named=True)
    assert last["resolution_reason"] == "recovered"
    assert last["window_end"] == world.starts()[START + 9]
    assert events["resolution_reason"].null_count() == 8
    total = logs["detected"].sort("tick").group_by("report_id").last()["impact_estimate"].sum()
    assert last["impact_estimate"] == total


def test_without_the_closures_an_ended_event_does_not_guess_why() -> None:
    world = World()
    same_product(world, {"s1": START}, length=2)
    _, events = at_day(told(world), world, START + 1, ended="missing")
    assert events["event_status"].to_list() == ["ended"]
    assert events["resolution_reason"].to_list() == [None]


def test_a_chain_of_reports_over_weeks_is_not_one_event() -> None:
    world = World(stores=tuple(f"s{n:02d}" for n in range(20)))
    reports = same_product(world, {store: 5 + 2 * n for n, store in enumerate(world.stores)}, length=3)
    logs = told(world, causes=dict.fromkeys(reports, ("Endless", "Social / Viral", 0.8)))
    frames = run(COHORTING_STAGE, logs, world.settings(), world.day(15), world.day(48))
    events = EVENTS.conform(frames[EVENTS.name])
    assert 2 <= events["report_count"].max() <= 7
    onsets = dict(logs["detected"].select("report_id", "first_detected_from").iter_rows())
    for _, rows in frames[COHORTED.name].group_by("report_group_id"):
        seen = [onsets[report] for report in rows["report_id"]]
        assert (max(seen) - min(seen)).days < 14


def test_impacts_add_and_independent_errors_add_in_quadrature() -> None:
    world = World()
    reports = same_product(world, dict.fromkeys(("s1", "s2", "s3", "s4"), START))
    _, events = at_day(told(world, causes=dict.fromkeys(reports, DISPLAY)), world, START)
    event = events.row(0, named=True)
    assert float(event["impact_estimate"]) == pytest.approx(4 * 400)
    assert float(event["impact_lower"]) == pytest.approx(4 * 400 - 2 * 30)
    assert float(event["impact_upper"]) == pytest.approx(4 * 400 + 2 * 40)


def test_money_and_units_are_never_added() -> None:
    priced, unpriced = World(), World(name="other", price=None)
    reports = [w.anomaly("s1", "PIZZA", START, [3.0] * 3) for w in (priced, unpriced)]
    _, events = at_day(told(priced, unpriced, causes=dict.fromkeys(reports, STORM)), priced, START, unpriced)
    event = events.row(0, named=True)
    assert event["report_count"] == 2
    amounts = ("impact_unit", "impact_estimate", "impact_lower", "impact_upper", "attributed_sales_total")
    assert [event[c] for c in amounts] == [None] * 5
    assert event["leading_cause_confidence"] == pytest.approx(0.7)


def test_an_unknown_impact_is_not_taken_for_zero() -> None:
    world = World()
    known = world.anomaly("s1", "PIZZA", START, [3.0] * 3)
    unknown = world.anomaly("s2", "PIZZA", START, [3.0] * 3, impact_estimate=None, severity_score=None)
    _, events = at_day(told(world, causes=dict.fromkeys((known, unknown), STORM)), world, START)
    assert events["impact_estimate"].to_list() == events["severity_score"].to_list() == [None]


def test_one_odd_proposal_does_not_name_the_event() -> None:
    world = World()
    reports = same_product(world, dict.fromkeys(world.stores, START))
    logs = told(world, shapes=dict.fromkeys(reports, "sustained-uplift"), causes={reports[0]: STORM})
    _, events = at_day(logs, world, START)
    assert events.height == 1
    assert events["leading_cause"].to_list() == ["unknown"]
    assert events["cohort_name"].to_list() == ["PIZZA in 6 stores of acme: sustained uplift"]


def test_an_earlier_report_found_late_moves_the_event_and_the_thread_is_kept() -> None:
    world = World()
    reports = same_product(world, {"s2": START + 1, "s3": START + 1})
    before, _ = at_day(told(world, causes=dict.fromkeys(reports, DISPLAY)), world, START + 2)
    earlier = world.anomaly("s1", "PIZZA", START, [3.0] * 5)
    logs = told(world, causes=dict.fromkeys((*reports, earlier), DISPLAY))
    after, _ = at_day(logs | {"previous": stored(COHORTED, before)}, world, START + 2)
    assert set(after["report_group_id"]) == {ids.report_group_id(earlier, world.starts()[START])}
    assert set(after["supersedes"]) == set(before["report_group_id"])
    again, _ = at_day(logs | {"previous": stored(COHORTED, after)}, world, START + 2)
    assert again.equals(after)


def test_rows_say_which_input_they_missed() -> None:
    world = World()
    same_product(world, {"s1": START})
    logs = told(world)
    whole, _ = at_day(logs, world, START)
    assert whole["degraded_reasons"].to_list() == [[]]
    lame, events = at_day(logs, world, START, **dict.fromkeys(COHORTING_STAGE.wants, "missing"))
    assert lame["degraded_reasons"].to_list() == events["degraded_reasons"].to_list() == [["MRCL_down", "MRPAL_down"]]
    assert lame["report_group_id"].to_list() == whole["report_group_id"].to_list()


def test_when_cohorting_is_down_reports_have_rows_and_there_are_no_events() -> None:
    world = World()
    same_product(world, {"s1": START, "s2": START})
    assert COHORTING_STAGE.fallback is not None
    down = replace(COHORTING_STAGE, compute=COHORTING_STAGE.fallback)
    frames = run(down, told(world), world.settings(), world.day(START), world.day(START))
    keeps_contract(COHORTING_STAGE, frames)
    assert frames[COHORTED.name]["report_group_id"].to_list() == [None, None]
    assert COHORTING_STAGE.down == "MRCH_down"
    assert frames[EVENTS.name].is_empty()


def test_what_corrected_data_closed_stays_and_is_degraded_no_longer_than_cohorting_is_down() -> None:
    world = World()
    same_product(world, {"s1": START})
    _, events = at_day(told(world), world, START)
    missed = pl.Series([["MRCH_down", "MRCL_down"]], dtype=pl.List(pl.String))
    closed = events.with_columns(event_status=pl.lit("ended"), resolution_reason=pl.lit(CORRECTED))
    closed = closed.with_columns(is_degraded=True, degraded_reasons=missed)
    logs = told(World()) | {"events": stored(EVENTS, closed)}
    _, kept = at_day(logs, world, START)
    assert kept.drop("is_degraded", "degraded_reasons").equals(closed.drop("is_degraded", "degraded_reasons"))
    assert kept["degraded_reasons"].to_list() == [["MRCL_down"]], "what it had to do without while it was believed in"


def test_no_reports_give_empty_frames() -> None:
    rows, events = at_day(told(World(days=20)), World(), START)
    assert rows.is_empty()
    assert events.is_empty()


_places = st.tuples(st.sampled_from(["s1", "s2", "s3"]), st.sampled_from(["PIZZA", "TEA"]))
_report = st.tuples(st.integers(6, 16), st.integers(1, 6), st.booleans(), st.booleans(), st.integers(0, 2))


@given(st.dictionaries(_places, _report, max_size=6), st.dictionaries(_places, _report, max_size=6))
@settings(max_examples=4, deadline=None)
def test_a_range_equals_day_by_day_across_zones_and_grains(here: dict[Any, Any], there: dict[Any, Any]) -> None:
    daily = World(days=25, stores=("s1", "s2", "s3"), skus=("PIZZA", "TEA"))
    hourly = replace(
        daily, name="tokyo", retailer=Retailer(timezone="Asia/Tokyo", grain="6h"), units={}, reports=[], endings=[]
    )
    shapes, causes = {}, {}
    for world, chosen in ((daily, here), (hourly, there)):
        for (store, sku), (start, length, up, ends, kind) in chosen.items():
            first = start * (1 if world is daily else 4)
            report = world.anomaly(store, sku, first, [3.0 if up else 0.2] * length, ends=ends)
            shapes[report] = ("sustained-uplift", "broad-drop", "novel")[kind]
            causes[report] = (STORM, DISPLAY, ("unknown", "unknown", 0.05))[kind]
    logs = told(daily, hourly, shapes=shapes, causes=causes)
    frames = range_equals_days(COHORTING_STAGE, logs, daily.settings(hourly), daily.day(8), daily.day(14))
    rows, events = (frames[c.name] for c in (COHORTED, EVENTS))
    assert rows.height == logs["detected"].filter(pl.col("business_day").is_between(daily.day(8), daily.day(14))).height
    held = rows.join(events, on=["report_group_id", "tick"], how="anti")
    assert set(held["business_day"]) <= {daily.day(14)}
