"""What holds of fused series whatever the sources send."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer
from tests.series.facts_made import MONDAY, at, facts, series
from tests.series.sources_made import SKUS, shipped, till, told

FIRST, LAST = MONDAY + timedelta(days=61), MONDAY + timedelta(days=65)
SOURCES = {
    "till": {"kind": "direct"},
    "ledger": {"kind": "direct", "reliability": 0.7, "first_day": "2024-02-20"},
    "shipments": {"kind": "sensor", "reliability": 0.3},
    "footfall": {"kind": "proxy"},
}


def day_by_day(unified: pl.DataFrame, who: Retailer, days: Iterable[date]) -> pl.DataFrame:
    return pl.concat([series(unified, who, day, day) for day in days]).sort("store_id", "sku", "ts")


@st.composite
def fact(draw: st.DrawFn, sources: tuple[str, ...]) -> tuple[Any, ...]:
    hour = draw(st.integers(0, 67 * 24 - 1))
    ts = at(MONDAY) + timedelta(hours=hour)
    units = draw(st.one_of(st.none(), st.just(0), st.integers(-2, 90), st.decimals(0, 40, places=3)))
    revenue = draw(st.one_of(st.none(), st.integers(0, 200)))
    seen = draw(st.one_of(st.none(), st.integers(-40, 40).map(lambda hours: ts + timedelta(hours=hours))))
    store, sku = draw(st.sampled_from(["s", "t"])), draw(st.sampled_from(["a", "b", "c"]))
    return store, sku, ts, units, revenue, draw(st.sampled_from(sources)), seen


def distinct(sources: tuple[str, ...]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    return st.lists(fact(sources), min_size=1, max_size=90, unique_by=lambda f: (f[0], f[1], f[2], f[5]))


@settings(max_examples=4, deadline=None)
@given(
    distinct(("till", "ledger", "shipments", "footfall", "stranger")),
    st.sampled_from(["1d", "6h"]),
    st.sampled_from(["missing", "zero"]),
)
def test_a_range_says_what_its_days_say_alone_in_whatever_order_the_facts_come(
    rows: list[tuple[Any, ...]], grain: str, absent_sku: str
) -> None:
    who = Retailer.model_validate(
        {"timezone": "Europe/Paris", "country": "FR", "grain": grain, "absent_sku": absent_sku, "sources": SOURCES}
    )
    unified = facts(rows, who)
    together = series(unified, who, FIRST, LAST)
    days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    assert_frame_equal(together, day_by_day(unified.sample(fraction=1, shuffle=True, seed=5), who, days))
    carried = together.filter(pl.col("coverage").is_in(["received", "partial"]))
    assert together["units"].count() == carried["units"].count()
    assert together.filter("is_degraded")["units"].null_count() == 0
    assert (together["degraded_reasons"].list.len() > 0).equals(together["is_degraded"])


def test_a_range_says_what_its_days_say_alone_where_sources_are_doubted() -> None:
    """Agreement, proxies that break, conflicts and copies on many days, at both grains."""
    skus = [*SKUS, "k6", "k7", "k8"]
    rows = told("till", lambda d, n: 2 * till(d - 2, n) if d == 33 else till(d, n), skus=skus)
    rows += told("shipments", lambda d, n: till(d, n) if d % 9 == 8 else shipped(d, n), skus=skus)
    odd = {32: 40, 38: 90_000}
    rows += told("footfall", lambda d, _n: odd.get(d, 1500), skus=["door"])
    rows += [("s", sku, at(MONDAY + timedelta(days=25), 9), till(25, n), None, "till") for n, sku in enumerate(skus)]
    looked_at = [MONDAY + timedelta(days=n) for n in (25, 26, 32, 33, 35, 38)]
    for grain in ("1d", "12h"):
        who = Retailer.model_validate({"timezone": "UTC", "grain": grain, "sources": SOURCES})
        unified = facts(rows, who)
        together = series(unified, who, looked_at[0], looked_at[-1])
        those_days = together.filter(pl.col("business_day").is_in(looked_at))
        assert_frame_equal(those_days, day_by_day(unified, who, looked_at))
        raised = {"double_count", "duplicate_window", "proxy_dropped", "proxy_overcount"}
        raised |= {"repeated_block"} if grain == "1d" else set()
        assert set(those_days["quality_flags"].explode().drop_nulls()) - {"cross_source_divergence"} == raised


@settings(max_examples=5, deadline=None)
@given(distinct(("till",)), st.sampled_from(["1d", "6h"]), st.sampled_from(["missing", "zero"]), st.floats(0.01, 1))
def test_one_source_says_the_same_whether_it_is_declared_or_not(
    rows: list[tuple[Any, ...]], grain: str, absent_sku: str, reliability: float
) -> None:
    plain = {"timezone": "Europe/Paris", "country": "FR", "grain": grain, "absent_sku": absent_sku}
    undeclared = Retailer.model_validate(plain)
    declared = Retailer.model_validate(plain | {"sources": {"till": {"reliability": reliability}}})
    unified = facts(rows, undeclared)
    hashed = [c for c in SALES_TIMESERIES.body if c != "model_version"]
    once = series(unified, undeclared, FIRST, LAST)
    assert_frame_equal(once.select(hashed), series(unified, declared, FIRST, LAST).select(hashed))
    assert once["model_version"].null_count() == once.height
