"""What orchestration adds to a one-day tick: wall time of a warm tick against the stages' own work in it.

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
from mrs_assets.definitions import build_definitions
from mrs_assets.tick import Ticker
from mrs_resources.warehouse import Warehouse

QUIET = {"telemetry": {"enabled": False}}
FIRST, DAYS = date(2024, 1, 1), 160


def _sales(series: int) -> pl.DataFrame:
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


def main() -> None:
    """Tick a history, then three single days; print the last, warm, one."""
    series = int(sys.argv[1]) if len(sys.argv) > 1 else 900
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(overrides=QUIET) as instance:
        home = Path(folder)
        begin = FIRST + timedelta(days=DAYS - 5)
        retailer = {"timezone": "UTC", "reports_from": begin}
        settings = Settings.model_validate({"home": home, "retailers": {"acme": retailer}})
        warehouse = Warehouse(home)
        ticker = Ticker(build_definitions(settings, warehouse), warehouse, settings, instance)
        sales = _sales(series)
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
        work = sum(
            (stats.end_time or 0) - (stats.start_time or 0)
            for run in runs
            for stats in instance.get_run_step_stats(run.run_id)
        )
        told = {"series": series, "wall_s": round(wall, 2), "steps_s": round(work, 2)}
        print(json.dumps(told | {"wall_over_steps": round(wall / work, 2)}))


if __name__ == "__main__":
    main()
