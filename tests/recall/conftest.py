"""One world with a few reports, copied for every story."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from tests.conftest import SteppingClock
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

DAYS = 132
SPIKES = {("s1", "milk"): 116, ("s1", "eggs"): 118, ("s2", "eggs"): 118, ("s3", "tea"): 124}
"""Series → first of four days on which three times as much is sold."""


def day(n: int) -> date:
    return FIRST_DAY + timedelta(days=n)


def spikes(store: str, sku: str, at: date, units: float) -> float:
    first = SPIKES.get((store, sku))
    return units * 3 if first is not None and day(first) <= at < day(first + 4) else units


@pytest.fixture(scope="session")
def concluded(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Reports that are over, concluded with campaigns configured and there; nobody may change it."""
    home = tmp_path_factory.mktemp("concluded")
    declared = settings_for(home).model_dump() | {"feeds": {"campaigns": ContextFeed()}, "retries": {"attempts": 1}}
    world = DirectWorld(home, Settings.model_validate(declared))
    world.send(daily_sales(DAYS, change=spikes))
    world.send(campaign("spring", 118, 121, skus=["eggs"]), "first.json", feed="campaigns")
    world.tick()
    return world


@pytest.fixture
def past(concluded: World, tmp_path: Path) -> World:
    """The same world in a place of its own."""
    return moved(concluded, tmp_path / "home")


def moved(world: World, home: Path, kind: type[World] = DirectWorld, **said: object) -> World:
    shutil.copytree(world.home, home, symlinks=True)
    settings = Settings.model_validate(world.settings.model_dump() | {"home": home} | said)
    return kind(home, settings, SteppingClock(world.clock()))


def campaign(
    name: str, first: int, last: int, *, stores: list[str] | None = None, skus: list[str] | None = None
) -> pl.DataFrame:
    row = {"campaign_id": [name], "campaign_name": [name], "start_day": [day(first)], "end_day": [day(last)]}
    schema = {"stores": pl.List(pl.String), "skus": pl.List(pl.String)}
    return pl.DataFrame(row | {"stores": [stores], "skus": [skus]}, schema_overrides=schema)


def days_pass(world: World, days: float) -> None:
    assert isinstance(world.clock, SteppingClock)
    world.clock.now += timedelta(days=days)


def report_of(world: World, store: str, sku: str) -> dict[str, object]:
    rows = reports(world).filter(store_id=store, sku=sku).sort("severity_score", descending=True)
    return rows.row(0, named=True)


def reports(world: World, as_of: datetime | None = None) -> pl.DataFrame:
    with world.warehouse.store.transaction() as tx:
        return Hydrator(FOLDS).as_of(tx, MINORITY_REPORTS, as_of)


def rounds(world: World) -> pl.DataFrame:
    return world.live(REREVIEW_WORKLIST).sort("report_id", "round")


def recalled(world: World) -> set[tuple[str, str]]:
    return {(row["store_id"], row["sku"]) for row in rounds(world).to_dicts()}


def versions(world: World, *logs: Contract) -> list[int]:
    """How many rows were ever written to logs: a retraction is one more."""
    with world.warehouse.store.transaction() as tx:
        return [tx.history(log).height for log in logs]
