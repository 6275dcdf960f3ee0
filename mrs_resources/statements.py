"""Runs one statement that a user may have written a part of, where it can read nothing else and write nothing."""

from __future__ import annotations

import duckdb
import polars as pl

from mrs_assets.contracts.errors import UserMistake
from mrs_resources.engine import MEMORY_LIMIT

CONFINED = "SET TimeZone = 'UTC'; SET enable_external_access = false; SET lock_configuration = true"
"""What a connection is told before such a statement."""


def run_one(connection: duckdb.DuckDBPyConnection, sql: str, parameters: dict[str, object]) -> pl.DataFrame:
    """Run exactly one statement.

    Raises:
        UserMistake: the text does not parse, names what is not there, or is more than one statement.
    """
    try:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise UserMistake("The condition holds more than one statement.")
        frame = connection.execute(statements[0], parameters).pl()
    except duckdb.Error as error:
        raise UserMistake(f"That condition cannot be used: {error}") from None
    return in_utc(frame)


def in_utc(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with instants in the zone that contracts name: DuckDB calls it `Etc/UTC`."""
    zones = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and dtype.time_zone]
    return frame.with_columns(pl.col(zones).dt.convert_time_zone("UTC")) if zones else frame


def rows_where(frame: pl.DataFrame, where: str) -> pl.DataFrame:
    """Rows of a frame that meet an SQL condition; it can read nothing else and write nothing.

    Raises:
        UserMistake: the condition is not valid SQL.
    """
    connection = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
    try:
        connection.register("rows", frame.with_row_index("place_of_row"))
        connection.execute(CONFINED)
        sql = f"SELECT * EXCLUDE (place_of_row) FROM rows WHERE (\n{where}\n) ORDER BY place_of_row"
        return run_one(connection, sql, {})
    finally:
        connection.close()
