"""What stories of crashes share: ticks in processes of their own, and what it means to believe the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.catalogue import COMPUTED
from mrs_assets.contracts.views import VIEWS
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader
from tests.world import World

ROOT = Path(__file__).parents[2]
COMPARED = [c for c in COMPUTED if c is not ARRIVALS]
ACCOUNT = ["file_hash", "rows_received", "rows_accepted", "rows_duplicate", "rows_dead_lettered", "decision"]


def start_tick(home: Path, moment: str = "before", fatal: int = 0) -> subprocess.Popen[bytes]:
    """A tick in a process of its own, which dies as `killed_tick` says."""
    arguments = [sys.executable, "-m", "tests.stories.killed_tick", str(home), moment, str(fatal)]
    same_every_time = os.environ | {"PYTHONHASHSEED": "0"}
    return subprocess.Popen(arguments, cwd=ROOT, env=same_every_time, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish_tick(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Wait for a tick that is to live; how often its moments came."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    return dict(json.loads(output))


def kill_tick(home: Path, moment: str, fatal: int) -> None:
    """Run a tick that is to die, and see it dead."""
    process = start_tick(home, moment, fatal)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()[-2000:]


def assert_same_belief(world: World, other: World) -> None:
    """Every log's live rows, every file's account and both views are the same, and published."""
    for contract in COMPARED:
        assert_frame_equal(world.content(contract), other.content(contract), check_row_order=False)
    accounts = [w.live(ARRIVALS).select(ACCOUNT) for w in (world, other)]
    assert_frame_equal(*accounts, check_row_order=False)
    for view in VIEWS:
        ours, theirs = (w.query(f"SELECT * FROM {view.name} ORDER BY {view.key}") for w in (world, other))
        assert_frame_equal(ours.drop("known_at"), theirs.drop("known_at"))
        assert_frame_equal(SnapshotReader(world.home, FOLDS).show(view.name).sort(view.key), ours)
    assert world.warehouse.publisher.is_current()


def assert_same_history(world: World, other: World, contracts: Iterable[Contract] = COMPARED) -> None:
    """No version was lost, and none written twice."""
    for contract in contracts:
        columns = [*contract.key, "version", "is_retracted", "row_hash"]
        ours, theirs = (_history(w, contract).select(columns) for w in (world, other))
        assert_frame_equal(ours, theirs)


def _history(world: World, contract: Contract) -> pl.DataFrame:
    with world.warehouse.store.transaction() as tx:
        return tx.history(contract)
