"""The graph in order: feeds, stages, models that are learnt, and what ends a run. Declared here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.clustering.trainable import CLUSTER_LIBRARY
from mrs_assets.cohorting.stage import COHORTING_STAGE
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.alerts import ALERTS
from mrs_assets.contracts.logs.catalogue import COMPUTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.trainable import Trainable
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.classifier_training import CLASSIFIER_MODEL
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.detection.training import BASELINE_MODEL
from mrs_assets.finalisation.asset_body import EDITS_DOWN
from mrs_assets.planning.plan import Closing
from mrs_assets.rehearsal.attribution_model import ATTRIBUTION_MODEL
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

TRAINABLES: tuple[Trainable, ...] = (BASELINE_MODEL, CLASSIFIER_MODEL, CLUSTER_LIBRARY, ATTRIBUTION_MODEL)
"""Models that are learnt; each builds only on earlier ones."""

PUBLISHED = "published_snapshot"

SERVICE_LEVELS = (SLO.name, SLO_RESULTS.name)
"""Judged in every run that ends a plan, before its state is published, and by the clock."""

LOOKED_AT = (*SERVICE_LEVELS, ALERTS.name)
"""What is looked at when nothing else happens: levels are judged, alerts noted."""

BY_THE_CLOCK = (*LOOKED_AT, PUBLISHED)
"""The same, and what changed is published."""

MEASURED: tuple[Contract, ...] = tuple(log for log in COMPUTED if log is not MODEL_REGISTRY)
"""Logs whose partitions have service levels: those that say something of a retailer's day."""

RECALL_LOGS: tuple[Contract, ...] = (REREVIEW_WORKLIST, RECLUSTERED, REATTRIBUTED)
"""Written when past reports are looked at again."""

CLOSING = Closing(
    finalisation=FINALISED,
    finalisation_reasons=frozenset({EDITS_DOWN}),
    state=(MINORITY_EVENTS.name, MINORITY_REPORTS.name, *BY_THE_CLOCK),
)
"""What comes after the stages."""

RECALLING = (*(log.name for log in RECALL_LOGS), *CLOSING.state)
"""What a run of recall materialises: what was looked at again, and the state that shows it."""


def feed_logs(feeds: Iterable[str]) -> tuple[str, ...]:
    """Logs that files of the feeds are written to, sorted."""
    return tuple(sorted({t.contract.name for feed in feeds for t in FEED_DECLARATIONS[feed].targets}))


def loaders() -> dict[str, Callable[[bytes], Any]]:
    """Model → what the stages load its artefacts with."""
    wants = [want for stage in STAGES for want in stage.wants.values()]
    return {want.model: want.load for want in wants if want.model is not None and want.load is not None}


def drawn_below(model: Trainable) -> list[str]:
    """Logs and models that a model's asset is drawn below, sorted: what it learns from, without what follows from it.

    What analysts confirmed of its own answers comes back to it, as a log's own past does: no edge of the graph.
    """
    follows, models = set[str](), {model.name}
    grown = -1
    while grown < len(follows) + len(models):
        grown = len(follows) + len(models)
        for stage in STAGES:
            wanted = {want.model for want in stage.wants.values()}
            if wanted & models or follows & {read.contract.name for read in stage.reads}:
                follows |= {log.name for log in stage.writes}
        if follows:
            follows.add(CLOSING.finalisation.name)
        models |= {other.name for other in TRAINABLES if models & set(other.builds_on) or follows & _logs(other)}
    return sorted((_logs(model) - follows) | set(model.builds_on))


def _logs(model: Trainable) -> set[str]:
    return {contract.name for contract in model.reads.values()}
