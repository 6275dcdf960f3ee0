"""Whether the main path can spare the machine: recall yields to everything else."""

from __future__ import annotations

from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.planning.ledger import OPEN
from mrs_resources.admission import pending_arrivals
from mrs_resources.breaker import breakers, feed_breaker
from mrs_resources.log_store import Transaction
from mrs_resources.warehouse import Warehouse

_BREACHED = (
    f"SELECT objective, subject FROM {SLO_RESULTS.name} WHERE run_id = $run GROUP BY ALL "
    "HAVING arg_max(state = 'breached' AND severity = 'error' AND NOT is_retracted, version) ORDER BY ALL"
)


def obstacles(warehouse: Warehouse, tx: Transaction, settings: Settings) -> list[str]:
    """What stands in the way of recalling anything now, in words; nothing where the main path is healthy and idle.

    A replay that is held for a person is no work under way. Files of a feed that is left alone are no work either.
    """
    tx.ensure(SLO_RESULTS, REPLAY_PLANS)
    found = [
        f"{row['objective']} is breached ({row['subject']})"
        for row in tx.query(_BREACHED, {"run": tx.run_id}).to_dicts()
    ]
    running = [state for state in OPEN if state != "held"]
    plans = [plan for plan in tx.live(REPLAY_PLANS).to_dicts() if plan["state"] in running]
    found += [f"{plan['purpose']} {plan['plan_id']} is not done" for plan in plans]
    left_alone = {known.name for known in breakers(tx, settings.breakers) if known.state == "open"}
    for feed in FEED_DECLARATIONS:
        waiting = [
            arrival
            for arrival in pending_arrivals(tx, warehouse.archive, feed, sorted(settings.retailers))
            if feed_breaker(feed, arrival.retailer) not in left_alone
        ]
        found += [f"{len(waiting)} files of {feed} wait for admission"] if waiting else []
    return found
