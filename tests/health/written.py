"""Rows about the system itself, written through the kernel, and the snapshot that is published of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from mrs_assets.contracts.settings import Settings
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.health.reading import Health, published_health
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore
from mrs_resources.publisher import Published, Publisher
from mrs_resources.reader import SnapshotReader

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
DAY = date(2024, 5, 1)
HOSTILE = "<script>alert('x')</script>\"&\\\n[bold]{{ 7 * 7 }}"


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def level(log: str = "a_log", day: int = 0, **values: Any) -> dict[str, Any]:
    """One partition of the ledger: received at noon, not shown yet, one true row."""
    own = {"retailer": "acme", "business_day": DAY + timedelta(days=day), "log": log, "available_at": NOON}
    return own | {"rows_live": 1, "rows_degraded": 0, "rows_dead_lettered": 0, "measured_to": NOON} | values


def result(objective: str = "sales_arrive_on_time", subject: str = "*", **values: Any) -> dict[str, Any]:
    own = {"retailer": "*", "business_day": DAY, "objective": objective, "subject": subject, "since": NOON}
    return (
        own
        | {"state": "met", "severity": "error", "value": 12.0, "limit": 30.0, "unit": "minutes", "burn": "none"}
        | values
    )


def alert(number: int, change: int = 1, **values: Any) -> dict[str, Any]:
    own = {"retailer": "*", "business_day": DAY, "alert_id": f"AL-{number:020x}", "change": change}
    own |= {"fingerprint": f"f{number}", "kind": "operational", "rule": "r", "state": "open", "severity": "warn"}
    told = {"title": f"Alert {number}", "body": "What to do.", "opened_at": NOON, "noted_at": NOON}
    return (
        own
        | told
        | {"retailers": [], "regions": [], "categories": [], "members": [], "size": 1.0, "tells": True}
        | values
    )


def delivery(number: int, outcome: str, *, change: int = 1, attempt: int = 1, channel: str = "pager") -> dict[str, Any]:
    own = {"retailer": "*", "business_day": DAY, "delivery_id": f"{number}/{change}/{channel}", "attempt": attempt}
    told = {"alert_id": f"AL-{number:020x}", "change": change, "channel": channel, "outcome": outcome}
    return own | told | {"detail": None if outcome == "sent" else "refused", "attempted_at": NOON, "message_id": "m"}


def silence(pattern: str, hours: float) -> dict[str, Any]:
    own = {"retailer": "*", "business_day": DAY, "silence_id": f"{pattern}/{hours}", "fingerprint": pattern}
    return own | {"since": NOON, "until": NOON + timedelta(hours=hours), "actor": "ada", "reason": "They move house."}


def sold(day: date, units: float | None, received_at: datetime, sku: str = "milk", **values: Any) -> dict[str, Any]:
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    own = {"retailer": "acme", "business_day": day, "store_id": "s1", "sku": sku, "ts": moment, "source": "till"}
    told = {"units": units, "source_file": "f", "source_file_hash": "0" * 64, "received_at": received_at}
    return own | told | values


def publish(store: LogStore, home: Path, settings: Settings) -> Published:
    with store.transaction() as tx:
        Hydrator(FOLDS).refresh(tx)
    published = Publisher(home).publish(HealthCompanion(settings))
    assert published is not None
    return published


def health_of(store: LogStore, home: Path, settings: Settings, now: datetime = NOON) -> Health:
    """Published, then read as `mrs health` reads it."""
    assert publish(store, home, settings).left_out == {}
    return read(home, settings, now)


def read(home: Path, settings: Settings, now: datetime) -> Health:
    return published_health(SnapshotReader(home, FOLDS), settings, now)
