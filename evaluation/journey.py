"""Complete Journey as series: a year of one grocer's stores, by category, product type and department."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer
from mrs_assets.demo.complete_journey import LEFT_OUT, load_tables

Floats = npt.NDArray[np.float64]

FIRST, LAST = date(2017, 1, 1), date(2017, 12, 31)
CLOSED = date(2017, 12, 25)
DAYS = (LAST - FIRST).days + 1
RETAILER = Retailer(timezone="America/New_York", country="US", absent_sku="zero", currency="USD")
NAME = "cj"

LEVELS = ("product_category", "product_type", "department")
LEAST_A_DAY = 1.0
"""Mean units a day from which a series is looked at."""
DENSE_A_DAY = 5.0
"""Mean units a day from which a series is dense."""


@dataclass(frozen=True)
class RealSeries:
    """What was sold.

    Attributes:
        keys: store_id, sku and place, in order. Each level of the product hierarchy counts as stores of its own,
            `<place>/<level>`, so that a department is not taken for the sibling of its own categories.
        units: days × series; NaN where the store did not report.
        price: mean price paid per unit, likewise; NaN where nothing was sold.
        promotions: rows of `promotions_log`; none where nothing is told of them.
    """

    keys: pl.DataFrame
    units: Floats
    price: Floats
    promotions: pl.DataFrame = field(default_factory=PROMOTIONS.empty)

    @property
    def dense(self) -> npt.NDArray[np.bool_]:
        """Per series, whether it sells enough to be called dense."""
        return np.nansum(self.units, axis=0) >= DAYS * DENSE_A_DAY

    def only(self, chosen: npt.NDArray[np.bool_]) -> RealSeries:
        """Some of the series."""
        keys = self.keys.filter(pl.Series(chosen))
        return replace(self, keys=keys, units=self.units[:, chosen], price=self.price[:, chosen])


@cache
def transaction_lines() -> pl.DataFrame:
    """Lines of every basket: store_id, product_id, levels, day, units, revenue."""
    tables = load_tables(("transactions", "products"))
    products = tables["products"].select("product_id", *LEVELS)
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(RETAILER.timezone)
    return (
        tables["transactions"]
        .join(products, on="product_id")
        .filter(~pl.col("department").is_in(LEFT_OUT))
        .select(
            pl.col("store_id").cast(pl.String),
            "product_id",
            *LEVELS,
            day=local.dt.date(),
            units=pl.col("quantity").cast(pl.Float64),
            revenue=pl.col("sales_value"),
        )
        .filter(pl.col("day").is_between(FIRST, LAST))
    )


@cache
def real_series() -> RealSeries:
    """Every series of at least `LEAST_A_DAY`, of all levels."""
    lines = transaction_lines()
    number = (pl.col("day") - pl.lit(FIRST)).dt.total_days().alias("number")
    sold = pl.concat(
        lines.filter(pl.col(level).is_not_null())
        .group_by(
            pl.col("store_id").alias("place"),
            pl.format("{}/{}", "store_id", pl.lit(level)).alias("store_id"),
            pl.col(level).alias("sku"),
            "day",
        )
        .agg(pl.col("units").sum(), pl.col("revenue").sum().round(2))
        for level in LEVELS
    )
    keys = sold.group_by("store_id", "sku", "place").agg(pl.col("units").sum())
    keys = keys.filter(pl.col("units") >= DAYS * LEAST_A_DAY).select("store_id", "sku", "place").sort("store_id", "sku")
    numbered = keys.with_row_index("series")
    units, price = np.full((DAYS, keys.height), np.nan), np.full((DAYS, keys.height), np.nan)
    open_days = lines.select(pl.col("store_id").alias("place"), "day").unique()
    reported = numbered.join(open_days, on="place").with_columns(number)
    units[reported["number"].to_numpy(), reported["series"].to_numpy()] = 0.0
    sold = sold.join(numbered, on=["store_id", "sku"]).with_columns(number)
    at = sold["number"].to_numpy(), sold["series"].to_numpy()
    units[at] = sold["units"].to_numpy()
    amount, taken = sold["units"].to_numpy(), sold["revenue"].to_numpy()
    price[at] = np.where((amount > 0) & (taken > 0), taken / np.maximum(amount, 1.0), np.nan)
    return RealSeries(keys, units, price)


def series_rows(series: RealSeries) -> pl.DataFrame:
    """Rows of `sales_timeseries_data`."""
    days = pl.DataFrame({"business_day": pl.date_range(FIRST, LAST, eager=True)}).with_row_index("number")
    count = series.units.shape[1]
    tall = pl.DataFrame(
        {
            "number": np.repeat(np.arange(DAYS, dtype=np.uint32), count),
            "series": np.tile(np.arange(count, dtype=np.uint32), DAYS),
            "units": pl.Series(series.units.ravel()).fill_nan(None),
            "unit_price": pl.Series(series.price.ravel()).fill_nan(None),
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
    known = pl.col("coverage") == "received"
    return SALES_TIMESERIES.conform(
        tall.join(days, on="number")
        .join(series.keys.drop("place").with_row_index("series"), on="series")
        .with_columns(coverage=state, ts=midnight.dt.convert_time_zone("UTC"), retailer=pl.lit(NAME))
        .with_columns(units=pl.when(known).then("units"), unit_price=pl.when(known).then("unit_price"))
        .with_columns(revenue=pl.col("units") * pl.col("unit_price"))
        .with_columns(quality_flags=pl.lit([], dtype=pl.List(pl.String)))
        .drop("number", "series")
    )


def day_of(number: int) -> date:
    """Day of a row."""
    return FIRST + timedelta(days=int(number))
