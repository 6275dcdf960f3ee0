"""Another retailer: hourly tills, its own column names, its own time zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from tests.world import World, settings_for

ZONE = ZoneInfo("America/Chicago")
DAYS, FIRST = 75, date(2024, 2, 1)
SURGE = FIRST + timedelta(days=73)
OPEN = range(8, 22)


def till_rows() -> pl.DataFrame:
    """What the tills send: local wall-clock hours, headers of their own, and a surge from 15:00 to 21:00 on one day."""
    rng = np.random.default_rng(11)
    rows = []
    for d in range(DAYS):
        day = FIRST + timedelta(days=d)
        for hour in OPEN:
            for sku, pace in (("A-1", 30.0), ("B-2", 45.0)):
                units = rng.poisson(pace * (1.4 if hour >= 17 else 1.0))
                if day == SURGE and sku == "A-1" and 15 <= hour < 21:
                    units *= 3
                rows.append({"Branch": "007", "EAN": sku, "TxnTime": f"{day} {hour:02d}:00", "Qty": int(units)})
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("hourly")
    columns = {"store_id": "Branch", "sku": "EAN", "ts": "TxnTime", "units": "Qty"}
    stranger = {"timezone": "America/Chicago", "grain": "1h", "columns": columns, "reports_from": SURGE}
    world = World(home, settings_for(home, tills=stranger))
    world.send(till_rows(), retailer="tills")
    world.tick()
    return world


def at_hour(hour: int) -> datetime:
    return datetime(SURGE.year, SURGE.month, SURGE.day, hour, tzinfo=ZONE)


def test_the_surge_is_reported_at_the_next_ticks_under_one_id(world: World) -> None:
    rows = world.live(DETECTED).filter(pl.col("sku") == "A-1").sort("tick")
    assert rows["report_id"].n_unique() == 1
    assert rows["first_detected_from"][0] == at_hour(15)
    assert rows["tick"][0] <= at_hour(17)
    assert rows["tick"].diff().drop_nulls().unique().to_list() == [timedelta(hours=1)]
    assert rows["impact_unit"].unique().to_list() == ["units"]


def test_its_end_is_recorded_when_it_is_over(world: World) -> None:
    report = world.live(DETECTED).filter(pl.col("sku") == "A-1")["report_id"][0]
    ended = world.live(ENDED).filter(pl.col("report_id") == report)
    assert ended["window_end"].to_list() == [at_hour(21)]


def test_hours_in_which_nobody_trades_are_not_expected_and_store_ids_stay_text(world: World) -> None:
    night = world.live(SALES_TIMESERIES).filter(
        pl.col("business_day") == SURGE, pl.col("ts").dt.convert_time_zone("America/Chicago").dt.hour() == 3
    )
    assert night["coverage"].unique().to_list() == ["not_expected"]
    assert night["units"].null_count() == night.height
    assert night["store_id"].unique().to_list() == ["007"]
