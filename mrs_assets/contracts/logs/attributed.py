"""MRPAL, `minority_reports_proposed_attribution_log`: why each report probably happened."""

from mrs_assets.contracts.columns import Instant, name, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows

CAUSE_CATEGORIES = (
    "Data Error",
    "Marketing / Promotion",
    "Social / Viral",
    "Competitor Stockout",
    "Own Stockout / Operational",
    "Weather",
    "Holiday / Calendar",
    "Price",
    "unknown",
)


class ProposedAttribution(Rows):
    """One report's ranked causes at one tick."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    tick: Instant = required(description="Up to when the evidence reaches. UTC.")
    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    proposed_cause: str = required(description="The likeliest cause; `unknown` where no candidate is viable.")
    proposed_cause_category: str = required(isin=list(CAUSE_CATEGORIES), description="Kind of the likeliest cause.")
    confidence_score: float = share(description="Probability of the cause; NULL where inputs were down.")
    proposed_cause_2: str = optional(description="The second cause.")
    proposed_cause_category_2: str = optional(isin=list(CAUSE_CATEGORIES), description="Kind of the second cause.")
    confidence_score_2: float = share(description="Probability of the second cause.")
    proposed_cause_3: str = optional(description="The third cause.")
    proposed_cause_category_3: str = optional(isin=list(CAUSE_CATEGORIES), description="Kind of the third cause.")
    confidence_score_3: float = share(description="Probability of the third cause.")
    supporting_evidence: str = optional(description="JSON: candidate ids, features, what would change the answer.")
    context_snapshot: str = optional(description="JSON: which optional inputs were present, absent or not configured.")
    compares_stores: bool = optional(
        description="Whether other stores' sales and reports matter to the answer; NULL: inputs were missing."
    )
    report_status: str = required(
        str_matches=r"^attributed(_degraded_\w+)?$",
        description="`attributed`, with `_degraded_<reason>` where degraded.",
    )


ATTRIBUTED = Contract(
    name="minority_reports_proposed_attribution_log",
    code="MRPAL",
    rows=ProposedAttribution,
    key=("report_id", "tick"),
    stage="attribution",
)
