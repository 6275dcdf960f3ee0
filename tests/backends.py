"""What is run on every storage of the logs, and how a test's homes come to lie in a lake."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from mrs_assets.contracts.storage import ON_FILE, Storage
from mrs_resources import log_store, publisher, warehouse
from mrs_resources.backend import Backend, open_backend
from mrs_resources.lake_backend import LakeBackend
from tests.postgres import binaries

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
    }
)
"""Modules that are run on each."""

REQUIRED = "MRS_TEST_LAKES"
"""Environment variable under which a lake that cannot be had is a failure."""

_LACKING = [
    name
    for name, there in {
        "the extra `lake`": find_spec("psycopg2") and find_spec("duckdb_extension_ducklake"),
        "PostgreSQL": binaries(),
    }.items()
    if not there
]
NEEDS_A_LAKE = pytest.mark.skipif(
    bool(_LACKING) and REQUIRED not in os.environ, reason=f"not installed: {', '.join(_LACKING)}"
)


def storage_of(home: Path) -> Storage:
    """A lake of its own for a home."""
    return Storage(backend="ducklake", catalogue=f"home_{hashlib.sha256(str(home).encode()).hexdigest()[:16]}")


@contextmanager
def on_the_lake() -> Iterator[None]:
    """Homes for which nothing else is said lie in a lake, but those that begin as a copy of a published file."""
    rooms = (log_store, publisher, warehouse)
    for room in rooms:
        room.open_backend = _opened  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for room in rooms:
            room.open_backend = open_backend  # type: ignore[attr-defined]


def _opened(home: Path, storage: Storage = ON_FILE) -> Backend:
    if storage != ON_FILE or (home / "warehouse" / "mrs.duckdb").exists():
        return open_backend(home, storage)
    return LakeBackend(home, storage_of(home))
