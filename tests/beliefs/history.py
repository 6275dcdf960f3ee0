"""A run in which one thing after the other changes what is believed, with the instant after each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.in_process import GraphRunner
from mrs_assets.partitions import range_tags
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER
from mrs_resources.reader import SnapshotReader
from tests.conftest import SteppingClock
from tests.stories.test_one_anomaly import spike
from tests.with_history import approve_a_model
from tests.world import FIRST_DAY, World, daily_sales, settings_for

DAYS = 122
PRODUCTS = ("milk", "bread", "eggs", "tea", "jam", "rice", "salt", "soap")  # enough to learn a baseline from
PROMOTION = {"promotion_id": "p1", "store_id": "s2", "sku": "eggs", "start_day": "2024-04-26", "end_day": "2024-05-01"}
NO_PROMOTIONS = Fault(point=f"{ATTRIBUTED.name}.promotions", action="drop")
TWO_SOURCES: Mapping[str, Any] = {"till": {}, "shipments": {"kind": "sensor"}}


@dataclass
class History:
    """One home, told step by step.

    Attributes:
        home: where.
        known: step → the instant after it.
    """

    home: Path
    clock: SteppingClock = field(default_factory=SteppingClock)
    known: dict[str, datetime] = field(default_factory=dict)

    def world(self, *faults: Fault, sources: Mapping[str, Any] | None = None) -> World:
        """The home under some settings."""
        acme = settings_for(self.home).retailers["acme"].model_dump(exclude_unset=True)
        declared = settings_for(self.home, acme=acme | ({"sources": sources} if sources else {})).model_dump()
        own = {"environment": "staging", "faults": faults, "feeds": {"promotions": ContextFeed()}}
        return World(self.home, Settings.model_validate(declared | own), self.clock)

    def after(self, step: str) -> None:
        """Remember what is believed now."""
        self.clock.now += timedelta(minutes=1)
        self.known[step] = self.clock.now
        self.clock.now += timedelta(hours=8)

    @property
    def reader(self) -> SnapshotReader:
        """Reads what is published."""
        return SnapshotReader(self.home, FOLDS)

    @property
    def report(self) -> str:
        """The report of the eggs of store s2 that is true now."""
        return str(self.reader.show("reports", where=EGGS)["report_id"][0])

    @property
    def first_report(self) -> str:
        """The one that was true at the start; other source weights give it another onset, and so another identity."""
        return str(self.reader.show("reports", where=EGGS, as_of=self.known["start"])["report_id"][0])


EGGS = "store_id = 's2' AND sku = 'eggs' AND resolution_reason IS DISTINCT FROM 'data correction'"


def told(home: Path) -> History:
    """Everything that may change a belief, one thing at a time; at last two at once."""
    history = History(home)
    world = history.world(NO_PROMOTIONS)
    sales = daily_sales(DAYS, skus=PRODUCTS, stores=("s1", "s2", "s3", "s4"), change=spike)
    till = sales.with_columns(source=pl.lit("till"))
    eggs = till.filter(pl.col("sku") == "eggs", pl.col("store_id") == "s2")
    shipped = eggs.with_columns(pl.col("units") * 2, revenue=pl.lit(None, dtype=pl.Float64), source=pl.lit("shipments"))
    world.send(pl.concat([till, shipped]), "all.csv")
    world.send(pl.DataFrame([PROMOTION]), "p.json", feed="promotions")
    world.tick()
    history.after("start")
    world = history.world()
    world.tick()
    history.after("recovery")
    edit(world, history.report, 1)
    history.after("edit")
    correct(world, 60, "correction.csv")
    history.after("data")
    approve_a_model(world)
    history.after("approval")
    backfill(world)
    history.after("model")
    write_with_another_code(world, history.report)
    history.after("code")
    backfill(world)
    history.after("code again")
    history.world(sources=TWO_SOURCES).tick()
    history.after("configuration")
    world = history.world(sources=TWO_SOURCES)
    edit(world, history.report, 2, action="edit", field="final_cause", value="=Easter")
    correct(world, 70, "two at once.csv")
    history.after("two")
    return history


def edit(world: World, report: str, number: int, **said: str) -> None:
    entry = {"annotation_id": str(uuid.UUID(int=number)), "report_id": report, "actor": "ada", "user_role": "analyst"}
    world.send_edit({**entry, "action": "approve", "acted_at": f"2024-06-0{number}T10:00:00Z", **said})
    world.tick()


def correct(world: World, units: int, name: str) -> None:
    """Correct the eggs of store s2 on the second but last day."""
    day = FIRST_DAY + timedelta(days=DAYS - 2)
    row = {"store_id": "s2", "sku": "eggs", "ts": day, "units": units, "revenue": units * 2.5, "source": "till"}
    world.send(pl.DataFrame([row]), name)
    world.tick()


def backfill(world: World) -> None:
    """Compute every day again by hand."""
    assets = [*(log.name for stage in STAGES for log in stage.writes), FINALISED.name, *CLOSING.state]
    scope = Scope(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1), "acme")
    with dg.DagsterInstance.ephemeral() as instance:
        ran = GraphRunner(world.definitions, world.warehouse, world.settings, instance).run(assets, range_tags(scope))
    assert ran.failed == ()


def write_with_another_code(world: World, report: str) -> None:
    """As another version of the detection would: the newest row of the report comes out otherwise."""
    with world.warehouse.store.transaction() as tx:
        newest = tx.live(DETECTED).filter(pl.col("report_id") == report).sort("tick").tail(1)
        row = newest.select(list(DETECTED.body)).with_columns(scan_z=pl.lit(99.5))
        tx.append(DETECTED, row, replace(EVER, complete=False), Provenance(DETECTED.name, "9.9.9+9"))
        Hydrator(FOLDS).refresh(tx)
    world.warehouse.publisher.publish()
