"""The graph in order: which feeds, which stages, and what ends a run. Declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.cohorting.stage import COHORTING_STAGE
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.alerts import ALERTS
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.finalisation.asset_body import EDITS_DOWN
from mrs_assets.planning.plan import Closing
from mrs_assets.series.stage import SERIES_STAGE

STAGES: tuple[Stage, ...] = (
    SERIES_STAGE,
    BASELINE_STAGE,
    CLASSIFIER_STAGE,
    DETECTION_STAGE,
    CLUSTERING_STAGE,
    ATTRIBUTION_STAGE,
    COHORTING_STAGE,
)
"""Declared stages; each reads only what earlier ones and the feeds write."""

PUBLISHED = "published_snapshot"

SERVICE_LEVELS = (SLO.name, SLO_RESULTS.name)
"""Judged in every run that ends a plan, before its state is published, and by the clock."""

LOOKED_AT = (*SERVICE_LEVELS, ALERTS.name)
"""What is looked at when nothing else happens: levels are judged, alerts noted."""

BY_THE_CLOCK = (*LOOKED_AT, PUBLISHED)
"""The same, and what changed is published."""

MEASURED: tuple[Contract, ...] = tuple(
    log for log in LOGS if log.stage not in ("operations", "rereview") and log is not MODEL_REGISTRY
)
"""Logs whose partitions have service levels: those that say something of a retailer's day."""

CLOSING = Closing(
    finalisation=FINALISED,
    finalisation_reasons=frozenset({EDITS_DOWN}),
    state=(MINORITY_EVENTS.name, MINORITY_REPORTS.name, *BY_THE_CLOCK),
)
"""What comes after the stages."""


def feed_logs(feeds: Iterable[str]) -> tuple[str, ...]:
    """Logs that files of the feeds are written to, sorted."""
    return tuple(sorted({t.contract.name for feed in feeds for t in FEED_DECLARATIONS[feed].targets}))
