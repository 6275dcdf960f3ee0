"""The pools that the graph declares hold for stages whose pieces workers compute, between processes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg

from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_resources.warehouse import Warehouse
from tests.backends import OVER_WORKERS
from tests.execution.one_run import DAYS
from tests.world import daily_sales

pytestmark = OVER_WORKERS

ROOT = Path(__file__).parents[2]
RETAILERS = ("north", "south")


def test_a_pool_of_one_lets_one_stage_compute_on_all_workers(tmp_path: Path) -> None:
    home, dagster_home = tmp_path / "home", tmp_path / "dagster"
    dagster_home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", dagster_home)
    for retailer in RETAILERS:
        folder = home / "inbox" / "sales" / retailer
        folder.mkdir(parents=True)
        daily_sales(DAYS).write_csv(folder / "sales.csv")

    def start(retailer: str, asset: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.execution.one_run", str(home), str(dagster_home), retailer, asset]
        return subprocess.Popen(command, cwd=ROOT)

    for retailer in RETAILERS:
        assert start(retailer, "unified_sales_data").wait(300) == 0
    both = [start(retailer, SALES_TIMESERIES.name) for retailer in RETAILERS]
    assert [run.wait(300) for run in both] == [0, 0]
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        told = [step for run in instance.get_runs() for step in instance.get_run_step_stats(run.run_id)]
    spans = sorted((step.start_time, step.end_time) for step in told if step.step_key == SALES_TIMESERIES.name)  # type: ignore[type-var]
    assert len(spans) == 2
    assert spans[0][1] <= spans[1][0]  # type: ignore[operator]
    with Warehouse(home).store.looking() as tx:
        written = tx.query(f"SELECT appended FROM append_batches WHERE log_name = '{SALES_TIMESERIES.name}'")
    assert sorted(written["appended"]) == [28] * 6  # of three stores each, one at a time
