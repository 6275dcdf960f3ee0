"""MRCH, `minority_reports_cohorted_log`: which reports belong together."""

from mrs_assets.contracts.columns import Count, Instant, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows


class MinorityReportCohorted(Rows):
    """One report's membership of an event at one tick."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    tick: Instant = required(description="Up to when the evidence reaches. UTC.")
    report_group_id: str = optional(description="Identity of the event; NULL where cohorting was down.")
    supersedes: str = optional(description="The event that the report belonged to before late data moved it.")
    cohort_id: str = optional(description="Identity of what the members share.")
    cohort_name: str = optional(description="What the members share, in words.")
    cohort_reason: str = optional(description="Why the report belongs: the links that hold it.")
    cohort_confidence: float = share(description="Strength of the weakest link that holds the report.")
    cohort_size: Count = optional(description="Reports in the event at this tick.")
    event_status: str = optional(isin=["active", "ended"], description="`active` while any member is.")
    report_status: str = required(
        str_matches=r"^cohorted(_degraded_\w+)?$", description="`cohorted`, with `_degraded_<reason>` where degraded."
    )


COHORTED = Contract(
    name="minority_reports_cohorted_log",
    code="MRCH",
    rows=MinorityReportCohorted,
    key=("report_id", "tick"),
    stage="cohorting",
    lineage=("supersedes",),
)
