"""Whether the main path can spare the machine: recall yields to everything else."""

from __future__ import annotations

from mrs_assets.contracts.feeds import FEED_DECLARATIONS, FEED_LOGS
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.planning.ledger import OPEN, read_changes
from mrs_resources.admission import pending_arrivals
from mrs_resources.breaker import breakers, feed_breaker
from mrs_resources.log_store import Transaction
from mrs_resources.warehouse import Warehouse

_BREACHED = (
    f"SELECT objective, subject FROM {SLO_RESULTS.name} WHERE run_id = $run GROUP BY ALL "
    "HAVING arg_max(state = 'breached' AND severity = 'error' AND NOT is_retracted, version) ORDER BY ALL"
)
_UNDER_WAY = (
    f"WITH plans AS (SELECT * FROM {REPLAY_PLANS.name} WHERE run_id = $run "
    "QUALIFY row_number() OVER (PARTITION BY plan_id ORDER BY version DESC) = 1 AND NOT is_retracted) "
    "SELECT plan_id, retailer, purpose, state FROM plans p WHERE list_contains($states, state) AND NOT EXISTS "
    "(SELECT 1 FROM plans d WHERE d.state = 'done' AND d.retailer = p.retailer "
    "AND d.inputs_written_at >= p.inputs_written_at) ORDER BY plan_id"
)
"""Plans that no later plan of their retailer has answered."""


def obstacles(warehouse: Warehouse, tx: Transaction, settings: Settings) -> list[str]:
    """What stands in the way of recalling anything now, in words; nothing where the main path is healthy and idle.

    A replay that is held for a person is no work under way, nor is what it answers. Files of a feed that is left alone
    are no work either.
    """
    tx.ensure(SLO_RESULTS, REPLAY_PLANS, *FEED_LOGS)
    breached = tx.query(_BREACHED, {"run": tx.run_id}).to_dicts()
    found = [f"{row['objective']} is breached ({row['subject']})" for row in breached]
    plans = tx.query(_UNDER_WAY, {"run": tx.run_id, "states": list(OPEN)}).to_dicts()
    found += [f"{plan['purpose']} {plan['plan_id']} is not done" for plan in plans if plan["state"] != "held"]
    planned = {plan["retailer"] for plan in plans}
    news = {change.retailer: change.log for change in read_changes(tx, FEED_LOGS, settings)}
    found += [f"news of {log} at {name} waits for its replay" for name, log in news.items() if name not in planned]
    left_alone = {known.name for known in breakers(tx, settings.breakers) if known.state == "open"}
    for feed in FEED_DECLARATIONS:
        waiting = [
            arrival
            for arrival in pending_arrivals(tx, warehouse.archive, feed, sorted(settings.retailers))
            if feed_breaker(feed, arrival.retailer) not in left_alone
        ]
        found += [f"{len(waiting)} files of {feed} wait for admission"] if waiting else []
    return found
