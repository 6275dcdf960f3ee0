"""Promotions of Complete Journey: what detection is tested without, and attribution is told afterwards."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from evaluation.journey import NAME, RealSeries
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.demo.complete_journey import load_tables, promotions
from mrs_assets.rehearsal.ground import stored

AGAINST_MEDIAN = 2.0
"""A promotion is strong where a category has this many times its median number of promoted products."""


def strong_promotions(keys: pl.DataFrame) -> pl.DataFrame:
    """Strong promoted weeks of some series of store × category.

    Args:
        keys: store_id (`<place>/<level>`), sku.

    Returns:
        promotion_id, sku, start_day, end_day, mechanic, store_id.
    """
    series = keys.select("store_id", "sku").unique()
    plain = series.select(store=pl.col("store_id").str.split("/").list.first(), category="sku", full="store_id")
    told = promotions(load_tables(), plain.select("store", "category"), AGAINST_MEDIAN)
    return (
        told.join(plain, left_on=["store_id", "sku"], right_on=["store", "category"])
        .select("promotion_id", "sku", "start_day", "end_day", "mechanic", store_id="full")
        .sort("promotion_id", "store_id", "sku")
    )


def as_feed(weeks: pl.DataFrame) -> pl.DataFrame:
    """Rows of `promotions_log`, from ones like those of `strong_promotions`."""
    named = weeks.with_columns(retailer=pl.lit(NAME), business_day="start_day")
    return stored(PROMOTIONS, named.unique(PROMOTIONS.key, maintain_order=True))


def with_promotions(series: RealSeries) -> RealSeries:
    """The series, with their strong promotions told."""
    return replace(series, promotions=as_feed(strong_promotions(series.keys)))
