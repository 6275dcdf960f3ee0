"""Many writers of one lake: as many real processes as this machine bears, and a simulation of more.

Each writer computes for a while (it sleeps: what it computes is not the question), takes its turn, and appends. The
simulation has one turn at a time, given in the order of asking, and draws how long a turn is held from those that were
measured. It is first held against the real processes, then asked about 64.

    MRS_CATALOG='host=127.0.0.1 dbname=scratch user=mrs' python -m benchmarks.writers
"""

from __future__ import annotations

import argparse
import heapq
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

from benchmarks.commits import WRITER, Appender
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.storage import Storage
from mrs_resources.backend import open_backend
from mrs_resources.log_store import LogStore

APART = 1_000_000
"""Numbers of rows between two writers."""

COMPUTING = (0.0, 1.0, 4.0, 16.0, 60.0)
"""Seconds between two appends of one writer, in the simulation."""

MANY = 64


@dataclass(frozen=True)
class Turn:
    """One append of one writer.

    Attributes:
        asked, left: when its transaction was asked for, and when it was over, in seconds on one clock.
    """

    asked: float
    left: float


def services(turns: Sequence[Turn]) -> list[float]:
    """Seconds for which each turn kept the others out: from when it was asked for and free, to its end.

    What opening it and handing it over took is part of that.
    """
    ended = sorted(turns, key=lambda turn: turn.left)
    return [
        turn.left - max(turn.asked, before.left if before else turn.asked)
        for before, turn in zip([None, *ended], ended, strict=False)
    ]


def simulate(writers: int, holds: Sequence[float], computing: float, until: float, seed: int = 1) -> list[Turn]:
    """Turns of writers who compute, wait, hold and begin again.

    Args:
        writers: how many.
        holds: measured seconds of a turn, drawn from.
        computing: mean seconds between two turns of a writer, exponentially distributed.
        until: seconds to simulate.
        seed: of what is drawn.
    """
    draw = random.Random(seed)

    def thinks() -> float:
        return draw.expovariate(1 / computing) if computing else 0.0

    queue = [(thinks(), writer) for writer in range(writers)]
    heapq.heapify(queue)
    free, turns = 0.0, []
    while queue:
        asked, writer = heapq.heappop(queue)
        free = max(asked, free) + draw.choice(holds)
        turns.append(Turn(asked, free))
        if free < until:
            heapq.heappush(queue, (free + thinks(), writer))
    return turns


def measure(
    home: Path, storage: Storage, first: int, writers: int, rows: int, computing: float, seconds: float
) -> list[Turn]:
    """Turns of real processes, for some seconds after all of them are ready."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(writers) as pool:
        ready = manager.Barrier(writers)
        work = [(home, storage, first + writer, ready, rows, computing, seconds) for writer in range(writers)]
        return [turn for own in pool.starmap(_write, work, chunksize=1) for turn in own]


def _write(
    home: Path, storage: Storage, writer: int, ready: Barrier, rows: int, computing: float, seconds: float
) -> list[Turn]:
    draw = random.Random(writer)
    store = LogStore(home, backend=open_backend(home, storage))
    appender = Appender(store, writer * APART)
    appender.look()
    ready.wait()
    turns, last = [], time.monotonic() + seconds
    while time.monotonic() < last:
        time.sleep(draw.expovariate(1 / computing) if computing else 0.0)
        asked = time.monotonic()
        appender.append(rows)
        turns.append(Turn(asked, time.monotonic()))
    return turns


def told(turns: Sequence[Turn]) -> dict[str, float]:
    """Appends per second, how long one kept the others out, and how long it took with all waiting."""
    took = sorted(turn.left - turn.asked for turn in turns)
    median, p95 = statistics.median(took), took[int(0.95 * (len(took) - 1))]
    return {
        "appends": len(turns),
        "per_s": round(len(turns) / (max(turn.left for turn in turns) - min(turn.asked for turn in turns)), 2),
        "kept_others_out_s": round(statistics.median(services(turns)), 3),
        "took_median_s": round(median, 2),
        "took_p95_s": round(p95, 2),
        "p95_over_median": round(p95 / median, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per measurement, with what the simulation makes of the same, and one per simulated rate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--computing", type=float, default=0.5, help="mean seconds between two appends of one writer")
    parser.add_argument("--seconds", type=float, default=30.0)
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        home, storage = Path(folder), Storage(backend="ducklake", catalogue=f"writers_{os.getpid()}")
        Appender(LogStore(home, backend=open_backend(home, storage))).append(1)
        holds: list[float] = []
        first = 0
        for writers in chosen.writers:
            first += MANY
            real = measure(home, storage, first, writers, chosen.rows, chosen.computing, chosen.seconds)
            holds = services(real)
            made_up = simulate(writers, holds, chosen.computing, chosen.seconds)
            line = {"writers": writers, "rows": chosen.rows, "real": told(real), "simulated": told(made_up)}
            print(json.dumps(line), flush=True)
        _check(LogStore(home, backend=open_backend(home, storage)))
    for computing in COMPUTING:
        found = told(simulate(MANY, holds, computing, 3_600.0))
        print(json.dumps({"writers": MANY, "computing_s": computing, "simulated": found}))


def _check(store: LogStore) -> None:
    """No key twice in one version, and instants in the order of the appends."""
    with store.looking() as tx:
        found = tx.query(
            f"SELECT count(*) AS rows, count(DISTINCT ({', '.join(BASELINE.key)}, version)) AS versions, "
            f"count(*) FILTER (WHERE code_version <> '{WRITER.code_version}') AS others FROM {BASELINE.name}"
        )
    print(json.dumps(found.row(0, named=True)))
    if found["rows"][0] != found["versions"][0]:
        raise RuntimeError("a version was written twice")


if __name__ == "__main__":
    sys.exit(main())
