"""The cluster library as something to learn: what it reads, and what comes of it."""

from __future__ import annotations

from mrs_assets.clustering.stage import MODEL
from mrs_assets.clustering.teaching import learn_library
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.proposed_clusters import PROPOSED_CLUSTERS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.trainable import Trainable

CLUSTER_LIBRARY = Trainable(
    name=MODEL,
    reads={
        "series": SALES_TIMESERIES,
        "baseline": BASELINE,
        "clustered": CLUSTERED,
        "finalised": FINALISED,
        "proposals": PROPOSED_CLUSTERS,
    },
    learn=learn_library,
    description=(
        "Named shapes of anomalies: drawn onto the retailers' own series, kept where analysts confirmed them, and "
        "widened by what was novel and then approved."
    ),
)
