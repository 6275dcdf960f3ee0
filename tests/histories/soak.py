"""`make soak`: many seeds over every processor, then kills, polls, as-of reads and flaps, with figures at the end.

MRS_FIRST_SEED resumes the histories; MRS_SEEDS, MRS_KILLS, MRS_POLLS, MRS_AS_OF and MRS_FLAPS say how many; MRS_JOBS
on how many processes.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from tests.histories import in_memory
from tests.histories.start import Start
from tests.histories.trial import Tried, attempt, start_for, worlds

TESTS = Path(__file__).parents[1]
LOOKING = ("histories/test_kills.py", "histories/test_readers.py", "alerting/test_storm.py")
LOOKS = {"MRS_KILLS": "500", "MRS_POLLS": "10000", "MRS_AS_OF": "1000", "MRS_FLAPS": "1000"}
_kept_open = ExitStack()


@cache
def _start() -> Start:
    """What the worlds of this process begin with."""
    folder = Path(_kept_open.enter_context(tempfile.TemporaryDirectory(prefix="mrs-soak-")))
    _kept_open.enter_context(in_memory.warehouses_in_memory())
    return start_for(folder / "start")


def _attempt(world: tuple[int, int]) -> Tried:
    first_seed, seeds = world
    start = _start()
    try:
        return attempt(first_seed, seeds, start, start.folder.parent / str(first_seed))
    except Exception as error:
        return Tried(first_seed, (f"{type(error).__name__}: {error}",), Counter(seeds=seeds), 0.0)


def histories(first_seed: int, seeds: int, jobs: int) -> int:
    """Try the seeds; how many differences there were."""
    asked, began = worlds(first_seed, seeds), time.monotonic()
    counts, differing, processor = Counter[str](), 0, 0.0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for done, tried in enumerate(pool.imap(_attempt, asked), start=1):
            counts += tried.counts
            differing += len(tried.found)
            processor += tried.seconds
            resume = tried.first_seed + tried.counts["seeds"]
            say(f"{done}/{len(asked)} worlds, {differing} differences; to resume: MRS_FIRST_SEED={resume}")
            if tried.found:
                say(tried.told)
    for what, number in sorted(counts.items()):
        say(f"{what}: {number}")
    say(f"seeds: {counts['seeds']}, from {first_seed}, {differing} differences")
    say(f"time: {time.monotonic() - began:.0f} s, {processor:.0f} s of processors")
    return differing


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def looks() -> int:
    """Kills, polls, as-of reads and flaps; 0 where all is well."""
    began = time.monotonic()
    asked = {name: os.environ.get(name, many) for name, many in LOOKS.items()}
    files = [str(TESTS / name) for name in LOOKING]
    failed = subprocess.run([sys.executable, "-m", "pytest", "-q", *files], env=os.environ | asked, check=False)
    for name, many in asked.items():
        say(f"{name}: {many}, {'see above' if failed.returncode else '0 differences'}")
    say(f"time: {time.monotonic() - began:.0f} s")
    return failed.returncode


def main() -> int:
    """Everything; 1 where anything differs."""
    first_seed, seeds = (int(os.environ.get(*v)) for v in (("MRS_FIRST_SEED", "0"), ("MRS_SEEDS", "10000")))
    jobs = int(os.environ.get("MRS_JOBS") or os.cpu_count() or 1)
    return int(bool(histories(first_seed, seeds, jobs)) | bool(looks()))


if __name__ == "__main__":
    sys.exit(main())
