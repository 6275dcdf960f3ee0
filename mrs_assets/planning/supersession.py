"""What a replay puts in question: the reports whose own evidence changed, marked until they are computed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.replays import SUPERSEDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.stage import Stage
from mrs_assets.planning.felt import Replay
from mrs_assets.planning.plan import Plan, Touched
from mrs_resources.contract_sql import same_key
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, Transaction

RESTATED = "sales_restated"
"""Reason on a report whose sales were corrected and that has not been computed again."""


def touched_reports(tx: Transaction, replay: Replay, stages: Sequence[Stage]) -> pl.DataFrame:
    """Live reports with a row that reads a changed sale of its own series.

    A row reads as many days of its series as the stage that writes reports declares.

    Returns:
        Columns report_id, retailer, business_day (of its newest row), impact (size, money; NULL where in units), units
        (size); sorted by report_id.
    """
    since = replay.since.get(UNIFIED_SALES.name)
    if since is None:
        return pl.DataFrame(schema=_TOUCHED)
    tx.ensure(DETECTED, UNIFIED_SALES)
    return tx.query(
        f"WITH changed AS (SELECT DISTINCT store_id, sku, business_day AS day FROM {UNIFIED_SALES.name} "
        "WHERE run_id = $run AND retailer = $retailer AND written_at > $since), "
        f"told AS (SELECT * FROM {DETECTED.name} d WHERE run_id = $run AND retailer = $retailer AND NOT is_retracted "
        f"AND NOT EXISTS (SELECT 1 FROM {DETECTED.name} n WHERE n.run_id = $run AND n.version > d.version "
        f"AND {same_key(DETECTED, 'd', 'n')})), "
        "touched AS (SELECT DISTINCT report_id FROM told JOIN changed USING (store_id, sku) "
        "WHERE business_day BETWEEN day AND day + $footprint) "
        "SELECT report_id, retailer, max(business_day) AS business_day, "
        "arg_max(CASE WHEN impact_unit = 'money' THEN abs(impact_estimate) END, tick) AS impact, "
        "arg_max(abs(uplift_units), tick) AS units FROM told SEMI JOIN touched USING (report_id) "
        "GROUP BY ALL ORDER BY ALL",
        {"run": tx.run_id, "retailer": replay.retailer, "since": since, "footprint": _footprint(stages)},
    ).cast(_TOUCHED)


def touched(tx: Transaction, plan: Plan, replay: Replay, stages: Sequence[Stage]) -> Touched:
    """The same in sums, and how much of everything the plan may compute."""
    reports = touched_reports(tx, replay, stages)
    return Touched(
        reports=reports.height,
        impact=Decimal(reports["impact"].sum() or 0),
        units=float(reports["units"].sum() or 0.0),
        share_of_rebuild=_share_of_rebuild(tx, plan, replay, stages),
    )


def mark(tx: Transaction, plan: Plan, replay: Replay, stages: Sequence[Stage]) -> Appended:
    """Say of every touched report that it waits for the plan; of no other report of the retailer."""
    reports = touched_reports(tx, replay, stages)
    rows = reports.select(
        "retailer",
        "business_day",
        "report_id",
        plan_id=pl.lit(plan.plan_id),
        is_degraded=pl.lit(value=True),
        degraded_reasons=pl.lit([RESTATED]),
    )
    return tx.append(SUPERSEDED, rows, replace(EVER, retailer=replay.retailer), Provenance("planning", __version__))


def unmark(tx: Transaction, retailer: str, provenance: Provenance) -> Appended:
    """Say that no report of the retailer waits for a replay any more."""
    return tx.append(SUPERSEDED, SUPERSEDED.empty(), replace(EVER, retailer=retailer), provenance)


def _footprint(stages: Sequence[Stage]) -> int:
    detection = next(stage for stage in stages if DETECTED in stage.writes)
    return max(wanted.days_before for wanted in detection.reads if wanted.contract is SALES_TIMESERIES)


def _share_of_rebuild(tx: Transaction, plan: Plan, replay: Replay, stages: Sequence[Stage]) -> float:
    stores = max(tx.stores_of(UNIFIED_SALES, replay.retailer), 1)
    written = {log.name: stage for stage in stages for log in stage.writes[:1]}
    parts = sum(
        len(step.scope.days) * (plan.stores_changed if stage.span == "store" else stores)
        for step in plan.steps
        for name, stage in written.items()
        if name in step.assets
    )
    every = sum(max((replay.last_of(s) - replay.first_of(s)).days + 1, 0) * stores for s in written.values())
    return min(parts / every, 1.0) if every else 0.0


_TOUCHED = pl.Schema(
    {
        "report_id": pl.String(),
        "retailer": pl.String(),
        "business_day": pl.Date(),
        "impact": pl.Decimal(18, 4),
        "units": pl.Float64(),
    }
)
