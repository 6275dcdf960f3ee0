"""MRRW, MRCRL and MRPARL: what is looked at again, and what came of it."""

from mrs_assets.contracts.columns import Count, Instant, Texts, name, optional, required
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
    "late_context",
)
OUTCOMES = ("changed", "unchanged", "withdrawn")


class RereviewItem(Rows):
    """One report queued for recall, with the trigger."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    round: Count = required(ge=1, description="How many times the report has been recalled.")
    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    tick: Instant = optional(description="Newest tick of the report when it was queued. UTC.")
    trigger_reason: str = required(isin=list(TRIGGERS), description=f"One of {', '.join(TRIGGERS)}.")
    trigger_at: Instant = required(description="When the trigger fired. UTC.")
    outputs_generated_at: Instant = optional(description="When the re-review finished; NULL while it waits. UTC.")
    fingerprints: Texts = optional(
        description="Sorted causes of the recall, `<trigger>:<hash>`: each fires once for a report."
    )
    evidence: str = optional(description="JSON: per trigger what gave reason to doubt.")
    priority: float = optional(description="Size of the impact × (1 − confidence): what is looked at first.")
    waits_for: str = optional(description="Reasons that the last look could not conclude; NULL: its turn.")
    outcome: str = optional(
        isin=list(OUTCOMES),
        description="`changed` or `unchanged` conclusion; `withdrawn`: the report is no longer true; NULL: it waits.",
    )
    concluded_before: str = optional(description="JSON: the conclusion that was looked at again.")
    concluded_after: str = optional(description="JSON: the conclusion of this round.")
    contradicts_verdict: bool = optional(
        description="Whether the round's cause differs from the one that a person stands by; NULL: nobody decided."
    )
    compute_seconds: float = optional(ge=0, description="Seconds of computing that fell to this report.")


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
    lineage=("compute_seconds",),
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
