"""Sources that count the same sales, made: what each tells day by day, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import polars as pl

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


def dark(units: int | None, hours_before_midnight: float, sku: str = "k0", source: str = "till") -> tuple:
    seen = at(JUDGED) + timedelta(hours=24 - hours_before_midnight)
    return ("s", sku, at(JUDGED), units, None if units is None else 0, source, seen)
