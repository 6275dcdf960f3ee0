"""What waits at the door and what waits behind it: the work that sensors and `mrs tick` both start."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mrs_assets.contracts.calendar import business_day_of
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.planning.ledger import (
    known_days,
    read_changes,
    read_reweighted,
    record,
    replay_ahead,
    replay_of,
    state_of,
)
from mrs_assets.planning.plan import Closing, Plan, plan_changes
from mrs_assets.planning.supersession import mark, touched
from mrs_resources.admission import pending_arrivals
from mrs_resources.archive import Arrival
from mrs_resources.breaker import breakers, feed_breaker
from mrs_resources.feed_reading import survey
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import Transaction
from mrs_resources.warehouse import Warehouse


@dataclass(frozen=True)
class AdmissionRequest:
    """Pending files of one retailer.

    Attributes:
        scope: the newest business day that files of critical feeds speak of, within the calendar: the partition asked
            for. Others that they change are recorded as they are found.
        feeds: feeds that have a file.
        arrivals: the files.
    """

    scope: Scope
    feeds: tuple[str, ...]
    arrivals: tuple[Arrival, ...]

    @property
    def request_id(self) -> str:
        """Hash of what arrived, so that the same arrivals are asked for once."""
        facts = "|".join(f"{a.feed}/{a.retailer}/{a.file_hash}@{a.received_at.isoformat()}" for a in self.arrivals)
        return "admit-" + hashlib.sha256(facts.encode()).hexdigest()[:16]


def admission_requests(warehouse: Warehouse, settings: Settings) -> list[AdmissionRequest]:
    """Bring the inbox into the archive and say what waits for admission, per retailer.

    Files of a feed that is left alone, because it failed over and over, are not asked for.
    """
    warehouse.archive.collect(settings, warehouse.clock)
    with warehouse.store.looking() as tx:
        left_alone = {known.name for known in breakers(tx, settings.breakers) if known.state == "open"}
        waiting = [
            a
            for feed in FEED_DECLARATIONS
            for a in pending_arrivals(tx, warehouse.archive, feed, sorted(settings.retailers))
            if feed_breaker(feed, a.retailer) not in left_alone
        ]
    requests = []
    for retailer in sorted({arrival.retailer for arrival in waiting}):
        own = tuple(arrival for arrival in waiting if arrival.retailer == retailer)
        feeds = tuple(sorted({arrival.feed for arrival in own}))
        requests.append(AdmissionRequest(_newest_day_spoken_of(warehouse, settings, own), feeds, own))
    return requests


def replay_plans(
    warehouse: Warehouse,
    settings: Settings,
    inputs: Sequence[Contract],
    stages: Sequence[Stage],
    closing: Closing,
) -> list[Plan]:
    """What admitted rows and declared sources changed that no finished plan has answered.

    Shows it; starts and records nothing.
    """
    with warehouse.store.looking() as tx:
        known = known_days(tx, settings)
        changes = [*read_changes(tx, inputs, settings), *read_reweighted(tx, settings, known)]
        plans = plan_changes(changes, known, stages, closing)
        return [_looked_at(tx, plan, settings, stages) for plan in plans]


def _looked_at(tx: Transaction, plan: Plan, settings: Settings, stages: Sequence[Stage]) -> Plan:
    if plan.purpose != "replay":
        return plan
    plan = replace(plan, source_weights=settings.retailers[str(plan.scope.retailer)].source_weights)
    plan = replace(plan, touched=touched(tx, plan, replay_ahead(tx, plan, settings), stages))
    waits = plan.touched is not None and plan.touched.exceeds(settings.replays)
    return replace(plan, is_held=waits and state_of(tx, plan) != "approved")


def announce(warehouse: Warehouse, plan: Plan, settings: Settings, stages: Sequence[Stage]) -> None:
    """Record a plan before it runs, and show readers which reports wait for it."""
    state = "held" if plan.is_held else "planned"
    with warehouse.store.transaction() as tx:
        if state_of(tx, plan) in (state, "approved"):
            return
        record(tx, plan, state)
        replay = replay_of(tx, plan.plan_id, settings)
        if replay is None or not mark(tx, plan, replay, stages).changed:
            return
        Hydrator(FOLDS).refresh(tx)
    warehouse.publisher.publish(HealthCompanion(settings))


def _newest_day_spoken_of(warehouse: Warehouse, settings: Settings, arrivals: Sequence[Arrival]) -> Scope:
    retailer = arrivals[0].retailer
    today = business_day_of(warehouse.clock(), settings.retailers[retailer])
    last_possible = min(settings.calendar.last_day or today, today)
    feeds = [(arrival, FEED_DECLARATIONS[arrival.feed]) for arrival in arrivals]
    days = [survey(warehouse.archive, arrival, settings, feed) for arrival, feed in feeds if feed.critical]
    newest = max((last for _, last in filter(None, days)), default=today)
    day = min(max(newest, settings.calendar.first_day), last_possible)
    return Scope(day, day, retailer)
