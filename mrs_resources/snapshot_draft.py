"""A snapshot while it is written: what a companion of the publisher may read of it and add to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb
import polars as pl

from mrs_resources.engine import table_names
from mrs_resources.statements import in_utc


class Companion(Protocol):
    """Writes something of its own into every snapshot.

    Attributes:
        name: what it writes, in one word.
    """

    @property
    def name(self) -> str:
        """What it writes."""

    def write(self, draft: SnapshotDraft) -> None:
        """Add tables and files. Must give the same for the same snapshot."""


@dataclass(frozen=True)
class SnapshotDraft:
    """The snapshot that is being written; readers do not see it yet.

    Attributes:
        run_id: namespace that it shows.
        known_at: `written_at` of its newest row. UTC.
    """

    _connection: duckdb.DuckDBPyConnection
    _folder: Path
    run_id: str
    known_at: datetime
    _former: Path | None = None

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables that it holds."""
        return table_names(self._connection)

    def query(self, sql: str, parameters: dict[str, object]) -> pl.DataFrame:
        """Rows of a statement; values are parameters."""
        return in_utc(self._connection.execute(sql, parameters).pl())

    def former_rows(self, name: str) -> tuple[datetime, pl.DataFrame] | None:
        """Rows of a table of the snapshot before, and when the newest row was written that it knew.

        None where there is no snapshot before, it showed another namespace, or it cannot be read.
        """
        if self._former is None or not self._former.exists():
            return None
        try:
            with duckdb.connect(str(self._former), read_only=True) as former:
                former.execute("SET TimeZone = 'UTC'")
                known = former.execute("SELECT known_at FROM publication WHERE run_id = ?", [self.run_id]).fetchone()
                return None if known is None else (known[0], in_utc(former.execute(f"SELECT * FROM {name}").pl()))
        except duckdb.Error:  # it has no such table, or somebody reads it in another way
            return None

    def put_table(self, name: str, ddl: str, rows: pl.DataFrame) -> None:
        """Add a table, in place of one of that name."""
        self._connection.execute(f"CREATE OR REPLACE TABLE {name} ({ddl})")
        self._connection.register("rows_put", rows)
        self._connection.execute(f"INSERT INTO {name} SELECT * FROM rows_put")
        self._connection.unregister("rows_put")

    def put_file(self, name: str, content: bytes) -> None:
        """Add a file."""
        with (self._folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def add(self, companion: Companion) -> tuple[str, str] | None:
        """Let a companion write all of what it has to say, or nothing; its name and error where it fails."""
        before = set(self._folder.iterdir())
        self._connection.execute("BEGIN")
        try:
            companion.write(self)
        except Exception as error:
            self._connection.execute("ROLLBACK")
            for file in set(self._folder.iterdir()) - before:
                file.unlink()
            return companion.name, f"{type(error).__name__}: {error}"
        self._connection.execute("COMMIT")
        return None
