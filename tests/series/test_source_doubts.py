"""Doubts: dark, diverging, proxies that break, one thing told twice; and declarations that mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from mrs_assets.contracts.settings import Retailer
from tests.series.facts_made import MONDAY, at, facts, series
from tests.series.sources_made import (
    DAYS,
    DIRECT,
    JUDGED,
    PROXY,
    SENSOR,
    SKUS,
    TILL_AND_SHIPMENTS,
    days_with,
    flags,
    judged,
    on_day,
    retailer,
    shipped,
    till,
    told,
    whole,
)


def test_a_sale_is_a_count_however_early_the_source_was_last_heard_of() -> None:
    seen, alone = at(JUDGED, 11), Retailer(timezone="UTC")
    sale, zero = (("s", "k0", at(JUDGED, hour), units, None, "till", seen) for hour, units in ((9, 3), (10, 0)))
    early, none = (("s", "k0", at(JUDGED, 8), units, None, "till", seen) for units in (0, None))
    frame = judged([sale, zero], alone)
    assert frame.select("units", "coverage", "quality_flags").rows() == [(Decimal(3), "received", [])]
    for blind in ([zero, early], [sale, none]):
        assert judged(blind, alone).select("units", "quality_flags").rows() == [(None, ["dark_source"])]


def test_a_store_that_is_dark_for_long_is_missing_where_it_sends_and_not_expected_where_it_does_not() -> None:
    who, seen = Retailer(timezone="UTC"), at(MONDAY + timedelta(days=3))
    rows = told("till", till, range(3))
    rows += [(*row, seen) for row in told("till", on_day(-1, 0, 0), (*range(3, 69), 70))]
    frame = series(facts(rows, who), who, MONDAY + timedelta(days=3), MONDAY + timedelta(days=70))
    for day, expected in ((3, "missing"), (40, "missing"), (69, "not_expected"), (70, "missing")):
        one = MONDAY + timedelta(days=day)
        alone = series(facts(rows, who), who, one, one)
        assert alone.equals(frame.filter(business_day=one))
        assert alone.select("units", "coverage").unique().rows() == [(None, expected)]


# Disagreement


@pytest.mark.parametrize(
    ("ours", "theirs", "flagged"),
    [(100, 46, False), (100, 45, True), (45, 100, True), (19, 1, False), (20, 1, True), (-30, 30, False)],
)
def test_sources_whose_spread_exceeds_three_quarters_of_their_mean_diverge(
    ours: int, theirs: int, flagged: bool
) -> None:
    rows = [("s", "a", at(MONDAY), ours, None, "till"), ("s", "a", at(MONDAY), theirs, None, "shipments")]
    assert ("cross_source_divergence" in flags(judged(rows, TILL_AND_SHIPMENTS, MONDAY))) == flagged


@pytest.mark.parametrize(
    ("factor", "flag"),
    [(0.09, "proxy_dropped"), (0.0, "proxy_dropped"), (0.12, None), (9, None), (11, "proxy_overcount")],
)
def test_a_proxy_that_leaves_its_own_ratio_tenfold_was_dropped_or_swapped(factor: float, flag: str | None) -> None:
    def door(day: int, _n: int) -> float:
        usual = 3 * sum(till(day, n) for n in range(len(SKUS)))
        return round(usual * factor) if day == DAYS - 1 else usual

    who = retailer(till=DIRECT, footfall=PROXY)
    frame = whole(told("till", till) + told("footfall", door, skus=["door"]), who)
    assert flags(frame) == ({flag} if flag else set())
    assert flag is None or days_with(flag, frame) == [DAYS - 1]
    assert frame["units"].equals(whole(told("till", till), retailer(till=DIRECT))["units"])


def test_a_young_or_small_proxy_says_nothing() -> None:
    who = retailer(till=DIRECT, footfall=PROXY)
    young = told("till", till, range(7)) + told("footfall", on_day(6, 0, 300), range(7), ["door"])
    assert flags(whole(young, who)) == set()
    small = told("till", on_day(0, 1, 1)) + told("footfall", on_day(20, 0, 3), skus=["door"])
    assert flags(whole(small, who)) == set()


def test_a_sensor_that_always_agreed_is_a_good_sensor() -> None:
    frame = whole(told("till", till) + told("shipments", lambda d, n: till(d, n) + n % 2), TILL_AND_SHIPMENTS)
    assert flags(frame) == set()


# One source that tells a thing twice


def parts(units: int, day: date = JUDGED) -> list[tuple[datetime, int]]:
    return [(at(day, 9), units // 2), (at(day, 15), units - units // 2)]


def with_total(skus: Sequence[str], wrong: int = 0) -> list[tuple]:
    """The judged day told whole, at midnight, and again in two parts; `wrong` products do not add up."""
    rows = told("till", till, range(DAYS - 1), skus)
    for n, sku in enumerate(skus):
        total = int(till(DAYS - 1, n))
        rows.append(("s", sku, at(JUDGED), total + 3 * (n < wrong), None, "till"))
        rows += [("s", sku, ts, units, None, "till") for ts, units in parts(total)]
    return rows


def test_a_day_told_whole_and_in_parts_is_a_conflict_and_is_not_added_up() -> None:
    frame = judged(with_total(SKUS, wrong=1), Retailer(timezone="UTC"))
    assert frame.select("units", "coverage").unique().rows() == [(None, "missing")]
    assert frame["quality_flags"].to_list() == [["duplicate_window"]] * len(SKUS)
    beside = judged(with_total(SKUS) + told("shipments", shipped), TILL_AND_SHIPMENTS)
    assert beside["units"].to_list() == [shipped(DAYS - 1, n) for n in range(len(SKUS))]
    assert flags(beside) == {"duplicate_window"}
    assert beside["degraded_reasons"].to_list() == [["till_down"]] * len(SKUS)


def test_sales_of_the_first_moment_are_not_taken_for_a_total() -> None:
    for rows in (with_total(SKUS, wrong=2), with_total(SKUS[:4])):
        frame = judged(rows, Retailer(timezone="UTC"))
        assert flags(frame) == set()
        assert frame["units"].null_count() == 0
    ones = [("s", sku, at(JUDGED, hour), 1, None, "till") for sku in SKUS for hour in (0, 9)]
    assert flags(judged(ones, Retailer(timezone="UTC"))) == set()


def test_a_day_that_is_exactly_twice_another_is_a_repeated_block() -> None:
    skus = [f"k{n}" for n in range(9)]

    def count(day: int, n: int) -> float:
        return 2 * till(day - 3, n) if day == DAYS - 1 else till(day, n)

    for who in (Retailer(timezone="UTC"), retailer(till=DIRECT)):
        frame = whole(told("till", count, skus=skus), who)
        assert days_with("repeated_block", frame) == [DAYS - 1]
        nearly = whole(told("till", lambda d, n: count(d, n) + (d == DAYS - 1 and n == 8), skus=skus), who)
        assert flags(nearly) == set()
        few = whole(told("till", count, skus=skus[:7]), who)
        assert flags(few) == set()


def test_twice_of_few_or_of_like_numbers_is_no_repeated_block() -> None:
    skus = [f"k{n}" for n in range(12)]
    weekly = told("till", on_day(5, 4, 2), range(7), skus) * 6
    weekly = [(s, sku, ts + timedelta(days=7 * (n // (7 * 12))), *rest) for n, (s, sku, ts, *rest) in enumerate(weekly)]
    assert flags(whole(weekly, Retailer(timezone="UTC"))) == set()
    for constant in (0, 1):
        assert (
            flags(whole(told("till", on_day(5, 2 * constant, constant), skus=skus), Retailer(timezone="UTC"))) == set()
        )


def test_a_copied_block_of_one_of_two_sources_is_still_seen() -> None:
    def copied(day: int, n: int) -> float:
        return till(day if day < 20 else day - 7, n)

    frame = whole(told("till", copied, range(23)) + told("shipments", shipped, range(23)), TILL_AND_SHIPMENTS)
    assert days_with("repeated_block", frame) == [22]


# What may be declared


@pytest.mark.parametrize(
    "sources",
    [
        {"till": {"kind": "guess"}},
        {"till": {"reliability": 0}},
        {"till": {"reliability": 1.5}},
        {"till": {"first_day": "2024-02-01", "last_day": "2024-01-01"}},
        {"till": {"weight": 1}},
        {"stores": {}},
        {" till": {}},
        {"": {}},
    ],
)
def test_a_declaration_that_means_nothing_is_refused(sources: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Retailer.model_validate({"timezone": "UTC", "sources": sources})


def test_the_fingerprint_changes_with_every_word_of_the_declaration_and_with_nothing_else() -> None:
    assert Retailer(timezone="UTC").source_weights is None
    one = retailer(till=DIRECT, shipments=SENSOR)
    assert one.source_weights == retailer("zero", shipments=SENSOR, till=DIRECT).source_weights
    others = [
        retailer(till=DIRECT),
        retailer(till=DIRECT, shipments=DIRECT),
        retailer(till=DIRECT, shipments=SENSOR | {"reliability": 0.9}),
        one.model_copy(update={"dark_after_hours": 12.0}),
    ]
    assert len({one.source_weights, *(other.source_weights for other in others)}) == 5
