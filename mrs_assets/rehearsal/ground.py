"""The ground of a rehearsal: real series as a dense grid, and the rows that changed units would have come as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer

Floats = npt.NDArray[np.float64]

DAYS = 260
"""Newest days that a rehearsal plays on: what the expectation needs behind it, and the days of the play."""

MOST_SERIES = 1_000
"""Series played on; of a larger retailer the stores that sell most, whole, so that neighbours stay neighbours."""

MOST_PRODUCTS = 200
"""Products played on, the same in every store: those that sell most, so that several stores fit."""

LEAST_PACE = 0.5
"""Units a day below which a series says nothing about a day."""


@dataclass(frozen=True)
class Ground:
    """Real series of one retailer.

    Attributes:
        name: the retailer.
        retailer: its settings.
        rows: `sales_timeseries_data` rows with tick and series, places in the grid.
        stores, skus: of each series.
        starts: start of each tick, UTC.
        units: ticks × series; NaN where a tick was not received.
    """

    name: str
    retailer: Retailer
    rows: pl.DataFrame
    stores: tuple[str, ...]
    skus: tuple[str, ...]
    starts: tuple[Any, ...]
    units: Floats

    def played(self, units: Floats, prices: Floats) -> pl.DataFrame:
        """Rows of `sales_timeseries_data` with other units; revenue follows at the tick's price × a factor."""
        tick, series = self.rows["tick"].to_numpy(), self.rows["series"].to_numpy()
        sold = pl.Series("new", units[tick, series]).fill_nan(None)
        factor = pl.Series("factor", prices[tick, series])
        was, earned = pl.col("units").cast(pl.Float64), pl.col("revenue").cast(pl.Float64)
        own = pl.when((was > 0) & (earned > 0)).then(earned / was)
        rows = self.rows.with_columns(sold, factor, price=own.fill_null(own.mean().over("series")))
        given = pl.col("new").is_not_null()
        new = rows.with_columns(
            units=pl.when(given).then("new"),
            revenue=pl.when(given).then((pl.col("new") * pl.col("price") * pl.col("factor")).round(2)),
        )
        return stored(SALES_TIMESERIES, new.select(c for c in SALES_TIMESERIES.body if c in new.columns))


def ground(series: pl.DataFrame, name: str, retailer: Retailer, stores_in_one: int = 1) -> Ground:
    """Lay real series out.

    Args:
        series: rows of `sales_timeseries_data` of one retailer.
        name: the retailer.
        retailer: its settings.
        stores_in_one: stores added up to one: sums of real series are what larger stores sell.

    Raises:
        UserMistake: too few days or series to play on.
    """
    last = series["business_day"].max()
    recent = _pooled(series.filter(pl.col("business_day") > pl.lit(last) - pl.duration(days=DAYS)), stores_in_one)
    days = recent["business_day"].n_unique() if recent.height else 0
    pace = recent.group_by(SERIES).agg(pace=pl.col("units").cast(pl.Float64).sum() / max(days, 1))
    kept = _whole_stores(_best_sellers(pace.filter(pl.col("pace") >= LEAST_PACE)))
    stores = kept["store_id"].n_unique()
    if days < DAYS // 2 or kept.height < 20 or stores < 3:
        raise UserMistake(
            f"{kept.height} series of {stores} stores over {days} days of {name} are too little to rehearse causes on.",
            remedy=f"Nothing was trained; train again with 20 series of 3 stores over {DAYS // 2} days or more.",
        )
    keys = kept.select(SERIES).sort(SERIES).with_row_index("series")
    starts = recent.select("ts").unique().sort("ts").with_row_index("tick")
    rows = recent.join(keys, on=SERIES).join(starts, on="ts").sort("series", "tick")
    units = np.full((starts.height, keys.height), np.nan)
    received = rows.filter((pl.col("coverage") == "received") & pl.col("units").is_not_null())
    place = received["tick"].to_numpy(), received["series"].to_numpy()
    units[place] = received["units"].cast(pl.Float64).to_numpy()
    return Ground(
        name=name,
        retailer=retailer,
        rows=rows,
        stores=tuple(keys["store_id"]),
        skus=tuple(keys["sku"]),
        starts=tuple(starts["ts"]),
        units=units,
    )


def _pooled(series: pl.DataFrame, stores_in_one: int) -> pl.DataFrame:
    if stores_in_one == 1:
        return series
    names = series.select("store_id").unique().sort("store_id").with_row_index("number")
    pool = names.select("store_id", pool=pl.format("pool {}", pl.col("number") // stores_in_one))
    received = pl.col("coverage") == "received"
    rows = (
        series.join(pool, on="store_id")
        .group_by("retailer", "business_day", "pool", "sku", "ts")
        .agg(
            pl.col("units", "revenue").filter(received).sum(),
            coverage=pl.when((received | (pl.col("coverage") == "not_expected")).all() & received.any())
            .then(pl.lit("received"))
            .otherwise(pl.col("coverage").filter(~received).sort().first()),
            quality_flags=pl.lit([], dtype=pl.List(pl.String)),
        )
    )
    has = pl.col("coverage") == "received"
    return rows.rename({"pool": "store_id"}).with_columns(pl.when(has).then(pl.col("units", "revenue")).name.keep())


def _best_sellers(pace: pl.DataFrame) -> pl.DataFrame:
    return pace.join(_by_pace(pace, "sku").head(MOST_PRODUCTS), on="sku", how="semi")


def _whole_stores(pace: pl.DataFrame) -> pl.DataFrame:
    stores = _by_pace(pace, "store_id")
    taken = stores.filter(pl.col("series").cum_sum() <= MOST_SERIES)
    return pace.join(taken, on="store_id", how="semi")


def _by_pace(pace: pl.DataFrame, key: str) -> pl.DataFrame:
    """Stores or products with their series, the fastest first."""
    both = pace.group_by(key).agg(pl.col("pace").sum(), series=pl.len())
    return both.sort("pace", key, descending=[True, False])


def stored(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    """A writer's rows as the log would give them back, without the envelope's values."""
    body = contract.conform(rows)
    absent = [pl.lit(None, dtype=dtype).alias(c) for c, dtype in contract.schema.items() if c not in body.columns]
    return body.with_columns(absent).select(list(contract.schema))
