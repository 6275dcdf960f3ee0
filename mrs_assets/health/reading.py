"""Everything that is known of the system's health at one instant, read from a snapshot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.finality_sql import HEALTH_FINALITY, HEALTH_FINALITY_CURVE, HEALTH_FINALITY_DAYS, reckoning
from mrs_assets.health.judged_sql import HEALTH_ALERTS, HEALTH_OBJECTIVES, HEALTH_PLANS
from mrs_assets.health.logs_sql import HEALTH_DAYS, HEALTH_DEGRADED, HEALTH_LOGS
from mrs_assets.health.recall_sql import HEALTH_RECALL
from mrs_assets.health.view import HealthView, Query, parameters_at, true_rows
from mrs_resources.breaker import Breaker, folded
from mrs_resources.reader import SnapshotReader

HEALTH_VIEWS: tuple[HealthView, ...] = (
    HEALTH_OBJECTIVES,
    HEALTH_LOGS,
    HEALTH_DAYS,
    HEALTH_DEGRADED,
    HEALTH_ALERTS,
    HEALTH_PLANS,
    HEALTH_RECALL,
    HEALTH_FINALITY_DAYS,
    HEALTH_FINALITY,
    HEALTH_FINALITY_CURVE,
)
"""In an order in which each comes after those that it reads."""


@dataclass(frozen=True)
class Health:
    """The health views at one instant; each frame has the columns of its view.

    Attributes:
        now: the instant asked about. UTC.
        known_at: `written_at` of the newest row of the snapshot. UTC.
        run_id: namespace shown.
        failing: breakers of what failed since it last succeeded, sorted by name.
    """

    now: datetime
    known_at: datetime
    run_id: str
    failing: tuple[Breaker, ...]
    frames: dict[str, pl.DataFrame]

    def __getitem__(self, view: HealthView) -> pl.DataFrame:
        return self.frames[view.name]


def published_health(reader: SnapshotReader, settings: Settings, now: datetime) -> Health:
    """The health of the published snapshot at an instant after it.

    Raises:
        UserMistake: nothing is published.
    """
    pinned = reader.pinned()
    account = pinned.rows("SELECT run_id, known_at FROM publication", {}).row(0, named=True)
    return read_health(pinned.rows, pinned.tables(), settings, now=now, **account)


def read_health(
    query: Query,
    tables: Collection[str],
    settings: Settings,
    *,
    run_id: str,
    known_at: datetime,
    now: datetime,
) -> Health:
    """Read the views that the snapshot holds; compute those that it lacks or that are others at another instant.

    Args:
        query: reads the snapshot.
        tables: names of the tables that it has.
        settings: time zones, expectations, and when a breaker opens.
        run_id: namespace shown.
        known_at: `written_at` of the newest row of the snapshot. UTC.
        now: the instant asked about. UTC.
    """
    parameters = parameters_at(settings, run_id, now) | {"reckoning": reckoning(settings)}
    frames = {}
    for view in HEALTH_VIEWS:
        stored = view.name in tables and (now == known_at or not view.moves)
        frames[view.name] = query(f"SELECT * FROM {view.name}", {}) if stored else view.rows(query, tables, parameters)
    outcomes = query(true_rows(BREAKERS, tables), {"run_id": run_id} if BREAKERS.name in tables else {})
    failing = tuple(known for known in folded(outcomes, now, settings.breakers) if known.failures)
    return Health(now, known_at, run_id, failing, frames)
