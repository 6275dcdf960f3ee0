"""One change of one alert, as it is kept in `alerts_log`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import polars as pl

from mrs_assets.alerting.condition import Condition, rank
from mrs_assets.contracts.logs.alerts import ALERTS

SAID = (
    "fingerprint",
    "kind",
    "rule",
    "severity",
    "title",
    "body",
    "retailers",
    "regions",
    "categories",
    "members",
    "conclusion",
    "link",
)
"""What a note takes from its condition as it is."""


@dataclass(frozen=True)
class Note:
    """A row of `alerts_log`; the columns are described there."""

    alert_id: str
    change: int
    fingerprint: str
    kind: str
    rule: str
    state: str
    severity: str
    title: str
    body: str
    retailers: tuple[str, ...]
    regions: tuple[str, ...]
    categories: tuple[str, ...]
    members: tuple[str, ...]
    size: float
    conclusion: str | None
    parent_id: str | None
    link: str | None
    tells: bool
    cleared_at: datetime | None
    opened_at: datetime
    noted_at: datetime


def identity(fingerprint: str, opened_at: datetime) -> str:
    """The alert that opens at an instant."""
    digest = hashlib.sha256(f"{fingerprint}\x1f{opened_at.isoformat()}".encode()).hexdigest()
    return f"AL-{digest[:20]}"


def opening(condition: Condition, now: datetime, parent_id: str | None) -> Note:
    """The first note of an alert."""
    return Note(
        alert_id=identity(condition.fingerprint, now),
        change=1,
        state="open",
        size=condition.measured,
        parent_id=parent_id,
        tells=parent_id is None,
        cleared_at=None,
        opened_at=now,
        noted_at=now,
        **said(condition),
    )


def said(condition: Condition) -> dict[str, Any]:
    """What a condition says of itself."""
    return {column: getattr(condition, column) for column in SAID}


def notes_of(rows: pl.DataFrame) -> list[Note]:
    """Rows of `alerts_log` as notes, sorted by alert and change."""
    ordered = rows.select(list(Note.__dataclass_fields__)).sort("alert_id", "change")
    return [Note(*map(_frozen, row)) for row in ordered.iter_rows()]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def rows_of(notes: Sequence[Note]) -> pl.DataFrame:
    """Notes in the shape of the log; all changes of one alert lie on the day on which it opened, under no retailer."""
    rows = [
        {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(note).items()}
        | {"retailer": "*", "business_day": note.opened_at.date()}
        for note in notes
    ]
    schema = {name: dtype for name, dtype in ALERTS.body.items() if name in Note.__dataclass_fields__}
    return pl.DataFrame(rows, schema={"retailer": pl.String, "business_day": pl.Date, **schema})


def by_alert(notes: Iterable[Note]) -> dict[str, list[Note]]:
    """The notes of each alert, in order."""
    ordered = sorted(notes, key=lambda note: (note.alert_id, note.change))
    return {alert: list(own) for alert, own in groupby(ordered, key=lambda note: note.alert_id)}


def open_alerts(notes: Iterable[Note]) -> list[Note]:
    """The newest note of each alert that is not resolved, the most severe first."""
    newest = [own[-1] for own in by_alert(notes).values()]
    standing = [note for note in newest if note.state != "resolved"]
    return sorted(standing, key=lambda note: (-rank(note.severity), note.opened_at, note.alert_id))
