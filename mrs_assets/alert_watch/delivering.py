"""Delivers what the outbox holds: at least once, every attempt on record before and after it is made.

The record before is what makes a repetition recognisable: whoever takes over from a process that died in between sends
the same message under the same identities.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import polars as pl

from mrs_assets import __version__
from mrs_assets.alert_watch.books import append, open_books
from mrs_assets.alert_watch.raising import raise_alerts
from mrs_assets.alerting.condition import Condition
from mrs_assets.alerting.note import opening
from mrs_assets.alerting.outbox import Message, channels_of, delivery_id, due, message_id, undelivered
from mrs_assets.alerting.wording import text, title
from mrs_assets.contracts.logs.alerts import DELIVERIES
from mrs_assets.contracts.settings import Settings
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import Transaction
from mrs_resources.notifier import Notifier, Outgoing
from mrs_resources.warehouse import Warehouse
from mrs_resources.writer_lock import writer_lock

DELIVERING = Provenance("alerts", __version__)
MESSAGES_AT_ONCE = 50
"""Most messages of one channel in one look; the others follow in the next."""

LOCK = "alerts.lock"
TEST_TITLE = "This is a test of a channel"
TEST_BODY = "Nothing is wrong. Somebody ran `mrs alerts test` to see whether alerts arrive here."


def deliver(warehouse: Warehouse, settings: Settings, notifier: Notifier) -> Counter[tuple[str, str]]:
    """Send every message that is due; a channel that fails waits for its next try, the others go on.

    Where a channel is given up on, that is an alert of its own, and goes out with the rest.

    Returns:
        Channel and outcome → number of messages.
    """
    outcomes: Counter[tuple[str, str]] = Counter()
    with writer_lock(warehouse.home / LOCK):
        while ready := _ready(warehouse, settings) - {channel for channel, outcome in outcomes if outcome == "failed"}:
            for channel in sorted(ready):
                found = _deliver_to(channel, warehouse, settings, notifier)
                outcomes.update({(channel, outcome): count for outcome, count in found.items()})
    return outcomes


def _ready(warehouse: Warehouse, settings: Settings) -> set[str]:
    """Channels with a message that is due, once it is noted which were given up on."""
    policy = settings.alerts
    with warehouse.store.transaction() as tx:
        settled = open_books(tx).settled
        raise_alerts(tx, settings, lambda _: undelivered(policy, settled), DELIVERING)
        books = open_books(tx)
        return {
            channel
            for channel in channels_of(policy)
            if due(channel, policy, books.history, books.attempts, books.silences, tx.now)
        }


def _deliver_to(channel: str, warehouse: Warehouse, settings: Settings, notifier: Notifier) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for _ in range(MESSAGES_AT_ONCE):
        with warehouse.store.transaction() as tx:
            books = open_books(tx)
            message = due(channel, settings.alerts, books.history, books.attempts, books.silences, tx.now)
            if message is None:
                break
            attempted_at = tx.now
            _record(tx, message, "sending", attempted_at)
        problem = notifier.send(channels_of(settings.alerts)[channel], outgoing(message))
        with warehouse.store.transaction() as tx:
            outcome = _outcome(message, problem, settings)
            retry_at = tx.now + settings.alerts.pause(message.attempt) if outcome == "failed" else None
            _record(tx, message, outcome, attempted_at, problem, retry_at)
        outcomes[outcome] += 1
        if outcome == "failed":
            break
    return outcomes


def try_channel(channel: str, warehouse: Warehouse, settings: Settings, notifier: Notifier) -> str | None:
    """Send a test message. That it was taken is recorded: the channel is not one that was given up on any more.

    Returns:
        None where it was accepted; otherwise what went wrong.
    """
    with warehouse.store.transaction() as tx:
        at = tx.now
    note = opening(Condition(f"test:{channel}", "test", "operational", "info", TEST_TITLE, TEST_BODY), at, None)
    message = Message(message_id([delivery_id(note, channel)]), channel, (note,))
    problem = notifier.send(channels_of(settings.alerts)[channel], outgoing(message))
    if problem is None:
        with warehouse.store.transaction() as tx:
            _record(tx, message, "sent", at)
    return problem


def _outcome(message: Message, problem: str | None, settings: Settings) -> str:
    if problem is None:
        return "sent"
    return "given_up" if message.attempt >= settings.alerts.attempts else "failed"


def outgoing(message: Message) -> Outgoing:
    """A message in words."""
    (first, *others) = message.notes
    return Outgoing(
        title=title(message),
        text=text(message),
        severity=first.severity,  # type: ignore[arg-type]
        is_over=all(note.state == "resolved" for note in message.notes),
        message_id=message.message_id,
        delivery_ids=tuple(delivery_id(note, message.channel) for note in message.notes),
        incident=first.alert_id if not others else None,
    )


def _record(
    tx: Transaction,
    message: Message,
    outcome: str,
    attempted_at: datetime,
    detail: str | None = None,
    retry_at: datetime | None = None,
) -> None:
    append(tx, DELIVERIES, _rows(message, outcome, attempted_at, detail, retry_at), DELIVERING)


def _rows(
    message: Message, outcome: str, attempted_at: datetime, detail: str | None, retry_at: datetime | None
) -> pl.DataFrame:
    rows: Sequence[dict[str, object]] = [
        {
            "retailer": "*",
            "business_day": attempted_at.date(),
            "delivery_id": delivery_id(note, message.channel),
            "attempt": message.attempt,
            "alert_id": note.alert_id,
            "change": note.change,
            "channel": message.channel,
            "outcome": outcome,
            "message_id": message.message_id,
            "detail": detail,
            "attempted_at": attempted_at,
            "retry_at": retry_at,
        }
        for note in message.notes
    ]
    schema = {name: dtype for name, dtype in DELIVERIES.body.items() if rows and name in rows[0]}
    return pl.DataFrame(rows, schema=schema)
