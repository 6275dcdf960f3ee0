"""Copies one state of a lake to a DuckDB file; where there is a copy of an earlier state, only what came since.

Logs only grow, and `append_batches` is the account of how: rows of a later batch are written later, and each batch says
how many it has. An earlier copy whose batches are the lake's first ones therefore lacks the rows that were written
after the newest of them. Whether it has all of them in the end is counted; where it has not, everything is copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_resources.batches import TABLE as BATCHES
from mrs_resources.engine import CATALOG, table_names, text_literal, within
from mrs_resources.file_copy import copy_file

GROWING = frozenset({BATCHES, *(name for log in LOGS for name in (log.name, f"{log.name}_errors"))})
"""Tables whose rows are never changed nor taken away."""

_COPY = "copy"


@dataclass(frozen=True)
class LakeState:
    """A lake at one instant.

    Attributes:
        number: of DuckLake's snapshot.
        tables: those that there are; writers may make others while they are copied.
    """

    number: int
    tables: frozenset[str]

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection) -> LakeState:
        """What a transaction on the lake sees."""
        ((number,),) = connection.execute(f"SELECT id FROM {CATALOG}.current_snapshot()").fetchall()
        return cls(number, table_names(connection))


def copy_lake(connection: duckdb.DuckDBPyConnection, state: LakeState, target: Path, former: Path | None) -> None:
    """Make a file that holds a lake's tables.

    Args:
        connection: with the lake as current catalog, not in a transaction.
        state: what to copy.
        target: file to make.
        former: copy of an earlier state, to begin with.
    """
    if former is not None and former.exists():
        copy_file(former, target)
        with _attached(connection, target):
            done = _Copy(connection, state).catch_up()
        if done:
            return
        target.unlink()
    with _attached(connection, target):
        _Copy(connection, state).take_everything()


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, file: Path) -> Iterator[None]:
    connection.execute(f"ATTACH {text_literal(file)} AS {_COPY}")
    try:
        with within(connection, keeps=True):
            yield
    finally:
        connection.execute(f"DETACH {_COPY}")


class _Copy:
    """The attached file, and the lake whose tables it is to hold."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, state: LakeState) -> None:
        self._connection = connection
        self._state = state
        self._tables = sorted(state.tables)

    def take_everything(self) -> None:
        for name in self._tables:
            self._take(name)

    def catch_up(self) -> bool:
        """Take what the copy lacks; whether it is a copy of this lake, and has everything then."""
        newest = self._has_up_to()
        if newest is None:
            return False
        self._drop_what_is_not_the_lakes()
        kept = self._tables_of_one_shape() & GROWING
        grown = self._grown_since(newest)
        for name in self._tables:
            if name not in kept:
                self._take(name)
            elif name in grown:
                self._take_newer(name, newest)
        return self._is_complete()

    def _has_up_to(self) -> datetime | None:
        """The newest instant of the copy's batches; None where they are not the lake's first ones."""
        if BATCHES not in table_names(self._connection, _COPY):
            return None
        told = "SELECT max(written_to), count(*), bit_xor(hash(batch_id)) FROM"
        (mine,) = self._rows(f"{told} {_COPY}.{BATCHES}")
        (lakes,) = self._rows(f"{told} {self._then(BATCHES)} WHERE written_to <= ?", mine[0])
        return mine[0] if mine == lakes else None

    def _grown_since(self, newest: datetime) -> set[str]:
        """Tables with later rows."""
        later = (
            f"SELECT log_name, sum(appended + retracted), sum(rejected) FROM {self._then(BATCHES)} "
            "WHERE written_to > ? GROUP BY ALL"
        )
        grown = {BATCHES}
        for log, rows, letters in self._rows(later, newest):
            grown |= ({log} if rows else set()) | ({f"{log}_errors"} if letters else set())
        return grown

    def _drop_what_is_not_the_lakes(self) -> None:
        """What was made in the copy."""
        views = self._rows("SELECT view_name FROM duckdb_views() WHERE database_name = ? AND NOT internal", _COPY)
        for (name,) in views:
            self._connection.execute(f'DROP VIEW {_COPY}."{name}"')
        for name in table_names(self._connection, _COPY) - {*self._tables}:
            self._connection.execute(f'DROP TABLE {_COPY}."{name}"')

    def _tables_of_one_shape(self) -> set[str]:
        """Tables that have the same columns in the copy."""
        columns = (
            "SELECT table_name, list((column_name, data_type) ORDER BY column_name) FROM duckdb_columns() "
            "WHERE database_name = ? GROUP BY ALL"
        )
        mine = dict(self._rows(columns, _COPY))
        return {name for name, shape in self._rows(columns, CATALOG) if mine.get(name) == shape}

    def _take(self, name: str) -> None:
        self._connection.execute(f'CREATE OR REPLACE TABLE {_COPY}."{name}" AS FROM {self._then(name)}')

    def _take_newer(self, name: str, than: datetime) -> None:
        instant = "written_to" if name == BATCHES else "written_at"
        newer = f"SELECT * FROM {self._then(name)} WHERE {instant} > ?"
        self._connection.execute(f'INSERT INTO {_COPY}."{name}" BY NAME {newer}', [than])

    def _is_complete(self) -> bool:
        """Whether every log has as many rows as were ever written to it."""
        written = "SELECT log_name, sum(appended + retracted), sum(rejected) FROM"
        count = f"SELECT count(*) FROM {_COPY}"
        return all(
            self._rows(f'{count}."{log}"') == [(rows,)] and self._rows(f'{count}."{log}_errors"') == [(letters,)]
            for log, rows, letters in self._rows(f"{written} {_COPY}.{BATCHES} GROUP BY ALL")
        )

    def _then(self, name: str) -> str:
        """SQL: a table of the lake as it was in the state."""
        return f'{CATALOG}."{name}" AT (VERSION => {self._state.number})'

    def _rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, list(values)).fetchall()
