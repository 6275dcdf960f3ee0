"""MRFL, `minority_reports_finalised_log`: one consolidated, authoritative record per report."""

from mrs_assets.contracts.columns import Amount, Count, Instant, Texts, name, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows

SOURCES = ("detected", "clustered", "attribution", "cohort", "finalised", "ui")
FINAL_DECISIONS = ("approved", "rejected", "edited", "deferred", "auto_approved")
REVIEW_STATES = ("requested", "deferred", "reopened", "needs_review")


def _source(of: str) -> str:
    return optional(isin=list(SOURCES), description=f"Which log supplied {of}: one of {', '.join(SOURCES)}.")


class MinorityReportFinalised(Rows):
    """One report's consolidated, authoritative record."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    tick: Instant = optional(description="Newest tick that the record rests on. UTC.")
    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    first_detected_from: Instant = required(description="Onset as judged at the first tick; never moves. UTC.")
    window_start: Instant = required(description="Onset, by the best source. UTC.")
    window_end: Instant = optional(description="End of the anomaly; NULL while it is active. UTC.")
    event_status: str = required(isin=["active", "ended"], description="Whether the report is still going on.")
    direction: str = required(isin=["up", "down"], description="`up`: more was sold than expected; `down`: less.")
    severity_score: float = optional(description="Money (units without a price) at stake, weighted by probability.")
    impact_estimate: Amount = optional(description="Uplift in money; in units when there is no price.")
    impact_lower: Amount = optional(description="Lower end of the 80 % interval of the impact.")
    impact_upper: Amount = optional(description="Upper end of the 80 % interval of the impact.")
    impact_unit: str = required(isin=["money", "units"], description="Unit of the impact and the totals.")
    uplift_units: float = optional(description="Actual minus expected units over the window.")
    attributed_sales_total: Amount = optional(description="Actual sales over the window.")
    baseline_sales_total: Amount = optional(description="Expected sales over the window.")
    anomaly_probability: float = share(description="Probability that the window is anomalous.")
    cluster_id: str = optional(description="Entry of the cluster library; NULL: unclustered.")
    cluster_name: str = optional(description="The entry's name.")
    cluster_match_confidence: float = share(description="Share of the closeness over the nearest entries.")
    proposed_cause: str = optional(description="The machine's likeliest cause.")
    proposed_cause_category: str = optional(description="Kind of the machine's likeliest cause.")
    confidence_score: float = share(description="The machine's confidence in it.")
    report_group_id: str = optional(description="Event that the report belongs to.")
    cohort_id: str = optional(description="Identity of what the event's members share.")
    cohort_name: str = optional(description="What the event's members share, in words.")
    final_decision: str = optional(isin=list(FINAL_DECISIONS), description="The verdict; NULL while nobody decided.")
    final_cause: str = optional(description="Cause by precedence: report edit, event edit, machine.")
    final_cause_category: str = optional(description="Kind of the final cause.")
    final_confidence: float = share(description="Confidence in the final cause; NULL where a person set the cause.")
    finalized_at: Instant = optional(description="When the verdict was given; NULL while nobody decided. UTC.")
    annotation_id: str = optional(description="The edit that decided.")
    evidence_count: Count = optional(description="Pieces of evidence that analysts added.")
    review_state: str = optional(
        isin=list(REVIEW_STATES),
        description="What an analyst asked for; `needs_review` where the machine contradicts what a person relied on.",
    )
    review_sides: str = optional(
        description="JSON: both sides of each conflict: a list of annotation_id, actor, action, field, saw, decided, "
        "now, acted_at; NULL where there is none."
    )
    edited_as: Texts = optional(
        description="Sorted former identities of the report that edits were made on; NULL where none was."
    )
    edit_issues: Texts = optional(
        description="Sorted short codes of what edits say that could not be applied or that no longer agrees."
    )
    resolution_reason: str = optional(description="Why it ended; NULL while it is active.")
    report_status: str = required(
        str_matches=r"^(finalised|superseded|reopened|ended)(_degraded_\w+)?$",
        description="`finalised`, `superseded`, `reopened` or `ended`, with `_degraded_<reason>` where degraded.",
    )
    refresh_seq: Count = optional(description="How many times the record has been refreshed.")
    source_used_group_id: str = _source("the event")
    source_used_proposed: str = _source("the proposed cause")
    source_used_structure: str = _source("the cluster")
    source_used_window_start: str = _source("the onset")
    source_used_window_end: str = _source("the end")
    source_used_final: str = _source("the final cause")


FINALISED = Contract(
    name="minority_reports_finalised_log",
    code="MRFL",
    rows=MinorityReportFinalised,
    key=("report_id",),
    stage="finalisation",
    lineage=("refresh_seq",),
)
