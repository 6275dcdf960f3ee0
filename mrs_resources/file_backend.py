"""The warehouse as a DuckDB file on this machine, for one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import duckdb

from mrs_resources.engine import CATALOG, started, text_literal, within
from mrs_resources.file_copy import copy_file
from mrs_resources.residence import FILE, FOLDER, check_residence
from mrs_resources.writer_lock import writer_lock

STORAGE_VERSION = "v1.5.0"
"""Oldest DuckDB that reads the file. Its compression of texts halves the cost of columns that hold one value."""

T = TypeVar("T")


class FileBackend:
    """A DuckDB file on this machine.

    The file is attached while a connection is open, and to nobody's loss detached after it. What attaches it is one
    DuckDB of this process, which has no file of its own: starting one costs as much as a small transaction. DuckDB
    lets one process at a time have the file, so that who reads waits for its turn as well.

    Attributes:
        file: the warehouse file.
    """

    def __init__(self, home: Path) -> None:
        self.file = home / FOLDER / FILE
        self._home = home

    def exists(self) -> bool:
        """Whether the file is there."""
        return self.file.exists()

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """See `Backend.writing`."""
        with self.locked(), self.connection() as connection, within(connection, keeps=True):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """See `Backend.reading`."""
        with self.locked(), self.connection() as connection, within(connection, keeps=False):
            yield connection

    def copy(
        self, look: Callable[[duckdb.DuckDBPyConnection], T | None], target: Path, _former: Path | None, /
    ) -> T | None:
        """See `Backend.copy`. A file is copied as a whole, whatever was copied before."""
        with self.locked():
            with self.connection() as connection:
                with within(connection, keeps=False):
                    found = look(connection)
                if found is None:
                    return None
                connection.execute("CHECKPOINT")
            copy_file(self.file, target)
        return found

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process out of the file, of which it is known that the logs lie in it."""
        with writer_lock(self.file.with_suffix(".lock")):
            check_residence(self._home, "file")  # who waited may have waited for them to move
            yield

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """An own connection with the warehouse attached as `mrs`, closed at the end whatever happens.

        Call within `locked`.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        connection = self._engine.cursor()
        try:
            connection.execute(f"ATTACH {text_literal(self.file)} AS {CATALOG} (STORAGE_VERSION '{STORAGE_VERSION}')")
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
        return started(self._home)
