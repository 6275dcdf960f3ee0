"""Several sources that count the same sales: one value, and every doubt about it said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.settings import Retailer
from tests.series.facts_made import MONDAY, at, facts, series

SKUS = [f"k{n}" for n in range(6)]
DAYS = 42
JUDGED = MONDAY + timedelta(days=DAYS - 1)
Count = Callable[[int, int], float | None]
"""(day, product) → units of a source; None: it sends no row."""


def retailer(absent_sku: str = "missing", grain: str = "1d", **sources: dict[str, Any]) -> Retailer:
    return Retailer.model_validate({"timezone": "UTC", "grain": grain, "absent_sku": absent_sku, "sources": sources})


DIRECT, SENSOR, PROXY = {"kind": "direct"}, {"kind": "sensor"}, {"kind": "proxy"}
TILL_AND_SHIPMENTS = retailer(till=DIRECT, shipments=SENSOR)


def till(day: int, n: int) -> float:
    """What is sold: a hundred or so of each product, no two days alike."""
    return 100 + (day * 37 + n * 11 + day * day) % 41


def shipped(day: int, n: int) -> float:
    """An independent count of the same sales: 70 % of them, give or take a tenth."""
    return round(till(day, n) * (0.7 + ((day * 13 + n * 7) % 15 - 7) / 100))


def told(source: str, count: Count, days: Iterable[int] = range(DAYS), skus: Sequence[str] = SKUS) -> list[tuple]:
    return [
        ("s", sku, at(MONDAY + timedelta(days=d)), units, None, source)
        for d in days
        for n, sku in enumerate(skus)
        if (units := count(d, n)) is not None
    ]


def judged(rows: list[tuple], who: Retailer, day: date = JUDGED, stores: pl.DataFrame | None = None) -> pl.DataFrame:
    return series(facts(rows, who), who, day, day, stores)


def on_day(day: int, then: float, otherwise: float) -> Count:
    """One number on one day and another on the others, of every product."""
    return lambda d, _n: then if d == day else otherwise


def flags(frame: pl.DataFrame) -> set[str]:
    return set(frame["quality_flags"].explode().drop_nulls())


def days_with(flag: str, frame: pl.DataFrame) -> list[int]:
    found = frame.filter(pl.col("quality_flags").list.contains(flag))["business_day"].unique().sort()
    return [(day - MONDAY).days for day in found]


def whole(rows: list[tuple], who: Retailer) -> pl.DataFrame:
    return series(facts(rows, who), who, MONDAY, JUDGED)


# The five cases that any change must keep.


def dark(units: int | None, hours_before_midnight: float, sku: str = "k0", source: str = "till") -> tuple:
    seen = at(JUDGED) + timedelta(hours=24 - hours_before_midnight)
    return ("s", sku, at(JUDGED), units, None if units is None else 0, source, seen)


def test_a_dark_source_is_missing_and_never_zero() -> None:
    alone = Retailer(timezone="UTC")
    before = told("till", till, range(DAYS - 1))
    silent = judged([*before, *(dark(0, 6.1, sku) for sku in SKUS)], alone)
    assert silent.select("units", "revenue", "coverage").unique().rows() == [(None, None, "missing")]
    assert silent["quality_flags"].to_list() == [["dark_source"]] * len(SKUS)
    heard = judged([*before, *(dark(0, 5.9, sku) for sku in SKUS)], alone)
    assert heard.select("units", "coverage").unique().rows() == [(Decimal(0), "received")]
    assert flags(heard) == set()


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
