"""The pools that the graph declares hold for stages whose pieces workers compute, between processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_resources.warehouse import Warehouse
from tests.backends import OVER_WORKERS
from tests.execution.one_run import DAYS
from tests.world import daily_sales

pytestmark = OVER_WORKERS

ROOT = Path(__file__).parents[2]
RETAILER, POOL = "north", "detection"


def test_a_stage_on_all_workers_waits_for_the_pool_of_another_run(tmp_path: Path) -> None:
    """Another run is played by a claim: of two that ask at one instant, Dagster's SQLite may serve both."""
    home, dagster_home = tmp_path / "home", tmp_path / "dagster"
    dagster_home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", dagster_home)
    folder = home / "inbox" / "sales" / RETAILER
    folder.mkdir(parents=True)
    daily_sales(DAYS).write_csv(folder / "sales.csv")

    def start(asset: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.execution.one_run", str(home), str(dagster_home), RETAILER, asset]
        return subprocess.Popen(command, cwd=ROOT)

    assert start("unified_sales_data").wait(300) == 0
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        events = instance.event_log_storage
        events.initialize_concurrency_limit_to_default(POOL)
        assert events.claim_concurrency_slot(POOL, "another", SALES_TIMESERIES.name).is_claimed
        run = start(SALES_TIMESERIES.name)
        for _ in range(1500):
            if any(step.run_id != "another" for step in events.get_concurrency_info(POOL).pending_steps):
                break
            assert run.poll() is None, "it ran although the pool was taken"
            time.sleep(0.2)
        else:
            run.kill()
            pytest.fail("it never asked for the pool")
        with Warehouse(home).store.looking() as tx:
            assert tx.newest_write(SALES_TIMESERIES) is None
        events.free_concurrency_slots_for_run("another")
        assert run.wait(300) == 0
    with Warehouse(home).store.looking() as tx:
        written = tx.query(f"SELECT appended FROM append_batches WHERE log_name = '{SALES_TIMESERIES.name}'")
    assert written["appended"].to_list() == [28] * 3, "of three stores, one at a time"
