from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # more threads than free cores wait for one another, twenty times as long
os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import duckdb
import pytest

from mrs_resources.log_store import LogStore

os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
for setting in ("MRS_HOME", "MRS_FEEDS", "DAGSTER_HOME"):
    os.environ.pop(setting, None)  # a test never touches the home of whoever runs it

_connect = duckdb.connect


def _on_one_thread(*arguments: Any, config: dict[str, Any] | None = None, **named: Any) -> duckdb.DuckDBPyConnection:
    """A connection without threads of its own: starting them takes a quarter of what a small world costs."""
    return _connect(*arguments, config={"threads": 1} | (config or {}), **named)


duckdb.connect = _on_one_thread


class SteppingClock:
    """A clock that a test moves: every reading is one second after the last."""

    def __init__(self, now: datetime = datetime(2024, 6, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def store(tmp_path: Path, clock: SteppingClock) -> LogStore:
    return LogStore(tmp_path, clock)
