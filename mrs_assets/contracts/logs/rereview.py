"""MRRW, MRCRL and MRPARL: what is looked at again, and what came of it."""

from mrs_assets.contracts.columns import Count, Instant, optional, required
from mrs_assets.contracts.contract import Contract, Rows
from mrs_assets.contracts.logs.attributed import ProposedAttribution
from mrs_assets.contracts.logs.clustered import MinorityReportClustered

TRIGGERS = (
    "low_confidence",
    "aged",
    "model_update",
    "schema_drift",
    "new_pattern",
    "cluster_split",
    "confidence_drift",
    "contradictory_evidence",
    "input_recovered",
    "settled_evidence",
    "analyst_request",
)


class RereviewItem(Rows):
    """One report queued for recall, with the trigger."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    round: Count = required(ge=1, description="How many times the report has been recalled.")
    trigger_reason: str = required(isin=list(TRIGGERS), description=f"One of {', '.join(TRIGGERS)}.")
    trigger_at: Instant = required(description="When the trigger fired. UTC.")
    outputs_generated_at: Instant = optional(description="When the re-review finished; NULL while it waits. UTC.")


class ReportReclustered(MinorityReportClustered):
    """One report's cluster at one tick, as re-reviewed; never overwrites the original."""

    round: Count = required(ge=1, description="The recall that asked for it.")


class AttributionReproposed(ProposedAttribution):
    """One report's ranked causes at one tick, as re-reviewed; never overwrites the original."""

    round: Count = required(ge=1, description="The recall that asked for it.")


REREVIEW_WORKLIST = Contract(
    name="minority_reports_rereview_worklist",
    code="MRRW",
    rows=RereviewItem,
    key=("report_id", "round"),
    stage="rereview",
)
RECLUSTERED = Contract(
    name="minority_reports_clustered_rereview_log",
    code="MRCRL",
    rows=ReportReclustered,
    key=("report_id", "tick", "round"),
    stage="rereview",
)
REATTRIBUTED = Contract(
    name="minority_reports_proposed_attribution_rereview_log",
    code="MRPARL",
    rows=AttributionReproposed,
    key=("report_id", "tick", "round"),
    stage="rereview",
)
