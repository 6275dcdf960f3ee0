"""A model in force that is gone, damaged or does not load: the heuristic answers, says so, and is replaced."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.trainable import Lessons, Trainable
from mrs_assets.detection.baseline_stage import BASELINE_STAGE, MODEL
from mrs_assets.detection.training import BASELINE_MODEL
from mrs_assets.graph import STAGES, TRAINABLES
from mrs_assets.rehearsal.attribution_model import ATTRIBUTION_MODEL, learn_attribution
from mrs_resources import model_registry as registry
from mrs_resources.kernel import Provenance
from mrs_resources.model_store import active_model
from tests.conftest import SteppingClock
from tests.detection.pipeline import axis_of, run, scope_of, series_rows
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

DAYS, LEARNT = 122, 116
SALES = daily_sales(DAYS, change=spike, skus=("milk", "bread", "eggs", "tea", *(f"sku-{n}" for n in range(16))))
"""Enough series to learn from."""
SINCE = FIRST_DAY + timedelta(days=LEARNT)


def world_at(home: Path, *faults: Fault, kind: type[World] = DirectWorld) -> World:
    said = {"environment": "staging", "retries": {"attempts": 1}, "faults": faults}
    return kind(home, Settings.model_validate(settings_for(home).model_dump() | said))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a model in force, trained on all but the last days, which wait in the inbox."""
    world = world_at(tmp_path_factory.mktemp("trained"))
    world.send(SALES.filter(pl.col("ts") < SINCE))
    world.tick()
    with dg.DagsterInstance.ephemeral() as instance:
        job = world.definitions.resolve_implicit_global_asset_job_def()
        config = {"ops": {MODEL: {"config": {"approved_by": "ada"}}}}
        assert job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(MODEL)], run_config=config
        ).success
    world.send(SALES.filter(pl.col("ts") >= SINCE), "later.csv")
    return world.home


