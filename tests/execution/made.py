"""A home with series whose reports every stage has something to say of, and stages run over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl

from mrs_assets.boundary.stage_run import Crew, StageRunner
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.graph import STAGES
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER
from mrs_resources.warehouse import Warehouse
from tests.backends import storage_of
from tests.world import FIRST_DAY, REPORTS_FROM, daily_sales, settings_for

DAYS = 180
STORES = ("s1", "s2", "s3", "s4", "s5")
SCOPE = Scope(REPORTS_FROM, FIRST_DAY + timedelta(days=DAYS - 1), "acme")
BY = Provenance("test", "1")
COMPUTED = STAGES[1:]
"""Every stage but the one that makes series of sales, which are made here."""

WHO_AND_WHEN = {"written_at", "batch_id"}


def home_with_series(home: Path, faults: Sequence[Fault] = ()) -> tuple[Warehouse, Settings]:
    """A home where series were written, with two spikes and a dip."""
    storage = storage_of(home)
    declared = settings_for(home).model_dump() | {"storage": storage}
    if faults:
        declared |= {"environment": "staging", "faults": tuple(faults)}
    settings = Settings.model_validate(declared)
    warehouse = Warehouse(home, storage=storage)
    rows = daily_sales(DAYS, stores=STORES, skus=("milk", "bread", "tea"), change=_with_anomalies)
    rows = rows.select(
        "store_id",
        "sku",
        pl.col("units").cast(pl.Float64),
        "revenue",
        ts=pl.col("ts").cast(pl.Datetime("us")).dt.replace_time_zone("Europe/London").dt.convert_time_zone("UTC"),
        business_day="ts",
        retailer=pl.lit("acme"),
        coverage=pl.lit("received"),
        quality_flags=pl.lit([], dtype=pl.List(pl.String)),
    )
    with warehouse.store.transaction() as tx:
        tx.append(SALES_TIMESERIES, SALES_TIMESERIES.conform(rows), replace(EVER, complete=False), BY)
    return warehouse, settings


def _with_anomalies(store: str, sku: str, day: object, units: float) -> float:
    told = {("s1", "milk"): (8, 14, 3.0), ("s3", "tea"): (10, 15, 3.5), ("s4", "bread"): (20, 27, 0.2)}
    first, last, factor = told.get((store, sku), (0, -1, 1.0))
    return units * factor if first <= (day - REPORTS_FROM).days <= last else units  # type: ignore[operator]


def compute(
    warehouse: Warehouse, settings: Settings, crew: Crew | None = None, stages: Sequence[Stage] = COMPUTED
) -> None:
    """Run stages over the reporting days."""
    for stage in stages:
        StageRunner(warehouse.store, warehouse.models, settings, crew=crew).run(stage, SCOPE, BY)


def every_version(warehouse: Warehouse, contract: Contract) -> pl.DataFrame:
    """All rows of a log, without when they were written."""
    with warehouse.store.looking() as tx:
        rows = tx.history(contract)
    return rows.drop(*WHO_AND_WHEN & {*rows.columns})
