"""One staging world with a history: two deliveries, a model approved between them, an edit, a day without a file."""

from __future__ import annotations

import shutil
import uuid
from datetime import timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from mrs_assets.contracts.logs.catalogue import COMPUTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.detection.baseline_stage import MODEL
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.in_process import QUIET, GraphRunner
from mrs_assets.partitions import range_tags
from tests.conftest import SteppingClock
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, REPORTS_FROM, DirectWorld, World, daily_sales, settings_for

DAYS = 124
EVERY_LOG = (*(log for stage in STAGES for log in stage.writes), FINALISED)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Whoever takes something away here puts it back."""
    home = tmp_path_factory.mktemp("staging")
    declared = settings_for(home).model_dump() | {"environment": "staging", "feeds": {"promotions": ContextFeed()}}
    world = DirectWorld(home, Settings.model_validate(declared))
    products = ("milk", "bread", "eggs", "tea", "jam", "rice", "salt", "soap")  # enough to learn a baseline from
    sales = daily_sales(DAYS, skus=products, stores=("s1", "s2", "s3", "s4"), change=spike)
    world.send(sales.filter(pl.col("ts") < REPORTS_FROM), "history.csv")
    world.tick()
    later(world)
    approve_a_model(world)
    world.send(sales.filter(pl.col("ts") >= REPORTS_FROM), "news.csv")
    span = {"start_day": [FIRST_DAY + timedelta(days=117)], "end_day": [FIRST_DAY + timedelta(days=121)]}
    promotion = {"promotion_id": ["p1"], "store_id": ["s2"], "sku": ["eggs"]}
    world.send(pl.DataFrame(promotion | span), "p.json", feed="promotions")
    world.tick()
    later(world)
    report = world.live(FINALISED)["report_id"][0]
    said = {"annotation_id": str(uuid.UUID(int=1)), "report_id": report, "action": "approve"}
    world.send_edit(said | {"actor": "ada", "user_role": "analyst", "acted_at": "2024-06-01T10:00:00Z"})
    world.tick()
    close_the_day_after(world)
    return world


def later(world: World) -> None:
    assert isinstance(world.clock, SteppingClock)
    world.clock.now += timedelta(days=1)


def approve_a_model(world: World) -> None:
    job = world.definitions.resolve_implicit_global_asset_job_def()
    asked = {"ops": {MODEL: {"config": {"approved_by": "ada"}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        model = [dg.AssetKey(MODEL)]
        job.execute_in_process(instance=instance, asset_selection=model, run_config=QUIET | asked)


def close_the_day_after(world: World) -> None:
    """What the daily schedule does for a day of which no file came."""
    day = FIRST_DAY + timedelta(days=DAYS)
    assets = [*(log.name for log in EVERY_LOG), *CLOSING.state]
    with dg.DagsterInstance.ephemeral() as instance:
        runner = GraphRunner(world.definitions, world.warehouse, world.settings, instance)
        ran = runner.run(assets, range_tags(Scope(day, day, "acme")))
    assert ran.failed == ()


def copied(world: World, home: Path) -> World:
    """The same world in another place, to be broken for good."""
    shutil.copytree(world.home, home, symlinks=True)
    return World(home, world.settings.model_copy(update={"home": home}), world.clock)


def contents(world: World) -> dict[str, pl.DataFrame]:
    """What every log says, operations left out."""
    return {log.name: world.content(log) for log in COMPUTED}