@pytest.fixture(scope="module")
def all_trained(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a version of every model in force; those that need more to learn from are taught elsewhere."""
    home = tmp_path_factory.mktemp("all_trained")
    shutil.copytree(trained, home, symlinks=True, dirs_exist_ok=True)
    world = later(home, 1)
    there = wild_logs(world.settings)
    for model in TRAINABLES:
        if model is not BASELINE_MODEL:
            frames = {name: there.get(log.name, log.empty(stored=True)) for name, log in model.reads.items()}
            learn = partial(learn_attribution, plays=16) if model is ATTRIBUTION_MODEL else model.learn
            put_in_force(world, model.name, learn(Lessons(world.settings, frames)).artefact)
    return home


def wild_logs(settings: Settings) -> dict[str, pl.DataFrame]:
    """Half a year of series that vary enough for anomalies to be told from, and their expectations."""
    rng, days, count = np.random.default_rng(0), 180, 60
    mean = rng.uniform(5, 40, count) * rng.gamma(8, 1 / 8, (days, count))
    axis = axis_of(Retailer(timezone="Europe/London", country="GB"), days)
    series = series_rows(axis, rng.poisson(mean).astype(float), per_store=10)
    expected = run(settings, series, [scope_of(axis, 60, days - 1)], stages=[BASELINE_STAGE])
    return {SALES_TIMESERIES.name: series, **expected}


def put_in_force(world: World, name: str, artefact: bytes) -> None:
    digest = world.warehouse.models.save(artefact)
    row = {"retailer": "*", "business_day": FIRST_DAY, "trained_on_from": FIRST_DAY, "trained_on_to": FIRST_DAY}
    row |= {"model_name": name, "model_version_id": digest[:12], "artefact_hash": digest}
    by = Provenance("a test", "0")
    with world.warehouse.store.transaction() as tx:
        registry.register(tx, row, by)
        registry.approve(tx, name, digest[:12], "ada", by)


def later(home: Path, hours: float, *faults: Fault, kind: type[World] = DirectWorld) -> World:
    world = world_at(home, *faults, kind=kind)
    assert isinstance(world.clock, SteppingClock)
    world.clock.now += timedelta(hours=hours)
    return world


def of_the_last_days(world: World) -> tuple[pl.DataFrame, pl.DataFrame]:
    return tuple(world.content(log).filter(pl.col("business_day") >= SINCE) for log in (BASELINE, DETECTED))  # type: ignore[return-value]


@pytest.fixture(scope="module")
def undisturbed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, pl.DataFrame]:
    home = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(trained, home, symlinks=True, dirs_exist_ok=True)
    world = later(home, 1)
    world.tick()
    expected, reports = of_the_last_days(world)
    assert expected["baseline_source"].unique().to_list() == ["model"]
    assert reports.height > 0
    return expected, reports


def gone(artefact: Path) -> None:
    artefact.unlink()


def damaged(artefact: Path) -> None:
    artefact.write_bytes(artefact.read_bytes()[:-7])


def left_alone(_artefact: Path) -> None:
    """Whole; loading it fails on purpose."""


@pytest.mark.parametrize("harm", [gone, damaged, left_alone], ids=lambda f: f.__name__)
def test_the_heuristic_answers_until_the_model_is_back(
    harm: Callable[[Path], None],
    trained: Path,
    undisturbed: tuple[pl.DataFrame, pl.DataFrame],
    tmp_path: Path,
) -> None:
    shutil.copytree(trained, tmp_path, symlinks=True, dirs_exist_ok=True)
    (artefact,) = [path for path in (tmp_path / "models").rglob("*") if path.is_file()]
    whole = artefact.read_bytes()
    harm(artefact)
    raising = [Fault(point=f"{BASELINE.name}.baseline_model", action="raise")] if harm is left_alone else []
    kind = World if harm is damaged else DirectWorld
    world = later(tmp_path, 1, *raising, kind=kind)
    world.tick()
    expected, reports = of_the_last_days(world)
    assert expected["degraded_reasons"].list.contains("baseline_down").all()
    assert expected["baseline_source"].ne_missing("model").all()
    assert reports.height > 0
    assert reports["degraded_reasons"].list.contains("baseline_down").all(), "a report says what its numbers rest on"
    assert not world.live(BASELINE).filter(pl.col("business_day") < SINCE)["is_degraded"].any()
    artefact.write_bytes(whole)
    mended = later(tmp_path, 6, kind=kind)
    mended.tick()
    for now, then in zip(of_the_last_days(mended), undisturbed, strict=True):
        assert now.equals(then)


@pytest.mark.few(2)
@pytest.mark.parametrize("model", [m for m in TRAINABLES if m is not BASELINE_MODEL], ids=lambda m: m.name)
def test_any_model_that_is_damaged_degrades_the_rows_it_speaks_for_until_it_is_back(
    model: Trainable, all_trained: Path, tmp_path: Path
) -> None:
    (stage,) = [stage for stage in STAGES if model.name in {want.model for want in stage.wants.values()}]
    (want,) = [want for want in stage.wants.values() if want.model == model.name]
    (log,) = stage.writes

    def of_the_stage(world: World) -> pl.DataFrame:
        return world.content(log).filter(pl.col("business_day") >= SINCE)

    whole_home = tmp_path / "whole"
    shutil.copytree(all_trained, whole_home, symlinks=True)
    undisturbed = later(whole_home, 2)
    undisturbed.tick()
    expected = of_the_stage(undisturbed)
    assert expected.height > 0
    assert not expected["degraded_reasons"].list.contains(want.reason).any()

    home = tmp_path / "harmed"
    shutil.copytree(all_trained, home, symlinks=True)
    world = later(home, 2)
    with world.warehouse.store.transaction() as tx:
        in_force = active_model(tx, model.name)
    assert in_force is not None
    artefact = home / "models" / str(in_force["artefact_hash"])
    whole = artefact.read_bytes()
    damaged(artefact)
    world.tick()
    rows = of_the_stage(world)
    assert rows.height > 0, "the fallback answers"
    assert rows["degraded_reasons"].list.contains(want.reason).all()
    reports = world.content(DETECTED).filter(pl.col("business_day") >= SINCE)
    assert reports.height > 0, "the graph goes on"
    artefact.write_bytes(whole)
    mended = later(home, 8)
    mended.tick()
    assert of_the_stage(mended).equals(expected)
