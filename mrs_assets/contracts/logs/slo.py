"""Service levels: what each partition of each log reached, and when each objective was met or missed."""

from mrs_assets.contracts.columns import Count, Instant, name, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows

SLO_STATES = ("met", "breached", "unknown")
SEVERITIES = ("warn", "error")
BURNS = ("none", "slow", "fast")


class ServiceLevel(Rows):
    """What one partition of one log reached. A count that cannot be known is NULL; a partition without rows has 0."""

    log: str = name(description="The log that is measured.")
    available_at: Instant = optional(description="When the newest file of the partition's sales was received. UTC.")
    written_to: Instant = optional(description="When its newest row was written. UTC.")
    hydrated_at: Instant = optional(
        description="When views first showed what follows from that file; NULL: they do not yet. UTC."
    )
    rows_live: Count = required(ge=0, description="Rows that are true.")
    rows_by_status: str = optional(description="JSON: status of the log's live rows → how many.")
    rows_degraded: Count = required(ge=0, description="Of the live rows, those that had to do without something.")
    rows_dead_lettered: Count = required(ge=0, description="Dead letters of the partition that nobody resolved.")
    reports: Count = optional(
        ge=0, description="Reports that the log should have answered; NULL: it answers none, or a replay is under way."
    )
    reports_in_time: Count = optional(ge=0, description="Of these, answered within the limit.")
    rows_unreconciled: Count = optional(
        ge=0,
        description="Rows of a key and version that were there already, and reports without exactly one answer; NULL: "
        "a replay is under way.",
    )
    measured_to: Instant = required(description="Rows of every log written up to here were counted. UTC.")


class SloResult(Rows):
    """One objective for one subject, each time that it was met or missed, was missed by more, or spent its budget."""

    objective: str = name(description="The check, a true sentence in snake case.")
    subject: str = name(description="What is judged: a retailer, or `*` for all.")
    state: str = required(isin=list(SLO_STATES), description=f"One of {', '.join(SLO_STATES)}.")
    severity: str = required(isin=list(SEVERITIES), description="`warn` is amber, `error` is red.")
    since: Instant = required(description="When this state began. UTC.")
    value: float = optional(description="The value when this row was written, in the limit's unit; NULL: not known.")
    missed_with: float = optional(
        description="The value to one significant digit while the objective is missed, so that what grows worse is a "
        "version of its own; NULL: it is not missed."
    )
    limit: float = optional(description="The limit that the value is held against.")
    unit: str = required(description="Unit of value and limit: `minutes`, `hours`, `share` or `count`.")
    window: str = optional(description="What the value was taken over, in words.")
    worst: str = optional(description="JSON: the partitions that are furthest off, worst first.")
    budget_left: float = share(description="Share of the error budget that is left, in tenths; NULL: it has none.")
    burn: str = required(
        isin=list(BURNS), description="How fast the budget is spent: `fast` is for a pager, `slow` for a ticket."
    )


SLO = Contract(
    name="slo_log",
    rows=ServiceLevel,
    key=("retailer", "log", "business_day"),
    stage="operations",
    lineage=("measured_to",),
)
SLO_RESULTS = Contract(
    name="slo_results_log",
    rows=SloResult,
    key=("objective", "subject"),
    stage="operations",
    lineage=("since", "value", "worst"),
)
