from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # more threads than free cores wait for one another, twenty times as long
os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported

import duckdb
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from mrs_assets.contracts.storage import CATALOGUE
from mrs_resources.log_store import LogStore
from tests import backends
from tests.postgres import Postgres, running

os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"
for setting in ("MRS_HOME", "MRS_FEEDS", "DAGSTER_HOME"):
    os.environ.pop(setting, None)  # a test never touches the home of whoever runs it

_connect = duckdb.connect


def _on_one_thread(*arguments: Any, config: dict[str, Any] | None = None, **named: Any) -> duckdb.DuckDBPyConnection:
    """A connection without threads of its own: starting them takes a quarter of what a small world costs."""
    return _connect(*arguments, config={"threads": 1} | (config or {}), **named)


duckdb.connect = _on_one_thread

LONG = ("histories", "stories")
"""Rooms whose modules take minutes each; so do those of rooms with a world of their own."""

MOST_ON_A_LAKE = 3
"""Cases of one test that are tried on a lake, where each costs several times as much."""


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the catalogues of this process's lakes."""
    with running() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CATALOGUE, server.address)
        yield server


@pytest.fixture(scope="module", autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """The storage that the homes of a module's tests lie in."""
    asked = getattr(request, "param", "file")
    if asked == "file":
        yield asked
        return
    request.getfixturevalue("postgres")
    with backends.on_the_lake():
        yield asked


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Modules that tell what every storage has to do are run on each."""
    if metafunc.module.__name__ in backends.CONFORMING:
        lake = pytest.param("ducklake", marks=backends.ON_A_LAKE)
        metafunc.parametrize("backend", ["file", lake], indirect=True, scope="module")


def room_of(module: Path) -> Path | None:
    """The folder of a test module, where it has a world of its own that its modules share."""
    return module.parent if (module.parent / "conftest.py").exists() else None


class ByWorld(LoadScopeScheduling):
    """Sends to one worker what shares a world: the tests of a module, or of a room with a world of its own."""

    def _split_scope(self, nodeid: str) -> str:
        module = self.config.rootpath / nodeid.partition("::")[0]
        return str(room_of(module) or module)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByWorld:
    """Every worker gets whole worlds."""
    return ByWorld(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no worker is left alone with it at the end.

    Of a test that is marked `few`, and of any on a lake, cases after the first few are a sweep.
    """
    seen = Counter[tuple[str, bool]]()
    for item in items:
        few, on_a_lake = item.get_closest_marker("few"), item.get_closest_marker("lake") is not None
        case_of = (item.nodeid.partition("[")[0], on_a_lake)
        seen[case_of] += 1
        limits = [*(few.args if few else ()), *([MOST_ON_A_LAKE] if on_a_lake else ())]
        if limits and seen[case_of] > min(limits):
            item.add_marker(pytest.mark.sweep)
    items.sort(key=lambda item: room_of(item.path) is None and item.path.parent.name not in LONG)


@pytest.fixture
def store(tmp_path: Path, clock: SteppingClock) -> LogStore:
    return LogStore(tmp_path, clock)
