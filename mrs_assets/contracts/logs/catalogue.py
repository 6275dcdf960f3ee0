"""Every contract there is, found by name or by its code in the glossary."""

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UnknownName
from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES, SILENCES
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.dead_letters import DEAD_LETTERS_RESOLVED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.operations import BREAKERS, DEMO_RUN_CONFIG
from mrs_assets.contracts.logs.proposed_clusters import PROPOSED_CLUSTERS
from mrs_assets.contracts.logs.replays import REPLAY_CERTIFICATES, REPLAY_PARTS, REPLAY_PLANS, SUPERSEDED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS

LOGS: tuple[Contract, ...] = (
    *FEED_LOGS,
    ARRIVALS,
    DEAD_LETTERS_RESOLVED,
    SALES_TIMESERIES,
    BASELINE,
    CLASSIFIER,
    DETECTED,
    ENDED,
    CLUSTERED,
    ATTRIBUTED,
    COHORTED,
    EVENTS,
    FINALISED,
    REREVIEW_WORKLIST,
    RECLUSTERED,
    REATTRIBUTED,
    MODEL_REGISTRY,
    PROPOSED_CLUSTERS,
    DEMO_RUN_CONFIG,
    REPLAY_PLANS,
    REPLAY_PARTS,
    REPLAY_CERTIFICATES,
    SUPERSEDED,
    BREAKERS,
    SLO,
    SLO_RESULTS,
    ALERTS,
    DELIVERIES,
    SILENCES,
)


COMPUTED: tuple[Contract, ...] = tuple(log for log in LOGS if log.stage not in ("operations", "rereview"))
"""Logs that a replay brings up to date: not what was done, nor what a round of recall concluded beside them."""


def find(name: str) -> Contract:
    """The contract of a log, by table name or glossary code, in any case.

    Raises:
        UnknownName: there is no such log.
    """
    for contract in LOGS:
        if name.lower() in (contract.name.lower(), (contract.code or "").lower()):
            return contract
    raise UnknownName(f"There is no log called {name!r}.", remedy=f"Logs: {', '.join(c.name for c in LOGS)}.")
