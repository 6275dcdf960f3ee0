"""`anomaly_classifier_model_prediction_log`: how anomalous the windows that end at a tick are."""

from mrs_assets.contracts.columns import Instant, name, optional, required, share
from mrs_assets.contracts.contract import Contract, Rows

CLASSIFIER_SOURCES = ("model", "deviation_heuristic")


class AnomalyPrediction(Rows):
    """Anomaly score of one window of one series, as judged at one tick."""

    store_id: str = name(description="The retailer's store identifier.")
    sku: str = name(description="The retailer's product identifier.")
    tick: Instant = required(description="Up to when the evidence reaches: end of the newest interval read. UTC.")
    window_start: Instant = required(description="Start of the window's first interval. UTC.")
    window_end: Instant = required(description="End of the window's last interval. UTC.")
    direction: str = required(isin=["up", "down"], description="`up`: more was sold than expected; `down`: less.")
    scan_z: float = required(
        description="Signed root of the window's deviance against the baseline; standard deviations."
    )
    anomaly_probability: float = share(
        description="Probability that the window is anomalous; NULL where no model says."
    )
    p_value: float = share(
        description="Chance that a quiet stretch of a series scores as high at its height; NULL where no model says."
    )
    q_value: float = share(
        description="Smallest false-discovery rate at which the window is reported; NULL where no model says."
    )
    severity_score: float = optional(description="Money (units without a price) at stake, weighted by probability.")
    classifier_source: str = required(
        isin=list(CLASSIFIER_SOURCES), description=f"What judged: {', '.join(CLASSIFIER_SOURCES)}."
    )


CLASSIFIER = Contract(
    name="anomaly_classifier_model_prediction_log",
    rows=AnomalyPrediction,
    key=("retailer", "store_id", "sku", "tick", "window_start"),
    stage="detection",
)
