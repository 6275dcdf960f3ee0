"""The checks of drift on a world that changes and changes back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from mrs_assets.boundary.learning import train
from mrs_assets.detection.training import BASELINE_MODEL
from mrs_assets.drift.monitor import CENTRED, FITS, HISTORY, HOLDS, INPUTS
from mrs_assets.in_process import QUIET
from mrs_resources.kernel import Provenance
from tests.conftest import SteppingClock
from tests.world import REPORTS_FROM, DirectWorld, World, daily_sales, settings_for, unchanged

SKUS = tuple(f"sku-{n}" for n in range(16))
WEEKS = 4
NOW, LATER = (REPORTS_FROM + timedelta(weeks=WEEKS * n) for n in (1, 2))
"""Ends of the first and of the second four weeks of reports."""

Change = Callable[[str, str, date, float], float | None]


def sales(change: Change) -> pl.DataFrame:
    return daily_sales((LATER - date(2024, 1, 1)).days, skus=SKUS, change=change)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four quiet weeks of reports after a model was put in force."""
    home = tmp_path_factory.mktemp("drift")
    world = at(home, NOW)
    rows = sales(unchanged)
    world.send(rows.filter(pl.col("ts") < REPORTS_FROM), "history.csv")
    world.tick()
    train(world.warehouse, world.settings, BASELINE_MODEL, Provenance("a test", "0"), approved_by="ada")
    world.send(rows.filter(pl.col("ts").is_between(REPORTS_FROM, NOW, closed="left")), "quiet.csv")
    world.tick()
    return home


def at(home: Path, day: date) -> World:
    """A world in which everything up to a day may have been sent."""
    return DirectWorld(home, settings_for(home), SteppingClock(datetime(day.year, day.month, day.day, 12, tzinfo=UTC)))


def later(home: Path, change: Change, folder: Path) -> World:
    """The same world after four more weeks."""
    shutil.copytree(home, folder, symlinks=True, dirs_exist_ok=True)
    world = at(folder, LATER)
    world.send(sales(change).filter(pl.col("ts") >= NOW), "later.csv")
    world.tick()
    return world


def failing(world: World) -> set[str]:
    """Checks of the daily job that fail, all of them warnings."""
    with dg.DagsterInstance.ephemeral() as instance:
        run = world.definitions.resolve_job_def("drift").execute_in_process(instance=instance, run_config=QUIET)
    found = run.get_asset_check_evaluations()
    of_baseline = {check.check_name: check for check in found if check.asset_key == dg.AssetKey(BASELINE_MODEL.name)}
    assert set(of_baseline) == {INPUTS, FITS, CENTRED, HOLDS, HISTORY}
    assert all(int(str(check.metadata["judged"].value)) > 0 for name, check in of_baseline.items() if name != FITS)
    assert all(check.severity is dg.AssetCheckSeverity.WARN for check in of_baseline.values())
    return {name for name, check in of_baseline.items() if not check.passed}


def more(_store: str, _sku: str, day: date, units: float) -> float:
    """A little more of everything: too little for a report, too much to be chance."""
    return round(units * 1.35) if day >= NOW else units


def wilder(store: str, sku: str, day: date, units: float) -> float:
    """As much as ever on average, in bulk."""
    if day < NOW:
        return units
    rng = np.random.default_rng([day.toordinal(), int(sku[4:]), int(store[1:])])
    return round(units * rng.choice([0.45, 1.55]))


def test_a_quiet_world_passes_every_check(quiet: Path) -> None:
    assert failing(at(quiet, NOW)) == set()


def test_it_goes_on_passing_while_nothing_changes(quiet: Path, tmp_path: Path) -> None:
    assert failing(later(quiet, unchanged, tmp_path)) == set()


def test_another_level_is_seen_in_the_residuals(quiet: Path, tmp_path: Path) -> None:
    assert CENTRED in failing(later(quiet, more, tmp_path))


def test_wilder_sales_are_seen_in_the_intervals_and_a_correction_takes_the_warning_back(
    quiet: Path, tmp_path: Path
) -> None:
    world = later(quiet, wilder, tmp_path)
    assert HOLDS in failing(world)
    world.send(sales(unchanged).filter(pl.col("ts") >= NOW), "corrected.csv")
    world.tick()
    assert failing(world) == set()
