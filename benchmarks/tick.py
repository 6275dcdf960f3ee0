"""What orchestration adds to a one-day tick: a warm tick beyond the stages' own work, over that work.

python -m benchmarks.tick [series]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl

from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.storage import ON_FILE, Storage
from mrs_assets.definitions import build_definitions
from mrs_assets.tick import Ticker
from mrs_resources.warehouse import Warehouse

QUIET = {"telemetry": {"enabled": False}}
FIRST, DAYS = date(2024, 1, 1), 160


def sales_of(series: int) -> pl.DataFrame:
    """Poisson sales of every day."""
    rng = np.random.default_rng(1)
    days = [FIRST + timedelta(days=d) for d in range(DAYS)]
    units = rng.poisson(6, series * DAYS)
    return pl.DataFrame(
        {
            "store_id": np.repeat([f"s{n // 10}" for n in range(series)], DAYS),
            "sku": np.repeat([f"sku-{n % 10}" for n in range(series)], DAYS),
            "ts": days * series,
            "units": units,
            "revenue": units * 2.5,
        }
    )


def last_of_three_days(series: int, storage: Storage = ON_FILE) -> tuple[float, float]:
    """Tick a history, then three single days: seconds of the last, warm, one, and those that its stages worked."""
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(overrides=QUIET) as instance:
        home = Path(folder)
        begin = FIRST + timedelta(days=DAYS - 5)
        retailer = {"timezone": "UTC", "reports_from": begin}
        settings = Settings.model_validate({"home": home, "retailers": {"acme": retailer}, "storage": storage})
        warehouse = Warehouse(home, storage=storage)
        ticker = Ticker(build_definitions(settings, warehouse), warehouse, settings, instance)
        sales = sales_of(series)
        inbox = home / "inbox" / "sales" / "acme"
        inbox.mkdir(parents=True)
        last_days = [FIRST + timedelta(days=DAYS - n) for n in (3, 2, 1)]
        sales.filter(pl.col("ts") < last_days[0]).write_csv(inbox / "history.csv")
        ticker.tick(lambda _: None)
        for day in last_days:
            sales.filter(pl.col("ts") == day).write_csv(inbox / f"{day}.csv")
            began = time.perf_counter()
            ticker.tick(lambda _: None)
            wall = time.perf_counter() - began
        runs = instance.get_runs(limit=2)
        return wall, sum(_work(instance, run.run_id) for run in runs)


def main() -> None:
    """Print the last day."""
    series = int(sys.argv[1]) if len(sys.argv) > 1 else 900
    wall, work = last_of_three_days(series)
    told = {"series": series, "wall_s": round(wall, 2), "work_s": round(work, 2)}
    print(json.dumps(told | {"orchestration_over_work": round((wall - work) / work, 2)}))


def _work(instance: dg.DagsterInstance, run_id: str) -> float:
    """Seconds that a run's steps worked: as the stages say it themselves, else as long as the step took."""
    took = {s.step_key: (s.end_time or 0) - (s.start_time or 0) for s in instance.get_run_step_stats(run_id)}
    for record in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION):
        event = record.dagster_event
        told = event.step_materialization_data.materialization.metadata.get("stage_seconds") if event else None
        if event and event.step_key and told is not None:
            took[event.step_key] = float(str(told.value))
    return sum(took.values())


if __name__ == "__main__":
    main()
