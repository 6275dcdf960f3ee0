"""Statements of the published snapshot: live rows of each log, and the clean series by month."""

from __future__ import annotations

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_resources.contract_sql import live_rows_sql, quoted

_SERIES_COLUMNS = [
    c
    for c in SALES_TIMESERIES.schema
    if c not in ("run_id", "version", "row_hash", "is_retracted", "batch_id", "dagster_run_id", "code_version")
]


def live_view_sql(contract: Contract, system_run: str) -> str:
    """The view `<log>_live` of a snapshot: what is true in the published namespace."""
    condition = f"run_id IN ((SELECT p.run_id FROM publication p), '{system_run}')"
    return f"CREATE OR REPLACE VIEW {contract.name}_live AS {live_rows_sql(contract, condition)}"


LIVE_SERIES = (
    f"SELECT {quoted(_SERIES_COLUMNS)} FROM ("
    + live_rows_sql(
        SALES_TIMESERIES, "run_id = $run_id AND retailer = $retailer AND business_day BETWEEN $first_day AND $last_day"
    )
    + ")"
)
"""The live series of one retailer and month."""


def series_months_sql() -> str:
    """(retailer, first day, last day) of every month with series rows written after `$since`; all when NULL."""
    return (
        "SELECT DISTINCT retailer, CAST(date_trunc('month', business_day) AS DATE), last_day(business_day) "
        f"FROM {SALES_TIMESERIES.name} WHERE run_id = $run_id "
        "AND ($since IS NULL OR written_at > CAST($since AS TIMESTAMPTZ)) ORDER BY ALL"
    )
