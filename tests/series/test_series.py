"""One clean series per store and SKU: zero, missing, closed and not expected are four different things."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer
from tests.series.facts_made import MONDAY, at, coverage, facts, series

DAILY = Retailer(timezone="UTC")


def days(count: int, first: date = MONDAY) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def test_a_received_fact_is_the_row_and_a_silent_store_is_missing_not_zero() -> None:
    frame = series(facts([("s", "a", at(MONDAY), 3, 6)], DAILY), DAILY, MONDAY, MONDAY + timedelta(days=1))
    assert frame.select("units", "revenue", "unit_price", "coverage").rows() == [
        (Decimal(3), Decimal(6), Decimal(2), "received"),
        (None, None, None, "missing"),
    ]


@pytest.mark.parametrize(
    ("absent_sku", "expected"), [("missing", (None, None, "missing")), ("zero", (Decimal(0), Decimal(0), "received"))]
)
def test_a_product_that_a_reporting_store_left_out_is_what_the_retailer_says_it_is(
    absent_sku: str, expected: tuple[object, ...]
) -> None:
    retailer = Retailer.model_validate({"timezone": "UTC", "absent_sku": absent_sku})
    tuesday = MONDAY + timedelta(days=1)
    unified = facts([("s", "a", at(MONDAY), 3), ("s", "b", at(MONDAY), 1), ("s", "b", at(tuesday), 1)], retailer)
    frame = series(unified, retailer, tuesday, tuesday)
    assert frame.select("sku", "units", "revenue", "coverage").rows() == [
        ("a", *expected),
        ("b", Decimal(1), None, "received"),
    ]


def test_a_day_without_any_fact_is_never_a_zero() -> None:
    retailer = Retailer(timezone="UTC", absent_sku="zero")
    unified = facts([("s", "a", at(MONDAY), 3), ("t", "a", at(MONDAY + timedelta(days=1)), 3)], retailer)
    frame = series(unified, retailer, MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)).filter(store_id="s")
    assert frame.select("units", "coverage").rows() == [(None, "missing"), (None, "missing")]


def test_facts_of_one_interval_add_up_and_one_without_a_value_leaves_no_total() -> None:
    noon = at(MONDAY, 12)
    unified = facts(
        [
            ("s", "a", at(MONDAY, 9), 3, "6.5"),
            ("s", "a", noon, -1, "-2"),
            ("s", "b", noon, 1, 1),
            ("s", "b", at(MONDAY), None, 1),
        ],
        DAILY,
    )
    rows = series(unified, DAILY, MONDAY, MONDAY).select("sku", "ts", "units", "revenue", "unit_price", "coverage")
    assert rows.rows() == [
        ("a", at(MONDAY), Decimal(2), Decimal("4.5"), Decimal("2.25"), "received"),
        ("b", at(MONDAY), None, Decimal(2), None, "received"),
    ]


def test_the_till_counts_where_it_reported_and_otherwise_the_first_source_by_name() -> None:
    tuesday = MONDAY + timedelta(days=1)
    unified = facts(
        [
            ("s", "a", at(MONDAY), 5, None, "camera"),
            ("s", "a", at(MONDAY), 3, None, "till"),
            ("s", "a", at(tuesday), 7, None, "scale"),
            ("s", "a", at(tuesday), 6, None, "camera"),
        ],
        DAILY,
    )
    assert series(unified, DAILY, MONDAY, tuesday)["units"].to_list() == [3, 6]


def test_more_returns_than_sales_are_flagged() -> None:
    unified = facts([("s", "a", at(MONDAY), 1), ("s", "a", at(MONDAY, 9), -3)], DAILY)
    frame = series(unified, DAILY, MONDAY, MONDAY)
    assert frame.select("units", "quality_flags").rows() == [(Decimal(-2), ["returns_exceed_sales"])]


def test_a_series_begins_with_its_first_fact_and_ends_eight_weeks_after_its_last() -> None:
    unified = facts([("s", "a", at(MONDAY), 1), *(("s", "b", at(day), 1) for day in days(80))], DAILY)
    before = series(unified, DAILY, MONDAY - timedelta(days=3), MONDAY)
    assert set(before["business_day"]) == {MONDAY}
    later = series(unified, DAILY, MONDAY, MONDAY + timedelta(days=79)).filter(sku="a")
    assert later["business_day"].max() == MONDAY + timedelta(days=56)


def test_a_store_that_reports_less_than_half_of_its_usual_products_reported_in_part() -> None:
    skus = [f"k{n:02d}" for n in range(24)]
    full = [("s", sku, at(day), 1) for day in days(21) for sku in skus]
    judged = MONDAY + timedelta(days=21)
    eleven = facts([*full, *(("s", sku, at(judged), 1) for sku in skus[:11])], DAILY)
    twelve = facts([*full, *(("s", sku, at(judged), 1) for sku in skus[:12])], DAILY)
    assert coverage(series(eleven, DAILY, judged, judged)) == ["partial"] * 11 + ["missing"] * 13
    assert coverage(series(twelve, DAILY, judged, judged)) == ["received"] * 12 + ["missing"] * 12
    zero = Retailer(timezone="UTC", absent_sku="zero")
    assert coverage(series(eleven, zero, judged, judged)) == ["partial"] * 11 + ["missing"] * 13


def test_a_public_holiday_without_a_fact_is_closed_and_one_with_a_fact_is_not() -> None:
    retailer = Retailer(timezone="UTC", country="GB")
    christmas, boxing_day = date(2023, 12, 25), date(2023, 12, 26)
    unified = facts([("s", "a", at(date(2023, 12, 22)), 1), ("s", "a", at(boxing_day), 1)], retailer)
    assert coverage(series(unified, retailer, date(2023, 12, 24), boxing_day)) == ["missing", "closed", "received"]
    assert coverage(series(unified, DAILY, christmas, christmas)) == ["missing"]


def test_a_weekday_on_which_a_store_never_trades_is_not_expected_once_that_is_known() -> None:
    sunday = MONDAY + timedelta(days=6)
    unified = facts([("s", "a", at(day), 1) for day in days(40) if day.weekday() != 6], DAILY)
    first, third = series(unified, DAILY, sunday, sunday), sunday + timedelta(days=14)
    assert coverage(first) == ["missing"]
    assert coverage(series(unified, DAILY, third, third)) == ["not_expected"]
    assert coverage(series(unified, DAILY, third + timedelta(days=1), third + timedelta(days=1))) == ["received"]


def test_a_store_silent_for_four_weeks_is_not_expected_any_more() -> None:
    unified = facts([("s", "a", at(day), 1) for day in days(7)], DAILY)
    frame = series(unified, DAILY, MONDAY + timedelta(days=7), MONDAY + timedelta(days=40))
    silent = {row[0]: row[1] for row in frame.select("business_day", "coverage").rows()}
    assert silent[MONDAY + timedelta(days=6 + 28)] == "missing"
    assert silent[MONDAY + timedelta(days=6 + 29)] == "not_expected"


def store(**said: object) -> pl.DataFrame:
    return STORES.conform(
        pl.DataFrame([{"retailer": "acme", "business_day": date(2015, 1, 1), "store_id": "s"} | said])
    )


@pytest.mark.parametrize(
    "said",
    [
        {"open_weekdays": ["mon", "wed"]},
        {"closed_on": MONDAY},
        {"opened_on": MONDAY + timedelta(days=9)},
    ],
)
def test_what_the_stores_feed_says_about_closing_counts_where_nothing_was_sold(said: dict[str, object]) -> None:
    tuesday = MONDAY + timedelta(days=1)
    unified = facts([("s", "a", at(MONDAY), 1)], DAILY)
    assert coverage(series(unified, DAILY, MONDAY, tuesday, store(**said))) == ["received", "closed"]


HOURLY = Retailer(timezone="Europe/London", grain="1h")


def test_hourly_days_have_as_many_ticks_as_the_clocks_give_them() -> None:
    for day, ticks in ((date(2024, 3, 31), 23), (date(2024, 10, 27), 25), (date(2024, 7, 1), 24)):
        unified = facts([("s", "a", at(day - timedelta(days=1), 12), 1)], HOURLY)
        frame = series(unified, HOURLY, day, day)
        assert frame.height == ticks
        assert frame["ts"].n_unique() == ticks
        assert (frame["ts"].dt.convert_time_zone("Europe/London").dt.date() == day).all()


@pytest.mark.parametrize(
    ("zone", "grain", "moment", "tick"),
    [
        ("Asia/Kathmandu", "1h", datetime(2024, 3, 1, 0, 20, tzinfo=UTC), datetime(2024, 3, 1, 0, 15, tzinfo=UTC)),
        ("Asia/Kolkata", "6h", datetime(2024, 3, 1, 1, 0, tzinfo=UTC), datetime(2024, 3, 1, 0, 30, tzinfo=UTC)),
        ("Europe/London", "6h", datetime(2024, 3, 31, 4, 0, tzinfo=UTC), datetime(2024, 3, 31, 0, 0, tzinfo=UTC)),
        ("Europe/London", "6h", datetime(2024, 3, 31, 5, 0, tzinfo=UTC), datetime(2024, 3, 31, 5, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", "30m", datetime(2024, 4, 6, 15, 10, tzinfo=UTC), datetime(2024, 4, 6, 15, tzinfo=UTC)),
        ("America/Sao_Paulo", "1d", datetime(2017, 10, 15, 15, tzinfo=UTC), datetime(2017, 10, 15, 3, tzinfo=UTC)),
        ("America/Havana", "1d", datetime(2017, 11, 5, 5, 30, tzinfo=UTC), datetime(2017, 11, 5, 4, tzinfo=UTC)),
    ],
)
def test_intervals_begin_on_the_local_clock(zone: str, grain: str, moment: datetime, tick: datetime) -> None:
    retailer = Retailer(timezone=zone, grain=grain)
    unified = facts([("s", "a", moment, 1)], retailer)
    day = unified["business_day"][0]
    frame = series(unified, retailer, day, day).filter(coverage="received")
    assert frame["ts"].to_list() == [tick]


def test_an_hour_of_silence_is_missing_in_trading_hours_and_not_expected_at_night() -> None:
    shop = Retailer(timezone="UTC", grain="1h", absent_sku="zero")
    open_hours = range(9, 18)
    unified = facts([("s", "a", at(day, hour), 1) for day in days(21) for hour in open_hours], shop)
    judged = MONDAY + timedelta(days=20)
    quiet = unified.filter(pl.col("ts") != at(judged, 13))
    frame = series(quiet, shop, judged, judged)
    by_hour = dict(zip((ts.hour for ts in frame["ts"]), frame["coverage"], strict=True))
    assert by_hour[12] == "received"
    assert by_hour[13] == "missing"
    assert by_hour[3] == "not_expected"
    assert frame.filter(pl.col("coverage") != "received")["units"].null_count() == 24 - 8


def test_stated_opening_hours_count_by_the_hour() -> None:
    shop = Retailer(timezone="UTC", grain="1h")
    unified = facts([("s", "a", at(MONDAY, 10), 1)], shop)
    frame = series(unified, shop, MONDAY, MONDAY, store(opens_at="09:30", closes_at="14:00"))
    by_hour = dict(zip((ts.hour for ts in frame["ts"]), frame["coverage"], strict=True))
    assert [by_hour[hour] for hour in (10, 13, 14, 20)] == ["received", "missing", "closed", "closed"]
    night = series(unified, shop, MONDAY, MONDAY, store(opens_at="20:00", closes_at="12:00"))
    by_hour = dict(zip((ts.hour for ts in night["ts"]), night["coverage"], strict=True))
    assert [by_hour[hour] for hour in (11, 12, 19, 20)] == ["missing", "closed", "closed", "missing"]


def test_a_copied_block_of_days_is_flagged_from_its_third_day_and_like_days_are_not() -> None:
    skus = [f"k{n}" for n in range(6)]

    def unit(day: int, n: int) -> int:
        return (day * 7 + n * 5) % 11 + 1

    copied = [
        ("s", sku, at(MONDAY + timedelta(days=d)), unit(d if d < 10 else d - 7, n))
        for d in range(13)
        for n, sku in enumerate(skus)
    ]
    frame = series(facts(copied, DAILY), DAILY, MONDAY, MONDAY + timedelta(days=12))
    flagged = frame.filter(pl.col("quality_flags").list.contains("repeated_block"))["business_day"].unique().to_list()
    assert flagged == [MONDAY + timedelta(days=12)]
    alike = [("s", sku, at(day), 1) for day in days(13) for sku in skus]
    assert (
        series(facts(alike, DAILY), DAILY, MONDAY, MONDAY + timedelta(days=12))["quality_flags"].list.len().sum() == 0
    )


def test_a_block_of_a_small_store_tells_as_much_as_its_rows_are_rare() -> None:
    def rare(day: int) -> list[tuple[int, int]]:
        return [((day * 7 + n * 3) % 23, day % 3 + 1) for n in range(5)]

    def usual(day: int) -> list[tuple[int, int]]:
        return [(n, day % 3 + 1 if n == day % 3 else 1) for n in range(5)]

    for sold, flagged in ((rare, [MONDAY + timedelta(days=27)]), (usual, [])):
        rows = [
            ("s", f"k{n}", at(MONDAY + timedelta(days=day)), units)
            for day in range(28)
            for n, units in sold(day if day < 25 else day - 10)
        ]
        frame = series(facts(rows, DAILY), DAILY, MONDAY, MONDAY + timedelta(days=27))
        told = frame.filter(pl.col("quality_flags").list.contains("repeated_block"))
        assert told["business_day"].unique().to_list() == flagged


FACT = st.tuples(
    st.sampled_from(["s", "t"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 75 * 24).map(lambda hours: at(MONDAY) + timedelta(hours=hours)),
    st.one_of(st.none(), st.integers(-2, 9)),
    st.one_of(st.none(), st.integers(0, 20)),
    st.sampled_from(["till", "camera"]),
)


@settings(max_examples=5, deadline=None)
@given(
    st.lists(FACT, min_size=1, max_size=60, unique_by=lambda f: (f[0], f[1], f[2], f[5])),
    st.sampled_from(["1d", "6h"]),
    st.sampled_from(["missing", "zero"]),
)
def test_a_range_of_days_says_what_the_days_say_alone_in_whatever_order_the_facts_come(
    rows: list[tuple[object, ...]], grain: str, absent_sku: str
) -> None:
    retailer = Retailer.model_validate(
        {"timezone": "Europe/Paris", "grain": grain, "absent_sku": absent_sku, "country": "FR"}
    )
    unified = facts(rows, retailer)
    first, last = date(2024, 2, 26), date(2024, 3, 8)
    whole = series(unified, retailer, first, last)
    shuffled = unified.sample(fraction=1, shuffle=True, seed=7)
    alone = [
        series(shuffled, retailer, day, day)
        for day in (first + timedelta(days=n) for n in range((last - first).days + 1))
    ]
    together = pl.concat([SALES_TIMESERIES.conform(frame) for frame in alone]).sort("store_id", "sku", "ts")
    assert whole.equals(together)
    assert whole.select("store_id", "sku", "ts").is_unique().all()
    silent = whole.filter(~pl.col("coverage").is_in(["received", "partial"]))
    assert silent["units"].null_count() == silent.height
