"""`baseline_sales_model_prediction_log`: what would have been sold without the anomaly."""

from mrs_assets.contracts.columns import Instant, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

BASELINE_SOURCES = ("model", "seasonal_heuristic", "insufficient_history")


class BaselinePrediction(Rows):
    """Expected units for one series tick."""

    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    ts: Instant = required(description="Start of the interval that the expectation is for. UTC.")
    expected_units: float = optional(description="Expected units in the interval. NULL: too little history to say.")
    expected_lower: float = optional(description="Lower end of the 80 % interval, units.")
    expected_upper: float = optional(description="Upper end of the 80 % interval, units.")
    dispersion: float = optional(description="Quasi-Poisson variance per unit of expectation.")
    baseline_source: str = required(
        isin=list(BASELINE_SOURCES), description=f"How the expectation was made: {', '.join(BASELINE_SOURCES)}."
    )


BASELINE = Contract(
    name="baseline_sales_model_prediction_log",
    rows=BaselinePrediction,
    key=("retailer", "store_id", "sku", "ts"),
    stage="detection",
)
