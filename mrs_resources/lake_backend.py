"""The warehouse as DuckLake: Parquet files in a folder or a bucket, and a catalogue in PostgreSQL, for many machines.

Readers see the state that their transaction began with and wait for nobody. Writers take turns: one lock for the
warehouse, for instants of all logs are one order, which "as of" rests on. A turn is more than politeness. DuckLake
would merge two appends that were computed from one state, and a key would have one version twice. So each write also
counts on in `turns`: of two transactions that began with the same state, one cannot commit. A writer that lost its
lock, to a restarted server or a cut network, is refused in this way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import duckdb

from mrs_assets.contracts.errors import SettingsMistake, StorageUnreachable
from mrs_assets.contracts.storage import CATALOGUE, Storage
from mrs_resources.engine import BROKEN, CATALOG, closed_or_left, started, table_names, text_literal, within
from mrs_resources.extensions import load_extension
from mrs_resources.lake_copy import LakeState, copy_lake
from mrs_resources.object_store import keep_keys, told_by_store
from mrs_resources.residence import check_residence, move_residence, residence

try:
    import psycopg2
    from psycopg2.extensions import make_dsn, parse_dsn

    from mrs_resources.catalogue_lock import catalogue_lock
except ModuleNotFoundError:  # the extra is not installed
    psycopg2 = None

TURNS = "turns"
"""Table with one row, which every write changes."""

METADATA = f"__ducklake_metadata_{CATALOG}"
"""Name under which DuckLake attaches the catalogue's database itself."""

_LOST = ("Failed to execute query", "for DuckLake: ")
"""What errors say where PostgreSQL did not answer in a transaction, and at the begin of one."""

T = TypeVar("T")


