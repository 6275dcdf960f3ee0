"""Identities: what makes a report, an event or a file the same one tomorrow."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime


def canonical_instant(moment: datetime) -> str:
    """An instant as text that is equal exactly when the instants are: UTC, microseconds.

    Raises:
        ValueError: the datetime has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _short_hash(*parts: str) -> str:
    # A JSON array separates its items whatever they hold, so that no two different tuples collide.
    canonical = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()[:20]


def report_id(retailer: str, store_id: str, sku: str, first_detected_from: datetime) -> str:
    """Identity of one anomaly: `MR-` and 20 hex digits over where it is and when it was first judged to begin."""
    return "MR-" + _short_hash(retailer, store_id, sku, canonical_instant(first_detected_from))


def report_group_id(earliest_report_id: str, first_detected_from: datetime) -> str:
    """Identity of one event: `ME-` and 20 hex digits over its earliest report."""
    return "ME-" + _short_hash(earliest_report_id, canonical_instant(first_detected_from))
