"""The DuckDB of this process, to which a warehouse is attached, and a transaction on it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

CATALOG = "mrs"
"""Name under which a warehouse is attached."""

MEMORY_LIMIT = "2500MB"

BROKEN = (duckdb.FatalException, duckdb.InternalException)
"""Errors after which a DuckDB does nothing more, not even a rollback."""


def started(home: Path, config: Mapping[str, str] | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB without a file of its own; what does not fit in memory goes below the home."""
    spill = str(home / "warehouse" / "spill")
    return duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill, **(config or {})})


@contextmanager
def within(connection: duckdb.DuckDBPyConnection, *, keeps: bool) -> Iterator[None]:
    """A transaction: committed at the end where it keeps what it did; rolled back otherwise, and where it raises."""
    connection.execute("BEGIN")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT" if keeps else "ROLLBACK")


@contextmanager
def closed_or_left(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection, closed at the end whatever happens, unless its DuckDB is broken.

    To close a transaction that cannot be rolled back ends the process: the error that DuckDB raises there is caught by
    nobody. Such a connection is left open, and with it what its DuckDB holds, until the process ends.
    """
    try:
        yield connection
    except BROKEN:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))
        raise
    except BaseException:
        connection.close()
        raise
    connection.close()


def table_names(connection: duckdb.DuckDBPyConnection, catalog: str | None = None) -> frozenset[str]:
    """Tables of a catalog; of the current one where none is named.

    DuckDB's list of tables also estimates their sizes, which asks a lake's catalogue about each; that of columns does
    not.
    """
    found = connection.execute(
        "SELECT database_name, table_name FROM duckdb_columns() WHERE database_name = coalesce($1, current_database()) "
        "EXCEPT SELECT database_name, view_name FROM duckdb_views()",
        [catalog],
    )
    return frozenset(str(name) for _, name in found.fetchall())


def text_literal(value: object) -> str:
    """A text, or a path, as SQL literal: for statements that take no parameter there."""
    return "'" + str(value).replace("'", "''") + "'"
