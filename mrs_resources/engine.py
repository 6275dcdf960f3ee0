"""The DuckDB of this process, to which a warehouse is attached, and a transaction on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

CATALOG = "mrs"
"""Name under which a warehouse is attached."""

MEMORY_LIMIT = "2500MB"


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
