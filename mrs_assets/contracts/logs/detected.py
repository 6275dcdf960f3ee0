"""MRDL, `minority_reports_detected_log`: the reports themselves."""

from mrs_assets.contracts.columns import Amount, Instant, name, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows


class MinorityReportDetected(Rows):
    """One report at one tick."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report; see ids.")
    tick: Instant = required(description="Up to when the evidence reaches. UTC.")
    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    first_detected_from: Instant = required(
        description="Onset as judged at the first tick that raised it; never moves. UTC."
    )
    window_start: Instant = required(description="Onset as judged at this tick. UTC.")
    window_end: Instant = optional(description="End of the anomaly; NULL while it is active. UTC.")
    last_anomalous_at: Instant = required(description="End of the newest interval that still looked anomalous. UTC.")
    severity_score: float = optional(description="Money (units without a price) at stake, weighted by probability.")
    impact_estimate: Amount = optional(description="Uplift in money; in units when there is no price.")
    impact_lower: Amount = optional(description="Lower end of the 80 % interval of the impact.")
    impact_upper: Amount = optional(description="Upper end of the 80 % interval of the impact.")
    uplift_units: float = optional(description="Actual minus expected units over the window.")
    attributed_sales_total: Amount = optional(description="Actual sales over the window, in the unit of the impact.")
    baseline_sales_total: Amount = optional(description="Expected sales over the window, in the unit of the impact.")
    impact_unit: str = required(isin=["money", "units"], description="Unit of the impact and the totals.")
    direction: str = required(isin=["up", "down"], description="`up`: more was sold than expected; `down`: less.")
    scan_z: float = optional(description="Signed root of the window's deviance; standard deviations.")
    anomaly_probability: float = share(
        description="Probability that the window is anomalous; NULL where no model says."
    )
    report_status: str = required(
        str_matches=r"^detected(_degraded_\w+)?$", description="`detected`, with `_degraded_<reason>` where degraded."
    )
    supersedes: str = optional(description="The report that this one replaced when corrected data moved the onset.")


DETECTED = Contract(
    name="minority_reports_detected_log",
    code="MRDL",
    rows=MinorityReportDetected,
    key=("report_id", "tick"),
    stage="detection",
    lineage=("supersedes",),
)
