"""Reads what changed since the last finished plan, and records what is planned and done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.operations import REPLAY_PLANS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.planning.plan import SOURCE_WEIGHTS, Change, Plan, Step
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, Transaction

NEVER = datetime(1, 1, 1, tzinfo=UTC)
REESTIMATED_DAYS = 14
"""Days up to the frontier that are computed again when sources are weighed otherwise; from practice, not fitted."""


def read_changes(tx: Transaction, inputs: Sequence[Contract], settings: Settings) -> list[Change]:
    """Input rows written after the newest input that a finished plan of their retailer and log answered."""
    tx.ensure(*inputs, REPLAY_PLANS)
    done = tx.live(REPLAY_PLANS).filter(pl.col("state") == "done").explode("triggers")
    answered = {
        (row["retailer"], row["triggers"]): row["inputs_written_at"]
        for row in done.group_by("retailer", "triggers").agg(pl.col("inputs_written_at").max()).to_dicts()
    }
    changes = []
    for contract in inputs:
        stores = "count(DISTINCT store_id)" if "store_id" in contract.body else "0"
        for retailer in sorted(settings.retailers):
            found = tx.query(
                "SELECT list_sort(list_distinct(list(business_day))) AS days, "
                f"{stores} AS stores, max(written_at) AS written_at FROM {contract.name} "
                "WHERE run_id = ? AND retailer = ? AND written_at > ? HAVING count(*) > 0",
                [tx.run_id, retailer, answered.get((retailer, contract.name), NEVER)],
            )
            for row in found.to_dicts():
                days = tuple(row["days"])
                changes.append(Change(contract.name, retailer, days, int(row["stores"]), row["written_at"]))
    return changes


def read_reweighted(tx: Transaction, settings: Settings, frontiers: Mapping[str, date]) -> list[Change]:
    """The last 14 days of each retailer whose declared sources differ from those of its last finished series.

    Args:
        tx: where plans are recorded.
        settings: what is declared now.
        frontiers: newest day with a series, per retailer.
    """
    done = tx.live(REPLAY_PLANS).filter(
        (pl.col("state") == "done")
        & (pl.col("purpose") == "replay")
        & pl.col("assets").list.contains(SALES_TIMESERIES.name)
    )
    changes = []
    for row in done.sort("written_at").unique("retailer", keep="last").sort("retailer").to_dicts():
        name = row["retailer"]
        declared = settings.retailers.get(name)
        if declared is None or name not in frontiers or declared.source_weights == row["source_weights"]:
            continue
        days = tuple(frontiers[name] - timedelta(days=n) for n in reversed(range(REESTIMATED_DAYS)))
        changes.append(Change(UNIFIED_SALES.name, name, days, 0, row["written_at"], cause=SOURCE_WEIGHTS))
    return changes


def sales_calendar(tx: Transaction) -> tuple[dict[str, date], dict[str, date]]:
    """Oldest business day with sales and newest day with a series, received or not, per retailer."""
    tx.ensure(UNIFIED_SALES, SALES_TIMESERIES)
    rows = tx.query(
        "SELECT retailer, min(oldest) AS oldest, max(newest) AS newest FROM ("
        f"SELECT retailer, min(business_day) AS oldest, max(business_day) AS newest FROM {UNIFIED_SALES.name} "
        "WHERE run_id = $run AND NOT is_retracted GROUP BY ALL UNION ALL "
        f"SELECT retailer, NULL, max(business_day) FROM {SALES_TIMESERIES.name} WHERE run_id = $run GROUP BY ALL"
        ") GROUP BY ALL HAVING min(oldest) IS NOT NULL",
        {"run": tx.run_id},
    ).to_dicts()
    return {r["retailer"]: r["oldest"] for r in rows}, {r["retailer"]: r["newest"] for r in rows}


def record(tx: Transaction, plan: Plan, state: str) -> None:
    """Append a plan's state."""
    tx.ensure(DETECTED)
    reports = tx.query(
        f"SELECT count(DISTINCT report_id) AS n FROM {DETECTED.name} WHERE run_id = ? AND retailer = ? "
        "AND business_day BETWEEN ? AND ?",
        [tx.run_id, plan.scope.retailer, plan.scope.first_day, plan.scope.last_day],
    )["n"][0]
    known = tx.live(REPLAY_PLANS).filter(pl.col("plan_id") == plan.plan_id)
    frame = pl.DataFrame(
        {
            "retailer": [plan.scope.retailer],
            "business_day": [plan.scope.first_day],
            "plan_id": [plan.plan_id],
            "first_day": [plan.scope.first_day],
            "last_day": [plan.scope.last_day],
            "days_changed": [[day.isoformat() for day in plan.days_changed]],
            "stores_changed": [plan.stores_changed],
            "purpose": [plan.purpose],
            "triggers": [list(plan.triggers)],
            "steps": [[str(step) for step in plan.steps]],
            "assets": [list(plan.assets)],
            "inputs_written_at": [plan.inputs_written_at],
            "state": [state],
            "planned_reports": [known["planned_reports"][0] if known.height else reports],
            "source_weights": [plan.source_weights],
        }
    )
    tx.append(REPLAY_PLANS, frame, replace(EVER, complete=False), Provenance("planning", __version__))


def unfinished_recoveries(tx: Transaction) -> list[Plan]:
    """Recoveries that were begun and not finished, as they were planned: what they mended is no longer degraded."""
    begun = tx.live(REPLAY_PLANS).filter((pl.col("purpose") == "recovery") & (pl.col("state") == "planned"))
    return [
        Plan(
            steps=tuple(Step.parse(text, row["retailer"]) for text in row["steps"]),
            triggers=tuple(row["triggers"]),
            days_changed=tuple(date.fromisoformat(day) for day in row["days_changed"]),
            stores_changed=row["stores_changed"],
            inputs_written_at=row["inputs_written_at"],
            purpose="recovery",
        )
        for row in begun.sort("retailer", "written_at", "plan_id").to_dicts()
    ]


def finish(tx: Transaction, plan_id: str) -> None:
    """Append that a plan is done; nothing where it is unknown or done already."""
    row = tx.live(REPLAY_PLANS).filter(pl.col("plan_id") == plan_id)
    done = row.select(*REPLAY_PLANS.body).with_columns(state=pl.lit("done"))
    tx.append(REPLAY_PLANS, done, replace(EVER, complete=False), Provenance("planning", __version__))
