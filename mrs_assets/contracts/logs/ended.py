"""MEEL, `minority_event_ended_log`: closures."""

from mrs_assets.contracts.columns import Instant, name, required
from mrs_assets.contracts.contract import Contract, Rows

CORRECTED = "data correction"
"""Why something ended that corrected data showed never to have been."""

RESOLUTION_REASONS = ("recovered", CORRECTED, "expired")


class MinorityEventEnded(Rows):
    """One report's closure."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="Identity of the report.")
    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    window_end: Instant = required(description="End of the anomaly. UTC.")
    event_status: str = required(isin=["ended"], description="Always `ended`.")
    resolution_reason: str = required(
        isin=list(RESOLUTION_REASONS), description=f"One of {', '.join(RESOLUTION_REASONS)}."
    )


ENDED = Contract(
    name="minority_event_ended_log", code="MEEL", rows=MinorityEventEnded, key=("report_id",), stage="detection"
)
