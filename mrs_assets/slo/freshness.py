"""Freshness: how long from a file's arrival to what follows from it, and how long since the last news."""

from __future__ import annotations

import polars as pl

from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.slo.facts import Facts
from mrs_assets.slo.measured import SHOWN, Measured

PERCENTILE = 0.95


def lags(facts: Facts, log: str) -> pl.DataFrame:
    """How long each partition of a log took from available to shown; one that is not shown yet counts with its age.

    Returns:
        Columns retailer, business_day, available_at, hydrated_at, minutes; partitions without a file are left out.
    """
    shown = pl.col("hydrated_at").fill_null(facts.now)
    minutes = (shown - pl.col("available_at")).dt.total_microseconds() / 60e6
    known = facts["levels"].filter(pl.col("log") == log, pl.col("available_at").is_not_null())
    return known.select("retailer", "business_day", "available_at", "hydrated_at", minutes=minutes)


def lag_of(log: str, facts: Facts) -> list[Measured]:
    """Per retailer the 95th percentile of the lags of partitions that became available within the window, minutes."""
    recent = lags(facts, log).filter(
        (pl.col("available_at") > facts.since(facts.settings.slo.window_days)) | pl.col("hydrated_at").is_null()
    )
    return [_percentile(retailer, recent.filter(retailer=retailer)) for retailer in facts.retailers]


def _percentile(retailer: str, recent: pl.DataFrame) -> Measured:
    value = recent["minutes"].quantile(PERCENTILE, "linear") if recent.height else None
    worst = recent.sort("minutes", "business_day", descending=True).head(SHOWN)
    rows = [
        {
            "retailer": retailer,
            "day": str(row["business_day"]),
            "minutes": round(row["minutes"], 1),
            "shown": "no" if row["hydrated_at"] is None else "yes",
        }
        for row in worst.to_dicts()
    ]
    return Measured(retailer, value, rows)


def hours_without_news(facts: Facts) -> list[Measured]:
    """Per retailer the hours since the newest row of its sales was written; never any: not known."""
    newest = dict(facts["news"].iter_rows())
    return [_since(facts, retailer, newest) for retailer in facts.retailers]


def _since(facts: Facts, retailer: str, newest: dict[str, object]) -> Measured:
    at = newest.get(retailer)
    if at is None:
        return Measured(retailer, None)
    hours = (facts.now - at).total_seconds() / 3600  # type: ignore[operator]
    return Measured(retailer, hours, [{"log": UNIFIED_SALES.name, "retailer": retailer, "last news": str(at)}])


def judged_days(log: str, facts: Facts, limit: float) -> pl.DataFrame:
    """Retailer-days with their verdict for a budget: retailer, business_day, at, bad."""
    return lags(facts, log).select("retailer", "business_day", at="available_at", bad=pl.col("minutes") > limit)
