"""Nothing is lost or doubled by a process that dies, or by two that work at once."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, World, daily_sales, settings_for

ROOT = Path(__file__).parents[2]
SALES = daily_sales(122, stores=("s1", "s2"), change=spike)
LATER = FIRST_DAY + timedelta(days=60)
COMPARED = [c for c in LOGS if c.stage not in ("operations", "rereview") and c is not ARRIVALS]


def process(home: Path, fatal: int = 0, moment: str = "before") -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "tests.stories.killed_tick", str(home), str(fatal), moment]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def send_files(world: World) -> None:
    world.send(SALES.filter(pl.col("ts") < LATER), "first.csv")
    world.send(SALES.filter(pl.col("ts") >= LATER), "second.csv")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("undisturbed")
    world = World(home, settings_for(home))
    send_files(world)
    world.tick()
    assert world.live(DETECTED).height > 0
    return world


def assert_same_belief(world: World, other: World) -> None:
    for contract in COMPARED:
        assert_frame_equal(world.content(contract), other.content(contract), check_row_order=False)
    for contract in (UNIFIED_SALES, DETECTED):
        assert set(world.live(contract)["version"]) == {1}
    accounts = ["file_hash", "rows_received", "rows_accepted", "rows_duplicate", "rows_dead_lettered", "decision"]
    assert_frame_equal(
        world.live(ARRIVALS).select(accounts), other.live(ARRIVALS).select(accounts), check_row_order=False
    )


def test_a_killed_tick_is_finished_by_the_next_one(undisturbed: World, tmp_path: Path) -> None:
    world = World(tmp_path, settings_for(tmp_path))
    send_files(world)
    for fatal, moment in ((3, "before"), (4, "after"), (9, "before"), (16, "after")):
        died = process(tmp_path, fatal, moment)
        _, errors = died.communicate()
        assert died.returncode == -signal.SIGKILL, errors.decode()[-2000:]
    world.tick()
    assert_same_belief(world, undisturbed)
    assert world.tick().appended == {}


def test_two_ticks_at_once_lose_and_double_nothing(undisturbed: World, tmp_path: Path) -> None:
    world = World(tmp_path, settings_for(tmp_path))
    send_files(world)
    for worker in [process(tmp_path), process(tmp_path)]:
        _, errors = worker.communicate()
        assert worker.returncode == 0, errors.decode()[-2000:]
    world.tick()
    assert_same_belief(world, undisturbed)
