"""The policy that approves what nobody needs to look at, as ordinary edits of role `system`."""

from __future__ import annotations

import json
import uuid

import polars as pl

from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.ended import CORRECTED
from mrs_assets.contracts.settings import Settings

POLICY = "policy:auto_approval"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, POLICY)


def auto_approvals(
    finalised: pl.DataFrame, settings: Settings, spoken_for: frozenset[str] = frozenset()
) -> pl.DataFrame:
    """Approvals that `[auto_approval]` gives. None where it is off, which is the default.

    A report qualifies when it has ended, is not degraded, has a cause other than `unknown` with a confidence of at
    least `min_confidence`, an impact of at most `max_impact` (in its own unit, either sign), no verdict and no open
    review. An approval of its own whose cause moved on is given anew.

    Args:
        finalised: rows in the columns of FINALISED.
        settings: the policy.
        spoken_for: reports that a person has acted on in any way; they are left alone.

    Returns:
        Rows in the columns of USER_EDITS, sorted by report. `annotation_id` names the report and what was seen, and
        `acted_at` is the tick that the record rests on, so that the same record gives the same rows.
    """
    if not settings.auto_approval.enabled:
        return USER_EDITS.empty()
    policy = settings.auto_approval
    stale = (pl.col("final_decision") == "auto_approved") & pl.col("edit_issues").list.contains("cause_moved_on")
    qualified = finalised.filter(
        ~pl.col("report_id").is_in(list(spoken_for)),
        pl.col("final_decision").is_null() | stale,
        pl.col("review_state").is_null(),
        (pl.col("event_status") == "ended") & (pl.col("resolution_reason") != CORRECTED),
        ~pl.col("is_degraded"),
        pl.col("proposed_cause") != "unknown",
        pl.col("confidence_score") >= policy.min_confidence,
        pl.col("impact_estimate").cast(pl.Float64).abs() <= policy.max_impact,
    ).sort("report_id")
    rows = [
        {
            "retailer": row["retailer"],
            "business_day": row["business_day"],
            "annotation_id": _annotation_id(row["report_id"], row["proposed_cause"], row["proposed_cause_category"]),
            "actor": POLICY,
            "user_role": "system",
            "action": "approve",
            "value": row["proposed_cause"],
            "reason": f"Confidence of at least {policy.min_confidence:g}, impact of at most {policy.max_impact:g}.",
            "acted_at": row["tick"],
            "report_id": row["report_id"],
            "is_degraded": False,
            "degraded_reasons": [],
        }
        for row in qualified.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=USER_EDITS.body) if rows else USER_EDITS.empty()


def _annotation_id(report_id: str, cause: str, category: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, json.dumps([report_id, cause, category])))
