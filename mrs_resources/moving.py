"""Moves the logs of a home from one storage to the other: in batches, resumable, and compared row for row.

Nobody writes meanwhile. What was copied is noted with each batch, in its transaction, so that a move that died goes on
where it was. Logs only ever grow and are copied once; tables of the views are copied at the end, whole. Where every
table is the same, the home says that its logs lie elsewhere from now on; what they were copied from stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from mrs_assets.contracts.errors import MrsError, UserMistake
from mrs_assets.contracts.storage import Kind, Storage
from mrs_resources.engine import CATALOG, table_names, text_literal, within
from mrs_resources.file_backend import STORAGE_VERSION, FileBackend
from mrs_resources.lake_backend import TURNS, LakeBackend
from mrs_resources.lake_copy import GROWING
from mrs_resources.residence import FOLDER, move_residence, residence

ROWS_AT_ONCE = 1_000_000
LEDGER = "migration"
"""Table of the storage that is moved to, while it is not finished: which rows it has."""

CERTIFICATES = "migrations"
_FILE = "other"

Tell = Callable[[str], None]
Counted = Callable[[], AbstractContextManager[None]]
"""Opens a transaction on what is moved to."""


@dataclass(frozen=True)
class ComparedTable:
    """One table, before and after.

    Attributes:
        table: its name.
        rows, found: rows of the storage that was left, and of the new one.
        checksum, checksum_found: of the rows as a bag: MD5 of each row's text, combined by XOR and by sum.
    """

    table: str
    rows: int
    found: int
    checksum: str
    checksum_found: str

    @property
    def same(self) -> bool:
        """Whether every row is there, once, and no other."""
        return (self.rows, self.checksum) == (self.found, self.checksum_found)


@dataclass(frozen=True)
class Moved:
    """What a move did.

    Attributes:
        to: where the logs lie now.
        tables: every table, compared.
        certificate: file that says the same.
    """

    to: Kind
    tables: tuple[ComparedTable, ...]
    certificate: Path


class Mover:
    """Moves the logs of one home.

    Attributes:
        rows_at_once: rows of a batch.
    """

    def __init__(self, home: Path, storage: Storage, tell: Tell, rows_at_once: int = ROWS_AT_ONCE) -> None:
        self.rows_at_once = rows_at_once
        self._home = home
        self._file = FileBackend(home)
        self._lake = LakeBackend(home, storage)
        self._tell = tell

    def move(self, to: Kind, now: datetime, *, restart: bool = False) -> Moved:
        """Copy what is not there yet, compare everything, and move the home.

        Args:
            to: where.
            now: the instant, for the certificate; UTC.
            restart: begin anew, in place of whatever the storage moved to holds.

        Raises:
            UserMistake: the logs lie there already, there are none, or that storage holds other logs.
            MrsError: a table came out otherwise; the home was not moved.
        """
        lives = residence(self._home)
        if lives is None:
            raise UserMistake(f"{self._home} has no logs to move.", remedy="Set the backend in [storage] and begin.")
        if lives == to:
            raise UserMistake(f"The logs of {self._home} lie in {to!r} already.")
        if restart and to == "file":
            self._arriving.unlink(missing_ok=True)
        with self._alone(lives) as connection:
            tables = self._copied(connection, to, restart)
            if different := [table.table for table in tables if not table.same]:
                raise MrsError(
                    f"{', '.join(different)} came out otherwise. The home was not moved.",
                    remedy=f"Run `mrs migrate --to {to} --restart`.",
                )
            if to == "file":
                self._arriving.replace(self._file.file)
            certificate = self._certify(to, tables, now)
            move_residence(self._home, to)
        return Moved(to, tables, certificate)

    @property
    def _arriving(self) -> Path:
        """The file that is moved to, until it is whole."""
        return self._file.file.with_suffix(".arriving")

    @contextmanager
    def _alone(self, lives: Kind) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the lake while nobody writes, neither there nor to the file that is left."""
        with self._file.locked() if lives == "file" else nullcontext(), self._lake.turn() as connection:
            yield connection

    def _copied(self, connection: duckdb.DuckDBPyConnection, to: Kind, restart: bool) -> tuple[ComparedTable, ...]:
        """Copy with the file attached; what was written to it is in it, and nowhere else, when it is no more."""
        if to == "ducklake":
            with _attached(connection, self._file.file, "READ_ONLY"):
                return self._copy(connection, _FILE, CATALOG, lambda: self._lake.counted(connection), restart)
        with _attached(connection, self._arriving, f"STORAGE_VERSION '{STORAGE_VERSION}'"):
            return self._copy(connection, CATALOG, _FILE, lambda: within(connection, keeps=True), restart)

    def _copy(
        self, connection: duckdb.DuckDBPyConnection, source: str, target: str, counted: Counted, restart: bool
    ) -> tuple[ComparedTable, ...]:
        names = sorted(table_names(connection, source) - {TURNS, LEDGER})
        growing = [name for name in names if name in GROWING]
        self._begin(connection, target, counted, restart)
        with counted():
            for name in growing:
                connection.execute(f"CREATE TABLE IF NOT EXISTS {target}.{name} AS FROM {source}.{name} WITH NO DATA")
        for name in growing:
            self._copy_what_is_new(connection, name, source, target, counted)
        with counted():
            for name in sorted({*names} - {*growing}):
                connection.execute(f"DROP TABLE IF EXISTS {target}.{name}")
                connection.execute(f"CREATE TABLE {target}.{name} AS FROM {source}.{name}")
        compared = []
        for name in names:
            self._tell(f"comparing {name}")
            compared.append(_compared(connection, name, source, target))
        with counted():
            connection.execute(f"DROP TABLE {target}.{LEDGER}")
        return tuple(compared)

    def _begin(self, connection: duckdb.DuckDBPyConnection, target: str, counted: Counted, restart: bool) -> None:
        there = table_names(connection, target) - {TURNS}
        if there and LEDGER not in there and not restart:
            raise UserMistake(
                f"The storage moved to holds logs already, {len(there)} tables of them. Nothing was written.",
                remedy="Name another schema in [storage] catalogue; --restart puts this home's in their place.",
            )
        with counted():
            for name in there if restart else ():
                connection.execute(f"DROP TABLE {target}.{name}")
            connection.execute(f"CREATE TABLE IF NOT EXISTS {target}.{LEDGER} (table_name VARCHAR, next_row BIGINT)")

    def _copy_what_is_new(
        self, connection: duckdb.DuckDBPyConnection, name: str, source: str, target: str, counted: Counted
    ) -> None:
        def one(sql: str, *values: object) -> int:
            (found,) = connection.execute(sql, list(values)).fetchall()[0]
            return int(found or 0)

        first = one(f"SELECT max(next_row) FROM {target}.{LEDGER} WHERE table_name = ?", name)
        end = one(f"SELECT max(rowid) + 1 FROM {source}.{name}")
        while first < end:
            following = min(first + self.rows_at_once, end)
            with counted():
                connection.execute(
                    f"INSERT INTO {target}.{name} SELECT * FROM {source}.{name} "
                    f"WHERE rowid >= {first} AND rowid < {following} ORDER BY rowid"
                )
                connection.execute(f"DELETE FROM {target}.{LEDGER} WHERE table_name = ?", [name])
                connection.execute(f"INSERT INTO {target}.{LEDGER} VALUES (?, ?)", [name, following])
            self._tell(f"{name}: {following:,} of {end:,} rows")
            first = following

    def _certify(self, to: Kind, tables: tuple[ComparedTable, ...], now: datetime) -> Path:
        folder = self._home / FOLDER / CERTIFICATES
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{now.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-to-{to}.json"
        told = {"to": to, "moved_at": now.astimezone(UTC).isoformat(), "tables": [asdict(table) for table in tables]}
        file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        return file


@contextmanager
def _attached(connection: duckdb.DuckDBPyConnection, file: Path, how: str) -> Iterator[None]:
    connection.execute(f"ATTACH {text_literal(file)} AS {_FILE} ({how})")
    try:
        yield
    finally:
        connection.execute(f"DETACH {_FILE}")


def _compared(connection: duckdb.DuckDBPyConnection, name: str, source: str, target: str) -> ComparedTable:
    columns = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = ? AND table_name = ? ORDER BY column_index",
        [source, name],
    ).fetchall()
    row = ", ".join(f'"{column}" := "{column}"' for (column,) in columns)
    sides = []
    for catalog in (source, target):
        sql = f"SELECT CAST(struct_pack({row}) AS VARCHAR) AS text FROM {catalog}.{name}"
        count, crossed, added = connection.execute(
            f"SELECT count(*), bit_xor(md5_number(text)), sum(md5_number_lower(text)) FROM ({sql})"
        ).fetchall()[0]
        sides.append((int(count), f"{crossed or 0:x}-{added or 0:x}"))
    (rows, checksum), (found, checksum_found) = sides
    return ComparedTable(name, rows, found, checksum, checksum_found)
