"""What is run on every storage of the logs, and how a test's homes come to lie in a lake."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from mrs_assets.contracts.storage import CATALOGUE, ON_FILE, Storage
from mrs_resources import log_store, publisher, warehouse
from mrs_resources.backend import Backend, open_backend
from mrs_resources.lake_backend import LakeBackend
from tests.postgres import binaries, copy_schema

CONFORMING = frozenset(
    {
        "tests.resources.test_kernel",
        "tests.resources.test_publisher",
        "tests.resources.test_dead_letters",
        "tests.resources.test_breaker",
        "tests.resources.test_letter_fix",
        "tests.resources.test_admission",
        "tests.contracts.test_every_log",
        "tests.hydration.test_refresh_properties",
        "tests.hydration.test_events",
        "tests.execution.test_spreading",
        "tests.stories.test_crash",
        "tests.stories.test_random_kills",
        "tests.stories.test_a_retailer_resends",
        "tests.stories.test_edits_survive",
    }
)
"""Modules that are run on each."""

REQUIRED = "MRS_TEST_LAKES"
"""Environment variable under which a lake that cannot be had is a failure."""

_ON_LAKES = "MRS_TEST_ON_LAKES"
"""Environment variable by which processes that a test starts know where their homes lie."""

_LACKING = [
    name
    for name, there in {
        "the extra `lake`": find_spec("psycopg2") and find_spec("duckdb_extension_ducklake"),
        "PostgreSQL": binaries(),
    }.items()
    if not there
]
LAKE_IS_THERE = pytest.mark.skipif(
    bool(_LACKING) and REQUIRED not in os.environ, reason=f"not installed: {', '.join(_LACKING)}"
)
ON_A_LAKE = [pytest.mark.lake, LAKE_IS_THERE]
"""Marks of what needs a lake."""

OVER_WORKERS = [
    pytest.mark.lake,
    pytest.mark.skipif(
        not find_spec("distributed") and REQUIRED not in os.environ, reason="not installed: the extra `workers`"
    ),
]
"""Marks of what needs Dask's workers."""


def storage_of(home: Path) -> Storage:
    """Where a test's home lies: in a file, or in a lake of its own."""
    if _ON_LAKES not in os.environ:
        return ON_FILE
    return Storage(backend="ducklake", catalogue=f"home_{hashlib.sha256(str(home).encode()).hexdigest()[:16]}")


@contextmanager
def on_the_lake() -> Iterator[None]:
    """Homes for which nothing else is said lie in a lake, but those that begin as a copy of a published file."""
    rooms = (log_store, publisher, warehouse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_ON_LAKES, "yes")
        for room in rooms:
            patch.setattr(room, "open_backend", _opened)
        yield


def _opened(home: Path, storage: Storage = ON_FILE) -> Backend:
    if storage != ON_FILE or (home / "warehouse" / "mrs.duckdb").exists():
        return open_backend(home, storage)
    return LakeBackend(home, storage_of(home))


def copy_home(home: Path, target: Path) -> None:
    """Copy a home with all that it stands on."""
    shutil.copytree(home, target, symlinks=True, dirs_exist_ok=True)
    if (storage := storage_of(home)) != ON_FILE:
        copy_schema(os.environ[CATALOGUE], storage.catalogue, storage_of(target).catalogue)
