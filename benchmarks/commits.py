"""What a transaction costs, on the file and on the lake: the constants of docs/explanation/scaling.md.

Per backend: seconds of an append of 1 to 100,000 rows, of a transaction that appends nothing and of a look; how an
append of one row slows down as snapshots gather; and how the lock goes from hand to hand among waiting processes.

    MRS_CATALOG='host=127.0.0.1 dbname=scratch user=mrs' python -m benchmarks.commits

Schemas of its own are made in that database. Without MRS_CATALOG the file alone is measured.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier

from benchmarks.kernel import rows_of
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.storage import CATALOGUE, Storage
from mrs_resources.backend import open_backend
from mrs_resources.catalogue_lock import catalogue_lock
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.writer_lock import writer_lock

WRITER = Provenance("benchmark", "1")
SIZES = (1, 10, 1_000, 100_000)
WAITERS = (2, 8, 32)
TURNS = 40
"""Turns that each waiting process takes."""


class Appender:
    """Appends baseline rows that nobody appended before.

    Args:
        store: logs to append to.
        first: number of the first row; writers at the same time begin far from one another.
    """

    def __init__(self, store: LogStore, first: int = 0) -> None:
        self.store = store
        self._next = first

    def append(self, rows: int) -> None:
        """Append so many rows in a transaction of their own."""
        with self.store.transaction() as tx:
            self.append_within(tx, rows)

    def append_within(self, tx: Transaction, rows: int) -> None:
        """Append so many rows, of the days that they fall on."""
        first, last = self._next, self._next + rows
        self._next = last
        days = [date(2000, 1, 1) + timedelta(days=n // 1000) for n in (first, last - 1)]
        scope = Scope(days[0], days[1], "acme", complete=False)
        tx.kernel.staging.offer(BASELINE, rows_of(first, last))
        done = tx.kernel.append(BASELINE, tx.run_id, scope, WRITER)
        if done.appended != rows:
            raise RuntimeError(f"{done.appended} of {rows} rows were new")

    def nothing(self) -> None:
        """A transaction that waits for its turn and appends nothing."""
        with self.store.transaction():
            pass

    def look(self) -> None:
        """A transaction of a reader."""
        with self.store.looking() as tx:
            tx.newest_write(BASELINE)


def storages() -> dict[str, Storage]:
    """What can be measured here."""
    lake = Storage(backend="ducklake", catalogue=f"commits_{os.getpid()}")
    return {"file": Storage()} | ({"ducklake": lake} if os.environ.get(CATALOGUE) else {})


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per backend and measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=15, help="transactions per median")
    parser.add_argument("--snapshots", type=int, default=400, help="appends of one row, one after another")
    chosen = parser.parse_args(arguments)
    for name, storage in storages().items():
        with tempfile.TemporaryDirectory() as folder:
            appender = Appender(LogStore(Path(folder), backend=open_backend(Path(folder), storage)))
            appender.append(1)
            tell(name, "an append", {size: median(partial(appender.append, size), chosen.times) for size in SIZES})
            tell(name, "a transaction without rows", median(appender.nothing, chosen.times))
            tell(name, "a look", median(appender.look, chosen.times))
        another = storage.model_copy(update={"catalogue": f"{storage.catalogue}_growth"})
        with tempfile.TemporaryDirectory() as folder:
            appender = Appender(LogStore(Path(folder), backend=open_backend(Path(folder), another)))
            for reached in range(chosen.snapshots // 4, chosen.snapshots + 1, chosen.snapshots // 4):
                found: dict[str, float] = median(partial(appender.append, 1), chosen.snapshots // 4)
                if storage.backend == "ducklake":
                    found |= catalogue_size(appender.store)
                tell(name, f"after {reached} appends of one row", found)
        with tempfile.TemporaryDirectory() as folder:
            lock = lock_of(name, Path(folder))
            tell(name, "lock", {waiters: handed_over(lock, waiters) for waiters in WAITERS})


def tell(backend: str, what: str, found: object) -> None:
    """Print one measurement."""
    print(json.dumps({"backend": backend, what: found}), flush=True)


def median(work: Callable[[], None], times: int) -> dict[str, float]:
    """Median seconds of some work, on the clock and of this process's processor time.

    A busy machine lengthens the first, not the second.
    """
    found = []
    for _ in range(times):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    clocks, processors = zip(*found, strict=True)
    return {"s": round(statistics.median(clocks), 4), "processor_s": round(statistics.median(processors), 4)}


def catalogue_size(store: LogStore) -> dict[str, int]:
    """Snapshots and bytes of a lake's catalogue, and Parquet files that it names."""
    import psycopg2  # noqa: PLC0415 - of an extra

    with store.looking() as tx:
        rows = tx.connection.execute("SELECT count(*) FROM mrs.snapshots()").fetchone()
    schema = store.backend.schema  # type: ignore[attr-defined]
    with psycopg2.connect(os.environ[CATALOGUE]) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind = 'r'",
            [schema],
        )
        size = cursor.fetchone()
        cursor.execute(f"SELECT count(*) FROM {schema}.ducklake_data_file")
        files = cursor.fetchone()
    return {"snapshots": int(rows[0]), "catalogue_kb": int(size[0]) // 1024, "files": int(files[0])}


def lock_of(backend: str, folder: Path) -> Callable[[], AbstractContextManager[None]]:
    """The lock that writers of a backend take turns by."""
    if backend == "file":
        return partial(writer_lock, folder / "lock")
    return partial(catalogue_lock, os.environ[CATALOGUE], f"benchmark:{folder}")


def handed_over(lock: Callable[[], AbstractContextManager[None]], waiters: int) -> dict[str, float]:
    """How a lock goes from hand to hand among processes that hold it for a moment and ask again at once.

    Returns:
        Milliseconds from a holder's end to the next one's begin (median), and how much longer than the median the
        unluckiest twentieth waited.
    """
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(waiters) as pool:
        ready = manager.Barrier(waiters)
        turns = pool.starmap(_take_turns, [(lock, ready, TURNS)] * waiters, chunksize=1)
    # Only while all of them wait: from when the last one had its first turn to when the first one asked for its last.
    begin, end = max(own[0][1] for own in turns), min(own[-1][0] for own in turns)
    middle = sorted(
        (turn for own in turns for turn in own if begin <= turn[0] and turn[1] <= end), key=lambda turn: turn[1]
    )
    if len(middle) < 2:
        return {"turns": len(middle)}
    gaps = [after[1] - before[2] for before, after in itertools.pairwise(middle)]
    waits = sorted(held - asked for asked, held, _ in middle)
    p95 = waits[int(0.95 * (len(waits) - 1))]
    return {
        "turns": len(middle),
        "hand_over_ms": round(statistics.median(gaps) * 1000, 2),
        "wait_median_ms": round(statistics.median(waits) * 1000, 1),
        "wait_p95_over_median": round(p95 / statistics.median(waits), 2),
    }


def _take_turns(
    lock: Callable[[], AbstractContextManager[None]], ready: Barrier, turns: int
) -> list[tuple[float, float, float]]:
    """When each turn was asked for, begun and ended, on the clock that all processes share."""
    found = []
    ready.wait()
    for _ in range(turns):
        asked = time.monotonic()
        with lock():
            held = time.monotonic()
            time.sleep(0.005)
            left = time.monotonic()
        found.append((asked, held, left))
    return found


if __name__ == "__main__":
    sys.exit(main())
