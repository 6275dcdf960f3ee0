"""One look after alerts: note what the orchestrator knows, deliver what is due, leave a heartbeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable

import dagster as dg

from mrs_assets import __version__
from mrs_assets.alert_watch.books import open_books
from mrs_assets.alert_watch.delivering import deliver
from mrs_assets.alert_watch.orchestrator import look_at_orchestrator
from mrs_assets.alert_watch.raising import raise_alerts
from mrs_assets.contracts.settings import Settings
from mrs_resources.heartbeat import beat
from mrs_resources.kernel import Provenance
from mrs_resources.notifier import Notifier
from mrs_resources.warehouse import Warehouse


def look_after_alerts(
    instance: dg.DagsterInstance,
    warehouse: Warehouse,
    settings: Settings,
    *,
    by: str,
    checks: Iterable[dg.AssetCheckKey],
    sensors: Collection[str] = (),
    write: Callable[[str], None] | None = None,
) -> Counter[tuple[str, str]]:
    """Everything that is done about alerts between two runs of the graph.

    Args:
        instance: whose runs, checks and ticks are looked at.
        warehouse: where the books are.
        settings: limits and channels.
        by: who looks, for the heartbeat.
        checks: every check of the graph.
        sensors: sensors that a daemon keeps looking; none where there is no daemon.
        write: what the console channel writes with; stderr when absent.

    Returns:
        Channel and outcome → number of messages.
    """
    policy = settings.alerts
    found = look_at_orchestrator(instance, checks, sensors, warehouse.clock(), policy)
    with warehouse.store.transaction() as tx:
        raise_alerts(tx, settings, lambda _: found, Provenance("alerts", __version__))
    done = deliver(warehouse, settings, Notifier(policy.send_seconds, write=write))
    with warehouse.store.looking() as tx:
        books = open_books(tx)
    failing = {attempt.channel for attempt in books.attempts if attempt.outcome in ("failed", "sending")}
    failing |= {attempt.channel for attempt in books.settled if attempt.outcome == "given_up"}
    beat(warehouse.home, warehouse.clock(), by, sorted(found.rules), sorted(failing), policy)
    return done
