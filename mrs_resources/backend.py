"""Where the warehouse is: the one place that knows how its storage is attached and locked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import duckdb

from mrs_resources.writer_lock import writer_lock

CATALOG = "mrs"
MEMORY_LIMIT = "2500MB"
STORAGE_VERSION = "v1.5.0"
"""Oldest DuckDB that reads the file. Its compression of texts halves the cost of columns that hold one value."""


class FileBackend:
    """A DuckDB file on this machine.

    The file is attached while a connection is open, and to nobody's loss detached after it. What attaches it is one
    DuckDB of this process, which has no file of its own: starting one costs as much as a small transaction.

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
        connection = self._engine.cursor()
        try:
            file = str(self.file).replace("'", "''")
            connection.execute(f"ATTACH '{file}' AS {CATALOG} (STORAGE_VERSION '{STORAGE_VERSION}')")
            connection.execute(f"SET TimeZone = 'UTC'; USE {CATALOG}")
            yield connection
        finally:
            try:
                connection.execute(f"USE memory; DETACH DATABASE IF EXISTS {CATALOG}")
            except duckdb.Error:  # whatever still holds the file, it is not to be held
                self.__dict__.pop("_engine").close()
            connection.close()

    @cached_property
    def _engine(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(self._spill)})
