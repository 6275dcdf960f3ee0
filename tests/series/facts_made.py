"""Sales facts for series tests, and the stage run on them as the boundary would run it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts.calendar import business_day
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.stage import Inputs
from mrs_assets.series.stage import REMEMBERED_DAYS, SERIES_STAGE

MONDAY = date(2024, 1, 1)


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of a day, UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def facts(rows: Iterable[Sequence[Any]], retailer: Retailer) -> pl.DataFrame:
    """Facts from (store, sku, instant, units[, revenue[, source[, last seen at]]])."""
    made = []
    for store, sku, ts, units, *rest in rows:
        revenue, source, last_seen_at = (*rest, None, None, None)[:3]
        made.append(
            {
                "retailer": "acme",
                "store_id": store,
                "sku": sku,
                "ts": ts,
                "source": source or "till",
                "units": None if units is None else Decimal(str(units)),
                "revenue": None if revenue is None else Decimal(str(revenue)),
                "unit_price": None,
                "on_promotion": None,
                "source_file": "f",
                "source_file_hash": "h",
                "received_at": ts,
                "last_seen_at": last_seen_at,
            }
        )
    schema = {name: dtype for name, dtype in UNIFIED_SALES.body.items() if name != "business_day"}
    frame = pl.DataFrame(made, schema=schema)
    return UNIFIED_SALES.conform(frame.with_columns(business_day=business_day(pl.col("ts"), retailer)))


def series(
    unified: pl.DataFrame,
    retailer: Retailer,
    first: date,
    last: date,
    stores: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What the stage says of some days, given only what it may read for them; it must keep its contract."""
    readable = pl.col("business_day").is_between(first - timedelta(days=REMEMBERED_DAYS), last)
    inputs = Inputs(
        scope=Scope(first, last, "acme"),
        settings=Settings(home=Path(), retailers={"acme": retailer}),
        frames={"unified": unified.filter(readable), "stores": STORES.empty() if stores is None else stores},
    )
    frame = SERIES_STAGE.compute(inputs)[SALES_TIMESERIES.name]
    good, bad = SALES_TIMESERIES.admit(SALES_TIMESERIES.conform(frame))
    assert bad.is_empty()
    return good.sort("store_id", "sku", "ts")


def coverage(frame: pl.DataFrame) -> list[str]:
    """Coverage in order of store, SKU and tick."""
    return frame["coverage"].to_list()
