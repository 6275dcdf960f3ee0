"""What a second worker brings: a backfill that is bound by the processor, with one worker and with two.

Series of some retailers are written to a home per run; then every later stage computes the whole span, one retailer
after the other, on workers of this machine. On the file and, where PostgreSQL is installed, on a lake with a server of
its own. Per storage it prints

- the seconds of each run, and how many times as fast two workers are as one;
- the processor seconds of the workers and of the process that asks, and what ratio these would allow on a machine that
  does nothing else: all of one worker's, by those of the busiest of two and of the process that asks. Where the first
  ratio falls short of it, the rest went to waiting: for the lock, or for a machine that others use.

Each worker has one core of its own, as on a machine of one core; without that, one of them keeps a part of the second
core busy as well. Starting the workers, a few seconds, is not counted.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python -m benchmarks.workers --retailers 2 --stores 20 --days 365
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path

import polars as pl
import psutil

from benchmarks.scale import BY, FIRST, SKUS, STORES_AT_ONCE, WARM_UP_DAYS, made_up
from mrs_assets.boundary.spreading import WorkersCrew
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.execution import Execution
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.storage import CATALOGUE, ON_FILE, Storage
from mrs_assets.detection.axis import build_axis
from mrs_assets.graph import STAGES
from mrs_resources.log_store import EVER
from mrs_resources.warehouse import Warehouse
from mrs_resources.workers import Workers
from tests.postgres import binaries, running

BACKFILLED = STAGES[1:]
"""Every stage but the one that makes series of sales, which are made here."""


@dataclass(frozen=True)
class Took:
    """What one backfill took, in seconds.

    Attributes:
        wall: of the clock.
        workers: of the processor, per worker.
        asking: of the processor, in the process that asks and those that it computes in itself.
    """

    wall: float
    workers: tuple[float, ...]
    asking: float


def processor_seconds() -> float:
    """Processor time of this process and of those that it started and that still run."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def keep_to(core: int) -> None:
    """Let this process, and those that it starts, use one core."""
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


def backfill(warehouse: Warehouse, settings: Settings, last: date) -> Took:
    """Compute every stage of every retailer."""
    workers = Workers(settings.execution)
    crew = WorkersCrew(workers, warehouse, settings)
    runner = StageRunner(warehouse.store, warehouse.models, settings, crew=crew)
    try:
        workers.connected().run(import_module, WorkersCrew.__module__)
        for core, worker in enumerate(sorted(workers.connected().nthreads())):
            workers.connected().run(keep_to, core, workers=[worker])
        theirs = workers.connected().run(processor_seconds)
        before, began = processor_seconds(), time.perf_counter()
        for retailer, declared in settings.retailers.items():
            assert declared.reports_from is not None
            for stage in BACKFILLED:
                runner.run(stage, Scope(declared.reports_from, last, retailer), BY)
        wall, after = time.perf_counter() - began, processor_seconds()
        each = tuple(now - theirs[worker] for worker, now in workers.connected().run(processor_seconds).items())
        return Took(wall, each, after - before - sum(each))
    finally:
        workers.close()


def fill(warehouse: Warehouse, settings: Settings, stores: int, last: date) -> None:
    """Write made-up series of every retailer."""
    for number, (name, retailer) in enumerate(settings.retailers.items()):
        axis = build_axis(retailer, FIRST, last)
        for first in range(0, stores, STORES_AT_ONCE):
            numbers = range(number * stores + first, number * stores + min(first + STORES_AT_ONCE, stores))
            rows = made_up(axis, numbers).with_columns(retailer=pl.lit(name))
            with warehouse.store.transaction() as tx:
                tx.append(SALES_TIMESERIES, SALES_TIMESERIES.conform(rows), replace(EVER, complete=False), BY)


def measure(where: str, retailers: int, stores: int, days: int) -> None:
    """Print what one worker and two take on one storage."""
    last = FIRST + timedelta(days=WARM_UP_DAYS + days - 1)
    declared = Retailer(timezone="UTC", country="US", reports_from=FIRST + timedelta(days=WARM_UP_DAYS))
    names = [f"retailer-{number}" for number in range(retailers)]
    took: list[Took] = []
    for count in (1, 2):
        storage = Storage(backend="ducklake", catalogue=f"workers_{count}") if where == "ducklake" else ON_FILE
        with tempfile.TemporaryDirectory(prefix="mrs-bench-") as folder:
            execution = Execution(executor="dask", workers=count)
            settings = Settings(
                home=Path(folder), retailers=dict.fromkeys(names, declared), storage=storage, execution=execution
            )
            warehouse = Warehouse(settings.home, storage=storage)
            fill(warehouse, settings, stores, last)
            took.append(backfill(warehouse, settings, last))
        load = os.getloadavg()[0]
        told = ", ".join(f"{seconds:.1f}" for seconds in took[-1].workers)
        print(
            f"{where}: {count} workers {took[-1].wall:.1f} s; processor {told} s, asking {took[-1].asking:.1f} s; "
            f"load {load:.1f}",
            flush=True,
        )
    one, two = took
    allowed = (sum(one.workers) + one.asking) / (max(two.workers) + two.asking)
    print(f"{where}: two are {one.wall / two.wall:.2f} times as fast as one; processor time allows {allowed:.2f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on each storage that is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retailers", type=int, default=2)
    parser.add_argument("--stores", type=int, default=20)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--on", choices=("file", "ducklake"), nargs="+", default=["file", "ducklake"])
    chosen = parser.parse_args(arguments)
    print(f"{chosen.retailers} retailers x {chosen.stores} stores x {SKUS} products x {chosen.days} days")
    for where in chosen.on:
        if where == "file":
            measure(where, chosen.retailers, chosen.stores, chosen.days)
        elif binaries() is not None:
            with running() as server:
                os.environ[CATALOGUE] = server.address
                measure(where, chosen.retailers, chosen.stores, chosen.days)


if __name__ == "__main__":
    main()
