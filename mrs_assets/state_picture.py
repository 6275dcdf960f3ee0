"""The picture on the hydrated assets: the most severe report that stands, as everybody sees it now."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.detection.picture import report_picture
from mrs_resources.log_store import Transaction

DAYS_BEFORE, DAYS_AFTER = 45, 45

_MOST_SEVERE = (
    f"SELECT * FROM {MINORITY_REPORTS.name} WHERE source_used_identity = 'detected' AND window_start IS NOT NULL "
    "ORDER BY severity_score DESC NULLS LAST, report_id LIMIT 1"
)


def most_severe_picture(tx: Transaction, settings: Settings) -> bytes | None:
    """PNG of what sold against what was expected around the most severe live report; None where there is none."""
    report = tx.query(_MOST_SEVERE)
    if report.is_empty() or (retailer := str(report["retailer"][0])) not in settings.retailers:
        return None
    begin, end = report["window_start"][0].date(), report["last_anomalous_at"][0].date()
    around = Scope(
        first_day=begin - timedelta(days=DAYS_BEFORE),
        last_day=end + timedelta(days=DAYS_AFTER),
        retailer=retailer,
        stores=(str(report["store_id"][0]),),
    )
    same_sku = pl.col("sku") == report["sku"][0]
    return report_picture(
        tx.live(SALES_TIMESERIES, around).filter(same_sku),
        tx.live(BASELINE, around).filter(same_sku),
        report,
        timezone=settings.retailers[retailer].timezone,
    )
