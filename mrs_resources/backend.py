"""Where the warehouse is: the one place that knows how its storage is attached and locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from mrs_resources.writer_lock import writer_lock

CATALOG = "mrs"
MEMORY_LIMIT = "2500MB"
STORAGE_VERSION = "v1.5.0"
"""Oldest DuckDB that reads the file. Its compression of texts halves the cost of columns that hold one value."""


class FileBackend:
    """A DuckDB file on this machine.

    Attributes:
        file: the warehouse file.
    """

    def __init__(self, home: Path) -> None:
        self.file = home / "warehouse" / "mrs.duckdb"
        self._spill = home / "warehouse" / "spill"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process out of the file."""
        with writer_lock(self.file.with_suffix(".lock")):
            yield

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """An own connection with the warehouse attached as `mrs`, closed at the end whatever happens.

        Call within `locked`.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(self._spill)})
        try:
            connection.execute("SET TimeZone = 'UTC'")
            file = str(self.file).replace("'", "''")
            connection.execute(f"ATTACH '{file}' AS {CATALOG} (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection.execute(f"USE {CATALOG}")
            yield connection
        finally:
            connection.close()
