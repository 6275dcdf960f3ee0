"""MELOG, `minority_events_log`: events, each a group of reports with one story."""

from mrs_assets.contracts.columns import Amount, Count, Instant, Texts, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows


class MinorityEvent(Rows):
    """One event's state at one tick."""

    report_group_id: str = required(str_matches=r"^ME-[0-9a-f]{20}$", description="Identity of the event.")
    tick: Instant = required(description="Up to when the evidence reaches. UTC.")
    window_start: Instant = required(description="Earliest onset of its reports. UTC.")
    window_end: Instant = optional(description="Latest end of its reports; NULL while the event is active. UTC.")
    event_status: str = required(isin=["active", "ended"], description="`active` while any report is.")
    resolution_reason: str = optional(description="Why it ended; NULL while it is active.")
    retailers: Texts = required(description="Retailers touched, sorted.")
    stores: Texts = required(description="Stores touched, as `retailer/store`, sorted.")
    skus: Texts = required(description="SKUs touched, sorted.")
    retailer_count: Count = required(ge=1, description="Number of retailers.")
    store_count: Count = required(ge=1, description="Number of stores.")
    sku_count: Count = required(ge=1, description="Number of SKUs.")
    report_count: Count = required(ge=1, description="Number of reports.")
    direction: str = required(isin=["up", "down"], description="Direction of its reports.")
    severity_score: float = optional(description="Sum of its reports' severities.")
    impact_estimate: Amount = optional(description="Sum of its reports' impacts; NULL where they mix units.")
    impact_lower: Amount = optional(description="Lower end of the 80 % interval of the impact.")
    impact_upper: Amount = optional(description="Upper end of the 80 % interval of the impact.")
    impact_unit: str = optional(isin=["money", "units"], description="Unit of the impact and the totals.")
    attributed_sales_total: Amount = optional(description="Actual sales over its reports' windows.")
    baseline_sales_total: Amount = optional(description="Expected sales over its reports' windows.")
    leading_cause: str = optional(description="The cause with the most weight among its reports.")
    leading_cause_category: str = optional(description="Kind of the leading cause.")
    leading_cause_confidence: float = share(description="Impact-weighted mean confidence of the leading cause.")
    cohort_name: str = optional(description="What its reports share, in words.")


EVENTS = Contract(
    name="minority_events_log", code="MELOG", rows=MinorityEvent, key=("report_group_id", "tick"), stage="cohorting"
)
