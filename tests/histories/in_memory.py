"""Warehouses in memory: what a commit costs on disk is not what a history is about, and it is most of its time.

Statements, transactions and rollbacks are those of the warehouse file. Nothing is published, for there is no file to
copy. Every log exists from the start, so that nobody needs to look for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_resources.engine import CATALOG, MEMORY_LIMIT
from mrs_resources.file_backend import FileBackend
from mrs_resources.kernel import Kernel

_open: dict[Path, duckdb.DuckDBPyConnection] = {}


@contextmanager
def warehouses_in_memory() -> Iterator[None]:
    """Keep every warehouse that is begun here in memory, until the end; others stay files."""
    FileBackend.connection = _connection  # type: ignore[method-assign]
    Kernel.ensure = _is_there  # type: ignore[method-assign]
    try:
        yield
    finally:
        FileBackend.connection, Kernel.ensure = _on_disk, _look  # type: ignore[method-assign]
        for home in [*_open]:
            forget(home)


def begin(home: Path, saved: Path | None = None) -> None:
    """Open a home's warehouse: with no row, or as it was saved."""
    opened = _open[home] = duckdb.connect(config={"threads": 1, "memory_limit": MEMORY_LIMIT})
    opened.execute(f"ATTACH ':memory:' AS {CATALOG}")
    if saved is not None:
        opened.execute(f"ATTACH '{saved}' AS saved (READ_ONLY)")
        opened.execute(f"COPY FROM DATABASE saved TO {CATALOG}")
        opened.execute("DETACH saved")
        return
    opened.execute(f"USE {CATALOG}; PRAGMA disable_optimizer")
    kernel = Kernel(opened, datetime.now(UTC))
    for contract in LOGS:
        _look(kernel, contract)


def save(home: Path, file: Path) -> None:
    """Write a home's warehouse to a file."""
    _open[home].execute(f"ATTACH '{file}' AS saved")
    _open[home].execute(f"COPY FROM DATABASE {CATALOG} TO saved")
    _open[home].execute("DETACH saved")


def forget(home: Path) -> None:
    """Free what a home's warehouse takes."""
    _open.pop(home).close()


_look = Kernel.ensure
_on_disk = FileBackend.connection


@contextmanager
def _connection(backend: FileBackend) -> Iterator[duckdb.DuckDBPyConnection]:
    home = backend.file.parents[1]
    if home not in _open:
        with _on_disk(backend) as connection:
            yield connection
        return
    cursor = _open[home].cursor()
    try:
        cursor.execute(f"SET TimeZone = 'UTC'; USE {CATALOG}; PRAGMA disable_optimizer")
        yield cursor
    finally:
        cursor.close()


def _is_there(_kernel: Kernel, _contract: Contract) -> None:
    """Every log exists from the beginning."""
