"""A small home with a history, and what its service levels come to."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from mrs_assets.alerting.note import Note, notes_of
from mrs_assets.contracts.logs.alerts import ALERTS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import LOOKED_AT, feed_logs
from mrs_assets.in_process import GraphRunner
from mrs_assets.planning.intake import admission_requests
from mrs_assets.planning.run_tags import admission_tags
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import SYSTEM_RUN
from tests.conftest import SteppingClock
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

DAYS = 122
STORES, SKUS = ("s1", "s2"), ("milk", "eggs")
WRITER = Provenance("test", "1")


def still_going_on(store: str, sku: str, day: date, units: float) -> float:
    """An anomaly of the newest days."""
    return units * 5 if (store, sku) == ("s2", "eggs") and day >= FIRST_DAY + timedelta(days=DAYS - 4) else units


def sales(first: int = 0, last: int = DAYS, *, times: float = 1) -> pl.DataFrame:
    """Rows of the days from `first` up to `last`, counted from the first day of the world."""
    rows = daily_sales(DAYS + 14, stores=STORES, skus=SKUS, change=still_going_on)
    days = pl.col("ts").is_between(FIRST_DAY + timedelta(days=first), FIRST_DAY + timedelta(days=last - 1))
    return rows.filter(days).with_columns((pl.col("units") * times).cast(pl.Int64))


def world_at(home: Path, **said: Any) -> DirectWorld:
    """A staging world whose stages are tried once."""
    declared = settings_for(home).model_dump() | {"environment": "staging", "retries": {"attempts": 1}}
    return DirectWorld(home, Settings.model_validate(declared | said), SteppingClock())


def copied(world: World, home: Path, **said: Any) -> DirectWorld:
    """The same home in another place, at the same time, under other settings."""
    shutil.copytree(world.home, home, symlinks=True)
    assert isinstance(world.clock, SteppingClock)
    copy = world_at(home, **said)
    copy.clock = SteppingClock(world.clock.now)
    copy.__post_init__()
    return copy


def time_passes(world: World, **length: float) -> None:
    assert isinstance(world.clock, SteppingClock)
    world.clock.now += timedelta(**length)


def under(world: World, **said: Any) -> DirectWorld:
    """The same home under other settings, at the same time."""
    other = world_at(world.home, **said)
    other.clock = world.clock
    other.__post_init__()
    return other


def admit_only(world: World) -> None:
    """Let in what waits, and replay nothing."""
    with dg.DagsterInstance.ephemeral() as instance:
        runner = GraphRunner(world.definitions, world.warehouse, world.settings, instance)
        for request in admission_requests(world.warehouse, world.settings):
            assert runner.run(feed_logs(request.feeds), admission_tags(request)).success


def checks(world: World) -> dict[str, dg.AssetCheckEvaluation]:
    """What the check of every objective says now; alerts follow."""
    with dg.DagsterInstance.ephemeral() as instance:
        runner = GraphRunner(world.definitions, world.warehouse, world.settings, instance)
        ran = runner.run(LOOKED_AT, {})
    assert ran.failed == ()
    return {check.check_name: check for check in ran.checks}


def value_of(check: dg.AssetCheckEvaluation) -> float:
    value = check.metadata["value"].value
    assert isinstance(value, float)
    return value


def worst_of(check: dg.AssetCheckEvaluation) -> list[dict[str, Any]]:
    table = check.metadata["worst_partitions"]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def states(world: World, objective: str, subject: str = "acme") -> list[str]:
    """Every state that was recorded, oldest first."""
    with world.warehouse.store.transaction() as tx:
        history = tx.history(SLO_RESULTS).filter(objective=objective, subject=subject)
    return [state for n, state in enumerate(history["state"]) if n == 0 or history["state"][n - 1] != state]


def result(world: World, objective: str, subject: str = "acme") -> dict[str, Any]:
    """The newest recorded result."""
    return world.live(SLO_RESULTS).filter(objective=objective, subject=subject).row(0, named=True)


def alerts(world: World) -> list[Note]:
    """Every change of every alert, oldest first."""
    with world.warehouse.store.transaction() as tx:
        notes = notes_of(tx.history(ALERTS, run_id=SYSTEM_RUN))
    return sorted(notes, key=lambda note: (note.noted_at, note.alert_id))
