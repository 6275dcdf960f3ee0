"""What a lake costs beside the file: a one-day tick on each, publication, and a home that moves there and back.

PostgreSQL is one of its own, on this machine, without its fsync. Needs the extra `lake` and PostgreSQL.

    python -m benchmarks.storage tick [series]
    python -m benchmarks.storage publish [rows]
    python -m benchmarks.storage move [rows]
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.kernel import offer, rows_of
from benchmarks.tick import last_of_three_days
from mrs_assets.contracts.storage import CATALOGUE, ON_FILE, Kind, Storage
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.backend import open_backend
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore
from mrs_resources.moving import Mover
from mrs_resources.publisher import Publisher
from tests.postgres import running

LAKE = Storage(backend="ducklake")


def say(**figures: object) -> None:
    """Print figures at once."""
    print(json.dumps(figures), flush=True)


def tick(series: int) -> None:
    """A warm one-day tick on each storage, twice in turns."""
    walls: dict[str, list[float]] = {"file": [], "ducklake": []}
    for turn in range(2):
        for storage in (ON_FILE, LAKE.model_copy(update={"catalogue": f"mrs_{turn}"})):
            wall, work = last_of_three_days(series, storage)
            walls[storage.backend].append(wall)
            print(
                json.dumps({"backend": storage.backend, "wall_s": round(wall, 2), "work_s": round(work, 2)}), flush=True
            )
    say(series=series, lake_over_file=round(min(walls["ducklake"]) / min(walls["file"]), 2))


def publish(rows: int) -> None:
    """Publish a lake, and again after a thousandth more."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        backend = open_backend(home, LAKE)
        for first, last in ((0, rows), (rows, rows + rows // 1000)):
            with LogStore(home, backend=backend).transaction() as tx:
                offer(tx, rows_of(first, last))
                Hydrator(FOLDS).refresh(tx)
            began = time.perf_counter(), time.process_time()
            Publisher(home, backend).publish()
            wall, processor = time.perf_counter() - began[0], time.process_time() - began[1]
            say(rows=last, added=last - first, published_in_s=round(wall, 2), processor_s=round(processor, 2))


def move(rows: int) -> None:
    """There, killed half way and gone on with, and back."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with LogStore(home).transaction() as tx:
            offer(tx, rows_of(0, rows))
        enough = multiprocessing.get_context("spawn").Event()
        mover = multiprocessing.get_context("spawn").Process(target=move_until, args=(home, rows // 2, enough))
        mover.start()
        enough.wait()
        mover.kill()
        mover.join()
        say(killed=mover.exitcode, about_half_way_of=rows)
        kinds: tuple[Kind, ...] = ("ducklake", "file")
        for to in kinds:
            began = time.perf_counter()
            told: list[str] = []
            moved = Mover(home, LAKE, told.append).move(to, datetime.now(UTC))
            seconds = time.perf_counter() - began
            copied = sum(text.endswith("rows") for text in told)
            same = all(table.same for table in moved.tables)
            most = max(table.rows for table in moved.tables)
            print(
                json.dumps({"to": to, "rows": most, "same": same, "batches": copied, "s": round(seconds, 1)}),
                flush=True,
            )


def move_until(home: Path, rows: int, enough: Event) -> None:
    """Move, and say when so many rows of a log are there."""

    def tell(text: str) -> None:
        found = re.match(r"\w+: ([\d,]+) of", text)
        if found and int(found[1].replace(",", "")) >= rows:
            enough.set()

    Mover(home, LAKE, tell).move("ducklake", datetime.now(UTC))


def main() -> None:
    """Run what is asked for."""
    what, *size = sys.argv[1:] or ["tick"]
    with running() as server:
        os.environ[CATALOGUE] = server.address
        work, usual = {"tick": (tick, 900), "publish": (publish, 10_000_000), "move": (move, 10_000_000)}[what]
        work(int(size[0]) if size else usual)


if __name__ == "__main__":
    main()