class LakeBackend:
    """A DuckLake that many processes write to.

    Attributes:
        schema: that of the catalogue.
    """

    def __init__(self, home: Path, storage: Storage) -> None:
        self.schema = storage.catalogue
        self._home = home
        self._storage = storage

    def exists(self) -> bool:
        """Whether anything was ever written."""
        return residence(self._home) == "ducklake"

    @contextmanager
    def writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """See `Backend.writing`."""
        with self.turn() as connection:
            check_residence(self._home, "ducklake")  # who waited may have waited for the logs to move
            if not self.exists():
                move_residence(self._home, "ducklake")
            with self.counted(connection):
                self._give_statistics(connection)
                yield connection

    @contextmanager
    def turn(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection while nobody else writes, wherever the logs of the home lie."""
        with self._reported(), catalogue_lock(self._address, f"mrs:{self.schema}"), self.connection() as connection:
            yield connection

    @contextmanager
    def counted(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """A transaction that is committed at the end, unless another one was since it began. Call within `turn`."""
        with within(connection, keeps=True):
            connection.execute(f"UPDATE {TURNS} SET turn = turn + 1")
            yield

    def _give_statistics(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let every table have had a row once.

        DuckLake asks the catalogue for the statistics of a table that never had one over and over, for each column of
        each statement (github.com/duckdb/ducklake/pull/1313). A row of NULLs has no smallest and no largest value, so
        that the statistics which it leaves say nothing untrue.
        """
        catalogue = f'{METADATA}."{self.schema}"'
        bare = connection.execute(
            f"SELECT table_name FROM {catalogue}.ducklake_table WHERE end_snapshot IS NULL "
            f"AND table_id NOT IN (SELECT table_id FROM {catalogue}.ducklake_table_stats) ORDER BY ALL"
        )
        for (name,) in bare.fetchall():
            connection.execute(f'INSERT INTO "{name}" DEFAULT VALUES')
            connection.execute(f'DELETE FROM "{name}"')

    @contextmanager
    def reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """See `Backend.reading`."""
        check_residence(self._home, "ducklake")
        with self._reported(), self.connection() as connection, within(connection, keeps=False):
            yield connection

    def copy(
        self, look: Callable[[duckdb.DuckDBPyConnection], T | None], target: Path, former: Path | None, /
    ) -> T | None:
        """See `Backend.copy`."""
        with self.reading() as connection:
            state = LakeState.of(connection)
            found = look(connection)
        if found is not None:
            with self._reported(), self.connection() as connection:
                copy_lake(connection, state, target, former)
        return found

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """An own connection with the lake as current catalog, closed at the end whatever happens."""
        with closed_or_left(self._engine.cursor()) as connection:
            connection.execute(f"SET TimeZone = 'UTC'; USE {CATALOG}")
            yield connection

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Give errors of the catalogue's server a name, and begin with new connections after any of DuckDB's."""
        if psycopg2 is None:
            raise SettingsMistake(
                'backend = "ducklake" needs packages that are not installed.',
                remedy="Install the extra: pip install 'minority-report-system[lake]'.",
            )
        try:
            yield
        except psycopg2.OperationalError as error:
            self.__dict__.pop("_engine", None)
            raise _unreachable(error) from None
        except duckdb.Error as error:
            self.__dict__.pop("_engine", None)
            told = told_by_store(error, self._storage)
            if told is not None:
                raise told from None
            if _is_lost(error):
                raise _unreachable(error) from None
            raise

    @cached_property
    def _address(self) -> str:
        """Connection string of the catalogue's database, password and all: never shown.

        Raises:
            SettingsMistake: the environment does not say it, or not in a form that PostgreSQL knows.
        """
        address = os.environ.get(CATALOGUE)
        if not address:
            raise SettingsMistake(
                f'backend = "ducklake" needs the environment variable {CATALOGUE}.',
                remedy="Such as: host=db.example.com dbname=mrs user=mrs password=…",
            )
        try:
            return str(make_dsn(address))
        except psycopg2.ProgrammingError:
            raise SettingsMistake(
                f"{CATALOGUE} is not a connection string of PostgreSQL.", remedy="Such as: host=… dbname=mrs user=mrs"
            ) from None

    @property
    def _data(self) -> str:
        return self._storage.data if self._storage.in_a_bucket else str(self._home / self._storage.data)

    @cached_property
    def _engine(self) -> duckdb.DuckDBPyConnection:
        engine = started(self._home, {"autoinstall_known_extensions": "false"})
        for name in ("ducklake", "postgres_scanner"):
            load_extension(engine, name)
        address = parse_dsn(self._address)
        # A password in the address would be told in messages; a secret is not.
        engine.execute(f"CREATE SECRET catalogue (TYPE postgres, PASSWORD {text_literal(address.pop('password', ''))})")
        if self._storage.in_a_bucket:
            load_extension(engine, "httpfs")
            keep_keys(engine, self._storage)
        else:
            Path(self._data).mkdir(parents=True, exist_ok=True)
        options = {
            "DATA_PATH": text_literal(self._data),
            "METADATA_SCHEMA": text_literal(self.schema),
            "META_SECRET": "'catalogue'",
            "OVERRIDE_DATA_PATH": str(not self._storage.in_a_bucket),  # a home may be moved, and its folder with it
        }
        told = ", ".join(f"{name} {value}" for name, value in options.items())
        lake = text_literal("ducklake:postgres:" + make_dsn(**address))
        try:
            # The first to attach makes the catalogue's tables, and that of the turns, which two cannot do at once.
            with catalogue_lock(self._address, f"mrs:{self.schema}:attach"):
                engine.execute(f"ATTACH {lake} AS {CATALOG} ({told})")
                if TURNS not in table_names(engine, CATALOG):
                    engine.execute(f"CREATE TABLE {CATALOG}.{TURNS} AS SELECT CAST(0 AS BIGINT) AS turn")
        except duckdb.IOException as error:
            raise _unreachable(error) from None
        return engine


def _is_lost(error: duckdb.Error) -> bool:
    """Whether the connection to the catalogue broke, for which DuckDB's extensions have words but no class."""
    return isinstance(error, BROKEN) or any(words in str(error) for words in _LOST)


def _unreachable(error: Exception) -> StorageUnreachable:
    first, *_ = str(error).strip().splitlines()
    return StorageUnreachable(
        f"The catalogue in PostgreSQL cannot be reached: {first}. What was not committed was not written.",
        remedy=f"Look at {CATALOGUE} and at the server.",
    )
