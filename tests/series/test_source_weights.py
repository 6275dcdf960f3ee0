"""Sources through the real door: a storm of duplicates changes nothing, a new weight re-estimates two weeks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from tests.world import FIRST_DAY, World, daily_sales, settings_for

DAYS = 30
LAST = FIRST_DAY + timedelta(days=DAYS - 1)
SINCE = LAST - timedelta(days=13)
SALES = daily_sales(DAYS, stores=("s1", "s2"), skus=("milk", "bread")).with_columns(source=pl.lit("till"))
SHIPPED = SALES.with_columns(pl.col("units") * 2, source=pl.lit("shipments"), revenue=pl.lit(None, dtype=pl.Float64))
BOTH = pl.concat([SALES, SHIPPED])
SOURCES: dict[str, Any] = {"till": {}, "shipments": {"kind": "sensor"}}


def world_of(home: Path, sources: Mapping[str, Any] | None) -> World:
    """A world without reports: its series are all that is computed."""
    acme = {"timezone": "Europe/London", "reports_from": date(2025, 1, 1)}
    return World(home, settings_for(home, acme=acme | ({"sources": sources} if sources else {})))


def ratios(world: World) -> dict[date, float]:
    """Per day, fused units over those of the till."""
    till = SALES.select("store_id", "sku", business_day="ts", till="units")
    both = world.live(SALES_TIMESERIES).join(till, on=["store_id", "sku", "business_day"]).filter(pl.col("till") > 0)
    ratio = (pl.col("units").cast(pl.Float64) / pl.col("till")).round(3).unique()
    found = both.group_by("business_day").agg(ratio.alias("ratio"))
    assert (found["ratio"].list.len() == 1).all()
    return {day: ratio[0] for day, ratio in found.rows()}


@pytest.mark.few(1)
@pytest.mark.parametrize("sources", [SOURCES, None])
def test_a_duplicate_storm_changes_nothing(sources: Mapping[str, Any] | None, tmp_path: Path) -> None:
    """The same rows again and again: whole, in another order, in part, twice in one file."""
    world = world_of(tmp_path, sources)
    world.send(BOTH)
    world.tick()
    before = {log.name: world.live(log) for log in (UNIFIED_SALES, SALES_TIMESERIES, REPLAY_PLANS)}
    storm = [
        BOTH,
        BOTH.sample(fraction=1, shuffle=True, seed=1),
        BOTH.sample(n=40, seed=2),
        BOTH.reverse(),
        pl.concat([SHIPPED, SHIPPED, SALES, SALES]),
    ]
    for round_ in range(2):
        for n, rows in enumerate(storm):
            world.send(rows, f"again-{round_}-{n}.csv")
        assert world.tick().plans == []
    for log in (UNIFIED_SALES, SALES_TIMESERIES, REPLAY_PLANS):
        assert_frame_equal(world.live(log), before[log.name], check_row_order=False)


def test_new_weights_re_estimate_the_last_two_weeks_and_nothing_else(tmp_path: Path) -> None:
    world = world_of(tmp_path, SOURCES)
    world.send(BOTH)
    world.tick()
    assert set(ratios(world).values()) == {1.5}
    assert world.tick().plans == []

    trusted_less = SOURCES | {"shipments": {"kind": "sensor", "reliability": 0.25}}
    world = world_of(tmp_path, trusted_less)
    (plan,) = world.tick().plans
    assert (plan.triggers, plan.scope.first_day, plan.scope.last_day) == (("source_weights",), SINCE, LAST)
    assert plan.because == "sources weighed otherwise"
    since = LAST - timedelta(days=13)
    assert {day for day, ratio in ratios(world).items() if ratio == 1.2} == {
        since + timedelta(days=n) for n in range(14)
    }
    assert {ratio for day, ratio in ratios(world).items() if day < since} == {1.5}
    assert world.tick().plans == []

    world = world_of(tmp_path, None)
    (plan,) = world.tick().plans
    assert {ratio for day, ratio in ratios(world).items() if day >= SINCE} == {1.0}, "the till alone, as nobody fuses"
    assert world.tick().plans == []


def test_new_weights_and_new_rows_are_one_plan_and_back_again_is_another(tmp_path: Path) -> None:
    world = world_of(tmp_path, SOURCES)
    world.send(BOTH.filter(pl.col("ts") < LAST))
    world.tick()
    world = world_of(tmp_path, {"till": {}, "shipments": {"kind": "proxy"}})
    world.send(BOTH.filter(pl.col("ts") == LAST), "last.csv")
    (plan,) = world.tick().plans
    assert plan.because == "new rows in unified_sales_data; sources weighed otherwise"
    assert plan.scope.first_day == SINCE
    assert {ratio for day, ratio in ratios(world).items() if day >= SINCE} == {1.0}
    world = world_of(tmp_path, SOURCES)
    (back,) = world.tick().plans
    assert back.plan_id != plan.plan_id
    assert set(ratios(world).values()) == {1.5}
    assert world.live(REPLAY_PLANS)["state"].to_list() == ["done"] * 3
