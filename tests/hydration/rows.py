"""Rows of the logs about reports and events, as the stages would write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.scope import Scope
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import Transaction

FIRST_DAY = date(2024, 3, 1)
ALL_DAYS = Scope(date(2024, 1, 1), date(2024, 12, 31))
PROVENANCE = Provenance(source="test", code_version="1")


def report_id(n: int) -> str:
    return f"MR-{n:020x}"


def event_id(n: int) -> str:
    return f"ME-{n:020x}"


def instant(day: int) -> datetime:
    return datetime(2024, 3, 1, tzinfo=UTC) + timedelta(days=day)


def row(contract: Contract, n: int = 1, tick: int = 1, **values: Any) -> dict[str, Any]:
    """A row about report (or event) `n` at the end of day `tick`; keywords replace the defaults."""
    place = {"store_id": f"store-{n}", "sku": f"sku-{n}", "report_id": report_id(n), "tick": instant(tick)}
    common = {"retailer": "acme", "business_day": FIRST_DAY + timedelta(days=tick - 1)}
    own: dict[str, dict[str, Any]] = {
        DETECTED.name: {
            "first_detected_from": instant(0),
            "window_start": instant(0),
            "last_anomalous_at": instant(tick),
            "impact_unit": "money",
            "direction": "up",
            "severity_score": float(tick),
            "report_status": "detected",
        },
        ENDED.name: {"window_end": instant(tick), "event_status": "ended", "resolution_reason": "recovered"},
        CLUSTERED.name: {"cluster_id": "k1", "cluster_name": "spike", "layout_x": 0.5, "report_status": "clustered"},
        ATTRIBUTED.name: {
            "proposed_cause": "Campaign 1",
            "proposed_cause_category": "Marketing / Promotion",
            "confidence_score": 0.8,
            "proposed_cause_2": "Easter",
            "proposed_cause_category_2": "Holiday / Calendar",
            "report_status": "attributed",
        },
        COHORTED.name: {"report_group_id": event_id(1), "event_status": "active", "report_status": "cohorted"},
        EVENTS.name: {
            "report_group_id": event_id(n),
            "window_start": instant(0),
            "event_status": "active",
            "retailers": ["acme"],
            "stores": ["acme/store-1"],
            "skus": ["sku-1"],
            "retailer_count": 1,
            "store_count": 1,
            "sku_count": 1,
            "report_count": 1,
            "direction": "up",
            "leading_cause": "Campaign 1",
            "leading_cause_category": "Marketing / Promotion",
            "leading_cause_confidence": 0.8,
            "cohort_name": "sku-1 in acme",
        },
        FINALISED.name: {
            "first_detected_from": instant(0),
            "window_start": instant(0),
            "event_status": "active",
            "direction": "up",
            "impact_unit": "money",
            "report_status": "finalised",
        },
        REREVIEW_WORKLIST.name: {"round": 1, "trigger_reason": "aged", "trigger_at": instant(tick)},
    }
    own[RECLUSTERED.name] = own[CLUSTERED.name] | {"round": 1}
    own[REATTRIBUTED.name] = own[ATTRIBUTED.name] | {"round": 1}
    merged = common | place | own.get(contract.name, {}) | values
    return {name: merged[name] for name in contract.body if name in merged}


def action(contract: Contract, annotation_id: str, action: str, n: int = 1, **values: Any) -> dict[str, Any]:
    """An analyst's action on report (or event) `n`."""
    subject = {"report_id": report_id(n)} if contract is USER_EDITS else {"report_group_id": event_id(n)}
    return {
        "retailer": "acme",
        "business_day": FIRST_DAY,
        "annotation_id": annotation_id,
        "actor": "lewis",
        "user_role": "analyst",
        "action": action,
        "acted_at": instant(10),
        **subject,
        **values,
    }


def frame(contract: Contract, *rows: dict[str, Any]) -> pl.DataFrame:
    """Rows as a stage offers them."""
    columns = {name for given in rows for name in given}
    schema = {name: dtype for name, dtype in contract.body.items() if name in columns}
    return pl.DataFrame(rows, schema=schema) if rows else contract.empty()


def put(tx: Transaction, contract: Contract, *rows: dict[str, Any]) -> Appended:
    """Add and update rows."""
    return tx.append(
        contract, frame(contract, *rows), Scope(ALL_DAYS.first_day, ALL_DAYS.last_day, complete=False), PROVENANCE
    )


def replace_all(tx: Transaction, contract: Contract, *rows: dict[str, Any]) -> Appended:
    """Make these the only live rows of the log."""
    return tx.append(contract, frame(contract, *rows), ALL_DAYS, PROVENANCE)


EDITS = (USER_EDITS, USER_EVENT_EDITS)
