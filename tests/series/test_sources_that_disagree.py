"""Several sources that count the same sales make one value, which says what it did without."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import polars as pl
import pytest

from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.settings import Retailer
from tests.series.facts_made import MONDAY, at
from tests.series.sources_made import (
    DAYS,
    DIRECT,
    JUDGED,
    PROXY,
    SENSOR,
    SKUS,
    TILL_AND_SHIPMENTS,
    dark,
    days_with,
    flags,
    judged,
    retailer,
    shipped,
    till,
    told,
    whole,
)

# The five cases that any change must keep.


def test_a_dark_source_is_missing_and_never_zero() -> None:
    alone = Retailer(timezone="UTC")
    before = told("till", till, range(DAYS - 1))
    silent = judged([*before, *(dark(0, 6.1, sku) for sku in SKUS)], alone)
    assert silent.select("units", "revenue", "coverage").unique().rows() == [(None, None, "missing")]
    assert silent["quality_flags"].to_list() == [["dark_source"]] * len(SKUS)
    heard = judged([*before, *(dark(0, 5.9, sku) for sku in SKUS)], alone)
    assert heard.select("units", "coverage").unique().rows() == [(Decimal(0), "received")]
    assert flags(heard) == set()


def test_a_dark_source_beside_a_live_one_leaves_the_value_to_the_live_one_with_less_confidence() -> None:
    rows = told("till", till, range(DAYS - 1)) + told("shipments", shipped) + [dark(0, 7, sku) for sku in SKUS]
    frame = judged(rows, TILL_AND_SHIPMENTS)
    assert frame["units"].to_list() == [shipped(DAYS - 1, n) for n in range(len(SKUS))]
    assert frame["quality_flags"].to_list() == [["dark_source"]] * len(SKUS)
    assert frame["degraded_reasons"].to_list() == [["till_down"]] * len(SKUS)
    assert frame["is_degraded"].all()


def test_a_double_count_is_a_sensor_that_suddenly_agrees_with_the_till() -> None:
    def doubled(day: int, n: int) -> float:
        return till(day, n) if day >= DAYS - 2 else shipped(day, n)

    frame = whole(told("till", till) + told("shipments", doubled), TILL_AND_SHIPMENTS)
    assert days_with("double_count", frame) == [DAYS - 2, DAYS - 1]
    assert flags(frame) == {"double_count"}
    assert frame.filter(business_day=JUDGED)["quality_flags"].to_list() == [["double_count"]] * len(SKUS)


def test_a_clean_baseline_raises_nothing() -> None:
    who = retailer(till=DIRECT, ledger=DIRECT, shipments=SENSOR, footfall=PROXY)
    rows = told("till", till) + told("ledger", lambda d, n: till(d, n) + (d + n) % 3 - 1) + told("shipments", shipped)
    rows += told("footfall", lambda d, n: 3 * till(d, n) + d % 5, skus=["door"])
    frame = whole(rows, who)
    assert flags(frame) == set()
    assert not frame["is_degraded"].any()
    assert frame["coverage"].unique().to_list() == ["received"]
    assert sorted(frame["sku"].unique()) == SKUS, "what only a proxy tells is not a series"


def test_an_honestly_declared_outage_is_a_warning_and_nothing_more() -> None:
    """The source lives and says that it has no count; or the store is declared closed; or the source is."""
    before = told("till", till, range(DAYS - 1))
    silent = [dark(None, 1, sku) for sku in SKUS]
    alone = judged(before + silent, retailer(till=DIRECT))
    assert alone.select("units", "coverage").unique().rows() == [(None, "missing")]
    assert alone["quality_flags"].to_list() == [["dark_source"]] * len(SKUS)
    assert not alone["is_degraded"].any()

    both = judged(before + silent + told("shipments", shipped), TILL_AND_SHIPMENTS)
    assert both["units"].to_list() == [shipped(DAYS - 1, n) for n in range(len(SKUS))]
    assert both["quality_flags"].to_list() == [["dark_source"]] * len(SKUS)
    assert not both["is_degraded"].any()

    rows = before + told("shipments", shipped, range(DAYS - 1))
    shut = {"retailer": "acme", "business_day": date(2015, 1, 1), "store_id": "s", "closed_on": MONDAY}
    closed = judged(rows, TILL_AND_SHIPMENTS, stores=STORES.conform(pl.DataFrame([shut])))
    assert closed.select("units", "coverage", "is_degraded").unique().rows() == [(None, "closed", False)]
    assert flags(closed) == set()

    ended = retailer(till=DIRECT, shipments=SENSOR | {"last_day": JUDGED - timedelta(days=1)})
    without = judged(told("till", till) + told("shipments", shipped, range(DAYS - 1)), ended)
    assert flags(without) == set()
    assert not without["is_degraded"].any()


# The storm goes through the real door: see test_source_weights.py.


# Fusion


def test_the_value_is_the_mean_of_what_counts_weighted_by_reliability() -> None:
    who = retailer(till=DIRECT | {"reliability": 1.0}, shipments=SENSOR | {"reliability": 0.5}, footfall=PROXY)
    rows = [
        ("s", "a", at(MONDAY), 30, 60, "till"),
        ("s", "a", at(MONDAY), 24, None, "shipments"),
        ("s", "a", at(MONDAY), 900, 900, "footfall"),
    ]
    (row,) = judged(rows, who, MONDAY).to_dicts()
    assert row["units"] == Decimal(28)
    assert (row["revenue"], row["unit_price"]) == (Decimal(56), Decimal(2)), "the till's price, on the fused units"


def test_a_source_that_is_not_declared_counts_as_a_till_and_is_not_missed() -> None:
    who = retailer(till=DIRECT, footfall=PROXY)
    rows = [("s", "a", at(MONDAY), 30, None, "till"), ("s", "a", at(MONDAY), 20, None, "camera")]
    assert judged(rows, who, MONDAY)["units"].to_list() == [25]
    tuesday = MONDAY + timedelta(days=1)
    later = judged([*rows, ("s", "a", at(tuesday), 30, None, "till")], who, tuesday)
    assert later.select("units", "is_degraded").rows() == [(Decimal(30), False)]


def test_one_source_alone_gives_exactly_its_own_numbers() -> None:
    rows = [("s", "a", at(MONDAY), "0.3333", "0.1", "till"), ("s", "b", at(MONDAY), None, 2, "till")]
    for who in (Retailer(timezone="UTC"), retailer(till={"kind": "direct", "reliability": 0.3})):
        frame = judged(rows, who, MONDAY)
        assert frame.select("units", "revenue", "coverage").rows() == [
            (Decimal("0.3333"), Decimal("0.1"), "received"),
            (None, Decimal(2), "received"),
        ]


def test_what_a_whole_report_leaves_out_is_a_zero_of_that_source_only_where_silence_means_zero() -> None:
    rows = told("till", till) + told("shipments", shipped, range(DAYS - 1))
    rows += told("shipments", shipped, [DAYS - 1], SKUS[1:])
    zero = judged(rows, retailer("zero", till=DIRECT, shipments=SENSOR))
    first = zero.filter(sku="k0").to_dicts()[0]
    assert (first["units"], first["is_degraded"]) == (Decimal(till(DAYS - 1, 0)) / 2, False)
    first = judged(rows, TILL_AND_SHIPMENTS).filter(sku="k0").to_dicts()[0]
    assert (first["units"], first["degraded_reasons"]) == (Decimal(till(DAYS - 1, 0)), ["shipments_down"])


def test_a_report_in_part_is_not_taken_for_zeros() -> None:
    skus = [f"p{n:02d}" for n in range(24)]
    rows = told("till", till, skus=skus) + told("shipments", till, range(DAYS - 1), skus)
    rows += told("shipments", till, [DAYS - 1], skus[:3])
    frame = judged(rows, retailer("zero", till=DIRECT, shipments=SENSOR))
    assert frame["units"].to_list() == [till(DAYS - 1, n) for n in range(24)]
    assert frame["is_degraded"].to_list() == [False] * 3 + [True] * 21


def test_a_dark_product_of_a_reporting_store_is_no_zero_where_silence_means_zero() -> None:
    who = Retailer(timezone="UTC", absent_sku="zero")
    frame = judged([*told("till", till, range(DAYS - 1)), *told("till", till, [DAYS - 1], SKUS[1:]), dark(0, 9)], who)
    assert frame.select("sku", "units", "coverage").row(0) == ("k0", None, "missing")
    assert frame["coverage"].to_list()[1:] == ["received"] * 5


@pytest.mark.parametrize("absent_sku", ["missing", "zero"])
def test_a_product_that_a_source_does_not_list_is_neither_its_zero_nor_missed(absent_sku: str) -> None:
    """Half of the range is not shipped by the warehouse: the till alone knows of it."""
    rows = told("till", till, range(DAYS - 1)) + told("shipments", shipped, skus=SKUS[1:])
    who = retailer(absent_sku, till=DIRECT, shipments=SENSOR)
    usual = whole(rows, who).filter(pl.col("business_day") < JUDGED, sku="k0")
    assert usual["units"].to_list() == [till(d, 0) for d in range(DAYS - 1)]
    assert not usual["is_degraded"].any()
    (first, *_) = judged(rows, who).to_dicts()
    assert (first["units"], first["coverage"]) == (None, "missing"), "whoever knows of it said nothing"


def test_a_source_that_says_nothing_is_dark_and_one_that_is_not_needed_is_not() -> None:
    two = judged(told("till", till, range(DAYS - 1)) + told("shipments", shipped), TILL_AND_SHIPMENTS)
    assert two.select("quality_flags", "degraded_reasons").unique().rows() == [(["dark_source"], ["till_down"])]
    three = told("till", till, range(DAYS - 1)) + told("shipments", shipped) + told("ledger", till)
    frame = judged(three, retailer(till=DIRECT, shipments=SENSOR, ledger=DIRECT))
    assert flags(frame) == set()
    assert not frame["is_degraded"].any()


def test_where_only_a_proxy_speaks_or_no_source_counts_any_more_there_is_no_series() -> None:
    door = told("footfall", till, skus=["door"])
    assert judged(door, retailer(footfall=PROXY)).is_empty()
    ended = retailer(till=DIRECT | {"last_day": "2023-01-01"}, footfall=PROXY)
    assert judged(door + told("till", till), ended).is_empty()


def test_a_zero_that_nobody_told_says_which_source_it_had_to_do_without() -> None:
    who = retailer("zero", till=DIRECT, shipments=SENSOR)
    rows = told("till", till, range(DAYS - 1)) + told("shipments", shipped, range(DAYS - 1))
    rows += told("shipments", shipped, [DAYS - 1], SKUS[1:])
    (row,) = judged(rows, who).filter(sku="k0").to_dicts()
    assert (row["units"], row["coverage"], row["degraded_reasons"]) == (Decimal(0), "received", ["till_down"])


def test_a_source_is_missed_however_long_it_is_gone_but_not_on_its_days_off() -> None:
    weekdays = [d for d in range(DAYS) if (MONDAY + timedelta(days=d)).weekday() < 5]
    frame = whole(told("till", till) + told("shipments", shipped, weekdays), TILL_AND_SHIPMENTS)
    degraded = frame.filter("is_degraded")["business_day"].unique().sort().to_list()
    assert degraded == [MONDAY + timedelta(days=d) for d in (5, 6, 12, 13)], "until two weeks of habit are known"
    gone = whole(told("till", till) + told("shipments", shipped, range(3)), TILL_AND_SHIPMENTS)
    assert gone.filter(pl.col("business_day") > MONDAY + timedelta(days=2))["is_degraded"].all()


def test_a_source_counts_and_is_missed_only_where_it_is_declared_to_be() -> None:
    who = retailer(till=DIRECT, shipments=SENSOR | {"stores": ["t"]}, depletion=SENSOR | {"first_day": JUDGED})
    rows = told("till", till) + told("shipments", shipped) + told("depletion", shipped, range(DAYS - 3, DAYS))
    frame = whole(rows, who)
    on_last = pl.col("business_day") == JUDGED
    assert (
        frame.filter(~on_last)["units"].to_list()
        == frame.filter(~on_last)
        .join(whole(told("till", till), Retailer(timezone="UTC")), on=["sku", "ts"])["units_right"]
        .to_list()
    )
    assert frame.filter(on_last, sku="k0")["units"].item() == Decimal(till(DAYS - 1, 0) + shipped(DAYS - 1, 0)) / 2
    assert not frame["is_degraded"].any()
