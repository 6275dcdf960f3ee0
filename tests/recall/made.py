"""Facts made by hand: few reports, and what is known of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts.settings import Settings
from mrs_assets.recall.facts import SCHEMAS, Facts

NOW = datetime(2025, 6, 1, tzinfo=UTC)
SETTINGS = Settings.model_validate({"home": Path("nowhere"), "retailers": {"acme": {"timezone": "UTC"}}})


def report_id(n: int) -> str:
    return f"MR-{n:020x}"


def report(n: int, **said: Any) -> dict[str, Any]:
    begin = datetime(2025, 3, 1, tzinfo=UTC)
    return {
        "report_id": report_id(n),
        "retailer": "acme",
        "business_day": date(2025, 3, 4),
        "store_id": f"s{n}",
        "sku": "milk",
        "tick": begin + timedelta(days=4),
        "window_start": begin,
        "window_end": begin + timedelta(days=4),
        "uplift_units": 40.0,
        "impact_estimate": 100.0 * n,
        "cluster_id": "spike",
        "cluster_name": "spike",
        "proposed_cause": "Rain",
        "proposed_cause_category": "Weather",
        "confidence_score": 0.8,
        "report_group_id": f"ME-{n:020x}",
        "considered_at": NOW - timedelta(days=1),
        "proposed_by": "attribution",
        "reasons": [],
        "cluster_version": "library-1",
        "cause_version": "choice-1",
        "cluster_code": "2",
        "cause_code": "2",
    } | said


def frame(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    schema = SCHEMAS[name]
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=dict(schema))


def facts(
    *reports: dict[str, Any], now: datetime = NOW, settings: Settings = SETTINGS, **frames: pl.DataFrame
) -> Facts:
    known = {"reports": frame("reports", *reports), **frames}
    return Facts(now, settings, known, {"cause": "choice-1"}, {"cluster": "2", "cause": "2"})
