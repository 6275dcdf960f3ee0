"""Many processes on one lake: nothing is lost, doubled or torn, whoever dies. More of it: MRS_WRITES, MRS_SERVER_STOPS.

MRS_WRITES=1500 MRS_WRITER_KILLS=200 MRS_SERVER_STOPS=5 pytest tests/storage/test_many_writers.py -s
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from mrs_assets.contracts.storage import CATALOGUE
from mrs_resources.warehouse import Warehouse
from tests.backends import ON_A_LAKE
from tests.postgres import Postgres, running
from tests.storage.lakes import lake, warehouse_in
from tests.storage.writers import acknowledged, faults, read, say, write

pytestmark = ON_A_LAKE

WRITES = int(os.environ.get("MRS_WRITES", "12"))
"""Transactions of each writer."""

KILLS = int(os.environ.get("MRS_WRITER_KILLS", "6"))
STOPS = int(os.environ.get("MRS_SERVER_STOPS", "1"))
WRITERS, READERS = 4, 2
PATIENCE = 3600
START = multiprocessing.get_context("spawn")


@pytest.fixture
def server() -> Iterator[Postgres]:
    with running() as own, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CATALOGUE, own.address)
        yield own


def begun(home: Path) -> Warehouse:
    warehouse = warehouse_in(home, lake("many"))
    with warehouse.store.transaction() as tx:
        say(tx, WRITERS, 1)
    return warehouse


def started(home: Path, who: int) -> SpawnProcess:
    process = START.Process(target=write, args=(home, "many", who, WRITES))
    process.start()
    return process


def committed(home: Path) -> int:
    return sum(len(acknowledged(home, who)) for who in range(WRITERS))


def until(home: Path, count: int, writers: list[SpawnProcess]) -> None:
    """Wait until so many transactions were committed in all, or every writer has ended."""
    while committed(home) < count and any(writer.is_alive() for writer in writers):
        time.sleep(0.02)


def ended(writers: list[SpawnProcess]) -> None:
    for writer in writers:
        writer.join(PATIENCE)
        assert writer.exitcode == 0


def test_writers_wait_fairly_and_readers_see_whole_states(tmp_path: Path, server: Postgres) -> None:
    warehouse = begun(tmp_path)
    readers = [START.Process(target=read, args=(tmp_path, "many", who)) for who in range(READERS)]
    for reader in readers:
        reader.start()
    began = time.monotonic()
    ended([started(tmp_path, who) for who in range(WRITERS)])
    seconds = time.monotonic() - began
    (tmp_path / "enough").touch()
    ended(readers)
    looks = [line for who in range(READERS) for line in (tmp_path / f"reader-{who}").read_text().splitlines()]
    assert looks
    assert set(looks) == {"whole"}
    assert faults(warehouse.store, tmp_path, WRITERS) == []
    assert committed(tmp_path) == WRITERS * WRITES
    assert server.locks() == 0
    waits = sorted(float(w) for who in range(WRITERS) for w in (tmp_path / f"waits-{who}").read_text().split())
    p95 = waits[int(len(waits) * 0.95) - 1]
    middle = statistics.median(waits)
    sys.stdout.write(
        f"\n{committed(tmp_path)} transactions of {WRITERS} writers in {seconds:.0f} s, {len(looks)} looks; "
        f"waits: median {middle:.3f} s, p95 {p95:.3f} s, p95 / median {p95 / middle:.1f}\n"
    )


def test_writers_that_are_killed_lose_and_double_nothing(tmp_path: Path, server: Postgres) -> None:
    warehouse = begun(tmp_path)
    chance = random.Random(5)  # noqa: S311 - which writer dies is no secret
    writers = [started(tmp_path, who) for who in range(WRITERS)]
    for kill in range(KILLS):
        until(tmp_path, (kill + 1) * WRITERS * WRITES // (KILLS + 2), writers)
        time.sleep(chance.uniform(0, 0.1))
        who = chance.randrange(WRITERS)
        writers[who].kill()
        writers[who].join()
        writers[who] = started(tmp_path, who)
    ended(writers)
    assert faults(warehouse.store, tmp_path, WRITERS) == []
    assert committed(tmp_path) == WRITERS * WRITES
    assert server.locks() == 0


def test_a_server_that_is_restarted_loses_and_doubles_nothing(tmp_path: Path, server: Postgres) -> None:
    begun(tmp_path)
    writers = [started(tmp_path, who) for who in range(WRITERS)]
    for stop in range(STOPS):
        until(tmp_path, (stop + 1) * WRITERS * WRITES // (STOPS + 2), writers)
        server.stop("immediate" if stop % 2 == 0 else "fast")
        server.start()
    ended(writers)
    assert faults(warehouse_in(tmp_path, lake("many")).store, tmp_path, WRITERS) == []
    assert committed(tmp_path) == WRITERS * WRITES
    assert server.locks() == 0
