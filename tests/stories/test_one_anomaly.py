"""From a file in the inbox to one trustworthy row, on a real graph."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import ContextFeed
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, local_day, settings_for

DAYS = 126
SPIKE = [FIRST_DAY + timedelta(days=n) for n in range(118, 122)]


def spike(store: str, sku: str, day: date, units: float) -> float:
    return units * 3 if (store, sku) == ("s2", "eggs") and day in SPIKE else units


@pytest.fixture(scope="module")
def spiked(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("spiked")
    world = World(home, settings_for(home))
    world.send(daily_sales(DAYS, change=spike))
    world.tick()
    return world


def test_the_spike_is_one_report_from_its_first_tick_to_its_close(spiked: World) -> None:
    rows = spiked.live(DETECTED).filter((pl.col("store_id") == "s2") & (pl.col("sku") == "eggs")).sort("tick")
    assert rows["report_id"].n_unique() == 1
    first, last = rows.row(0, named=True), rows.row(-1, named=True)
    assert local_day(first["first_detected_from"]) == SPIKE[0]
    assert rows["tick"].diff().drop_nulls().unique().to_list() == [timedelta(days=1)]
    assert first["window_end"] is None
    assert local_day(last["window_end"]) == SPIKE[-1] + timedelta(days=1)
    assert spiked.live(ENDED).filter(pl.col("report_id") == first["report_id"])["resolution_reason"].to_list() == [
        "recovered"
    ]


def test_its_uplift_is_right_and_inside_its_interval(spiked: World) -> None:
    sold = daily_sales(DAYS, change=spike).filter((pl.col("store_id") == "s2") & (pl.col("sku") == "eggs"))
    usual = daily_sales(DAYS).filter((pl.col("store_id") == "s2") & (pl.col("sku") == "eggs"))
    in_spike = pl.col("ts").is_in(SPIKE)
    truth = float(sold.filter(in_spike)["revenue"].sum() - usual.filter(in_spike)["revenue"].sum())
    row = (
        spiked.live(DETECTED)
        .filter(pl.col("sku") == "eggs", pl.col("store_id") == "s2")
        .sort("tick")
        .row(-1, named=True)
    )
    assert abs(float(row["impact_estimate"]) - truth) < 0.15 * truth
    assert row["impact_lower"] < row["impact_estimate"] < row["impact_upper"]
    assert row["impact_unit"] == "money"


def test_quiet_series_have_few_reports(spiked: World) -> None:
    others = spiked.live(DETECTED).filter(~((pl.col("store_id") == "s2") & (pl.col("sku") == "eggs")))
    assert others["report_id"].n_unique() <= 2


def test_readers_find_it_in_the_snapshot_with_every_source_named(spiked: World) -> None:
    reports = SnapshotReader(spiked.home, FOLDS).show("reports", where="store_id = 's2' AND sku = 'eggs'")
    assert reports.height == 1
    row = reports.row(0, named=True)
    assert (row["event_status"], row["resolution_reason"]) == ("ended", "recovered")
    assert (row["source_used_measures"], row["source_used_structure"]) == ("detected", "clustered")
    assert (row["source_used_proposed"], row["source_used_group_id"]) == ("attribution", "cohort")
    assert row["report_group_id"].startswith("ME-")
    events = SnapshotReader(spiked.home, FOLDS).show("events", where=f"report_group_id = '{row['report_group_id']}'")
    assert events["report_count"].to_list() == [1]


def test_ticking_again_appends_no_row(spiked: World) -> None:
    before = spiked.rows_ever()
    assert spiked.tick().appended == {}
    spiked.send(daily_sales(DAYS, change=spike), "the-same-under-another-name.csv")
    assert spiked.tick().appended == {}
    assert spiked.rows_ever() == before


def test_day_by_day_equals_all_at_once(spiked: World, tmp_path: Path) -> None:
    daily = DirectWorld(tmp_path, settings_for(tmp_path))
    sales = daily_sales(DAYS, change=spike)
    ends = [*(FIRST_DAY + timedelta(days=n) for n in range(119, 124)), date.max]  # from its first day to its close
    for after, end in pairwise([date.min, *ends]):
        daily.send(sales.filter(pl.col("ts").is_between(after, end, closed="left")), f"{end}.csv")
        daily.tick()
    computed = ("series", "detection", "clustering", "attribution", "cohorting")
    for contract in LOGS:
        if contract.stage in computed:
            assert_frame_equal(daily.content(contract), spiked.content(contract), check_row_order=False)


def test_a_missing_day_is_missing_and_never_a_zero(tmp_path: Path) -> None:
    world = World(tmp_path, settings_for(tmp_path))
    gone = FIRST_DAY + timedelta(days=40)
    world.send(daily_sales(50).filter(pl.col("ts") != gone))
    world.tick()
    rows = world.live(SALES_TIMESERIES).filter(pl.col("business_day") == gone)
    assert rows.height == 12
    assert rows["coverage"].unique().to_list() == ["missing"]
    assert rows["units"].null_count() == 12


def test_a_configured_feed_that_never_came_degrades_what_wanted_it_and_nothing_else(tmp_path: Path) -> None:
    settings = settings_for(tmp_path).model_copy(update={"feeds": {"campaigns": ContextFeed()}})
    world = World(tmp_path, settings)
    world.send(daily_sales(DAYS, change=spike))
    result = world.tick()
    assert result.degraded == {ATTRIBUTED.name: ("campaigns",)}
    causes = world.live(ATTRIBUTED)
    assert causes["degraded_reasons"].to_list() == [["campaigns_down"]] * causes.height
    assert causes["report_status"].unique().to_list() == ["attributed_degraded_campaigns_down"]
    assert not world.live(DETECTED)["is_degraded"].any()


def test_an_analysts_verdict_is_hydrated_and_the_belief_before_it_can_be_read(spiked: World) -> None:
    reader = SnapshotReader(spiked.home, FOLDS)
    before = reader.show("reports", where="store_id = 's2' AND sku = 'eggs'").row(0, named=True)
    spiked.send_edit(
        {
            "annotation_id": str(uuid.UUID(int=7)),
            "report_id": before["report_id"],
            "actor": "lewis",
            "user_role": "analyst",
            "action": "edit",
            "field": "final_cause",
            "value": "Egg festival",
            "acted_at": "2024-05-20T10:00:00Z",
        }
    )
    spiked.tick()
    after = reader.show("reports", where=f"report_id = '{before['report_id']}'").row(0, named=True)
    assert (after["final_cause"], after["source_used_final"]) == ("Egg festival", "ui")
    assert after["final_decision"] == "edited"
    then = reader.show("reports", as_of=before["known_at"], where=f"report_id = '{before['report_id']}'").row(
        0, named=True
    )
    assert then == before
    assert spiked.live(USER_EDITS).height == 1


def test_every_file_is_accounted_for(spiked: World) -> None:
    accounts = spiked.live(ARRIVALS)
    total = pl.col("rows_accepted") + pl.col("rows_duplicate") + pl.col("rows_dead_lettered")
    assert accounts.select((pl.col("rows_received") == total).all()).item()
