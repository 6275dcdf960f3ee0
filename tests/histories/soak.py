"""`make soak`: many seeds, over every processor, with the figures at the end.

MRS_FIRST_SEED resumes, MRS_SEEDS says how many, MRS_JOBS on how many processes.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path

from tests.histories import in_memory
from tests.histories.start import Start
from tests.histories.trial import Tried, attempt, start_for, worlds

_scratch: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _start() -> Start:
    _scratch.append(tempfile.TemporaryDirectory(prefix="mrs-soak-"))
    in_memory.warehouses_in_memory().__enter__()  # FIXME
    return start_for(Path(_scratch[0].name) / "start")


def _attempt(world: tuple[int, int]) -> Tried:
    first_seed, seeds = world
    start = _start()
    try:
        return attempt(first_seed, seeds, start, start.folder.parent / str(first_seed))
    except Exception as error:
        return Tried(first_seed, (f"{type(error).__name__}: {error}",), Counter(seeds=seeds), 0.0)


def main() -> int:
    first_seed = int(os.environ.get("MRS_FIRST_SEED", "0"))
    asked = worlds(first_seed, int(os.environ.get("MRS_SEEDS", "10000")))
    jobs = int(os.environ.get("MRS_JOBS", str(os.cpu_count() or 1)))
    began, counts, differing = time.monotonic(), Counter[str](), 0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for done, tried in enumerate(pool.imap(_attempt, asked), start=1):
            counts += tried.counts
            differing += len(tried.found)
            print(
                f"{done}/{len(asked)} worlds, {counts['seeds']} seeds, {differing} differences, "
                f"{time.monotonic() - began:.0f} s; to resume: MRS_FIRST_SEED={tried.first_seed + tried.counts['seeds']}",
                flush=True,
            )
            if tried.found:
                print(tried.told, flush=True)
    for what, number in sorted(counts.items()):
        print(f"{what}: {number}")
    print(f"differences: {differing}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
