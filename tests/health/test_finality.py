"""Finality of a retailer whose restatements are known: when they came, how large they were."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.finality_sql import HEALTH_FINALITY, HEALTH_FINALITY_CURVE, HEALTH_FINALITY_DAYS
from mrs_resources.log_store import LogStore
from tests.conftest import SteppingClock
from tests.health.written import health_of, sold
from tests.hydration.rows import PROVENANCE, frame, put
from tests.world import settings_for

FIRST = date(2024, 2, 1)
DAYS = 40
SKUS = ("milk", "bread", "eggs", "tea")
LONDON = ZoneInfo("Europe/London")
EXPECTED = 10
"""`restatement_days` of the simulated retailer."""


def after(day: date, days: float) -> datetime:
    """An instant so many days after the end of a business day in London."""
    return datetime.combine(day + timedelta(days=1), time(), LONDON).astimezone(UTC) + timedelta(days=days)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path, acme={"timezone": "Europe/London", "restatement_days": EXPECTED})


class Retailer:
    """Delivers days of four products at 100 units each, and restates some."""

    def __init__(self, store: LogStore) -> None:
        self.store = store

    def deliver(self, day: date, at: datetime, units: float = 100, skus: tuple[str, ...] = SKUS) -> None:
        with self.store.transaction() as tx:
            put(tx, UNIFIED_SALES, *(sold(day, units, at, sku) for sku in skus))


@pytest.fixture
def retailer(store: LogStore) -> Retailer:
    """Every day was first delivered six hours after its end."""
    with store.transaction() as tx:
        for n in range(DAYS):
            day = FIRST + timedelta(days=n)
            put(tx, UNIFIED_SALES, *(sold(day, 100, after(day, 0.25), sku) for sku in SKUS))
    return Retailer(store)


@pytest.fixture
def clock() -> SteppingClock:
    """The last day ended thirty days ago: every day is old enough to be judged."""
    return SteppingClock(after(FIRST + timedelta(days=DAYS - 1), 30))


def told(store: LogStore, home: Path, settings: Settings) -> dict[str, Any]:
    return health_of(store, home, settings)[HEALTH_FINALITY].row(0, named=True)


def test_days_are_settled_when_95_of_100_restated_ones_saw_their_last_change(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    for n in range(20):
        day = FIRST + timedelta(days=n)
        retailer.deliver(day, after(day, 2.5), units=120, skus=SKUS[:2])
    for n in range(2):
        day = FIRST + timedelta(days=n)
        retailer.deliver(day, after(day, 8.1), units=110, skus=SKUS[:1])
    seen = told(store, tmp_path, settings)
    assert (seen["days"], seen["days_watched"], seen["days_restated"]) == (DAYS, DAYS, 20)
    assert seen["last_lag_p50_days"] == 3, "the third day after the end"
    assert seen["settled_after_days"] == 9, "two of twenty, more than 5 of 100, changed as late as the ninth day"
    assert seen["size_p50"] == pytest.approx(0.1), "two of four products, by 20 of 100 units"
    assert seen["first_lag_p95_days"] == 1
    assert seen["provisional_from"] == FIRST + timedelta(days=DAYS + 30) - timedelta(days=9)


def test_the_curve_climbs_where_the_last_changes_were(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    for n, lag in enumerate((2.5, 2.5, 2.5, 5.5)):
        day = FIRST + timedelta(days=n)
        retailer.deliver(day, after(day, lag), units=120)
    curve = health_of(store, tmp_path, settings)[HEALTH_FINALITY_CURVE]
    assert curve.select("lag_days", "settled_share").rows() == [
        (0, 0.0),
        (1, 0.0),
        (2, 0.0),
        (3, 0.75),
        (4, 0.75),
        (5, 0.75),
        (6, 1.0),
    ]


def test_small_changes_resends_and_the_rest_of_a_delivery_restate_nothing(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    day = FIRST
    retailer.deliver(day, after(day, 5), units=101, skus=SKUS[:1])  # a quarter of a per cent of the day
    retailer.deliver(day + timedelta(days=1), after(day + timedelta(days=1), 5))  # the same again
    late = FIRST + timedelta(days=2)
    retailer.deliver(late, after(late, 0.9), skus=("jam",))  # the second file of one morning
    seen = told(store, tmp_path, settings)
    assert (seen["days_restated"], seen["settled_after_days"]) == (0, 1), "settled by the first delivery"


def test_a_row_that_is_taken_back_counts_with_all_of_its_units(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    kept = [sold(FIRST, 100, after(FIRST, 0.25), sku) for sku in SKUS[:3]]
    with store.transaction() as tx:
        tx.append(UNIFIED_SALES, frame(UNIFIED_SALES, *kept), Scope(FIRST, FIRST, "acme"), PROVENANCE)
    seen = told(store, tmp_path, settings)
    assert seen["days_restated"] == 1
    assert seen["size_p50"] == pytest.approx(0.25)


def test_a_units_value_that_was_unknown_first_is_a_change_and_an_unknown_one_alone_is_none(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    with store.transaction() as tx:
        put(tx, UNIFIED_SALES, sold(FIRST, None, after(FIRST, 0.3), "jam"))
    assert told(store, tmp_path, settings)["days_restated"] == 0
    retailer.deliver(FIRST, after(FIRST, 4.5), units=40, skus=("jam",))
    seen = told(store, tmp_path, settings)
    assert (seen["days_restated"], seen["size_p50"]) == (1, pytest.approx(0.1))


def test_what_was_not_watched_is_not_known(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    """A history that was loaded at once, whatever came of it later."""
    late = after(FIRST + timedelta(days=DAYS), 30)
    retailer = Retailer(store)
    for n in range(DAYS):
        retailer.deliver(FIRST + timedelta(days=n), late)
    retailer.deliver(FIRST, late + timedelta(days=3), units=200)
    seen = told(store, tmp_path, settings)
    assert (seen["days"], seen["days_watched"]) == (DAYS, 0)
    assert (seen["days_restated"], seen["settled_after_days"], seen["provisional_from"]) == (None, None, None)


def test_a_few_days_show_no_percentile(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    retailer = Retailer(store)
    for n in range(19):
        day = FIRST + timedelta(days=n)
        retailer.deliver(day, after(day, 0.25))
    assert told(store, tmp_path, settings)["settled_after_days"] is None
    day = FIRST + timedelta(days=19)
    retailer.deliver(day, after(day, 0.25))
    assert told(store, tmp_path, settings)["settled_after_days"] == 1


def test_days_that_may_still_be_restated_are_not_judged(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    retailer = Retailer(store)
    for n in range(DAYS + 30):
        day = FIRST + timedelta(days=n)
        retailer.deliver(day, after(day, 0.25))
    seen = told(store, tmp_path, settings)
    assert (seen["days"], seen["days_watched"]) == (DAYS + 30, DAYS + 30 - EXPECTED)


def test_days_carried_over_from_the_snapshot_before_are_what_they_would_be_anew(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    def days() -> pl.DataFrame:
        return health_of(store, tmp_path, settings)[HEALTH_FINALITY_DAYS]

    assert days()["last_lag_days"].null_count() == DAYS
    for n, lag in ((0, 2.5), (7, 4.5), (7, 6.5)):
        day = FIRST + timedelta(days=n)
        retailer.deliver(day, after(day, lag), units=120 + lag)
    carried_over = days()
    (tmp_path / "published").unlink()
    assert_frame_equal(carried_over, days())
    told_of = carried_over.filter(pl.col("last_lag_days").is_not_null())
    assert told_of.select("business_day", "last_lag_days").rows() == [(FIRST, 3), (FIRST + timedelta(days=7), 7)]


def test_another_time_zone_is_reckoned_anew(
    retailer: Retailer, store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    assert told(store, tmp_path, settings)["first_lag_p95_days"] == 1
    retailer.deliver(FIRST, after(FIRST, 0.3), skus=("jam",))
    auckland = settings_for(tmp_path, acme={"timezone": "Pacific/Auckland", "restatement_days": EXPECTED})
    health = health_of(store, tmp_path, auckland)
    assert health[HEALTH_FINALITY_DAYS]["first_lag_days"].unique().to_list() == [1]
    assert (health[HEALTH_FINALITY]["days_watched"][0], health[HEALTH_FINALITY_DAYS]["reckoning"].n_unique()) == (
        DAYS,
        1,
    )
