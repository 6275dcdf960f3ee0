"""Rows on offer to a log, looked at before the writer's turn: held against the contract, and hashed.

That is more than half of what an append of many rows costs, and needs nothing of the log. Whoever computed outside of a
transaction makes the offer there too, so that others wait for the writing alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import duckdb
import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_resources.contract_sql import row_hash_sql
from mrs_resources.engine import MEMORY_LIMIT
from mrs_resources.staging import DEAD_LETTER
from mrs_resources.statements import in_utc


@dataclass(frozen=True)
class Offer:
    """Rows for one log.

    Attributes:
        rows: those that keep the contract: the columns of its body, and `row_hash`.
        refused: dead letters of those that break it, in the shape of `staging.DEAD_LETTER`.
    """

    rows: pl.DataFrame
    refused: pl.DataFrame

    @classmethod
    def of(cls, contract: Contract, frame: pl.DataFrame, source: str) -> Offer:
        """Look at a frame.

        Args:
            contract: the log's.
            frame: rows in the shape of `contract.body`; absent payload columns become typed NULLs.
            source: who offers them, for the dead letters.

        Raises:
            ContractBroken: the frame has unknown columns, or lacks some of the key.
        """
        good, bad = contract.admit(contract.conform(frame))
        return cls(_hashed(contract, good), _as_dead_letters(contract, bad, source))


def _hashed(contract: Contract, rows: pl.DataFrame) -> pl.DataFrame:
    with _engine().cursor() as connection:
        connection.register("frame", rows)
        return in_utc(connection.execute(f"SELECT *, {row_hash_sql(contract)} AS row_hash FROM frame").pl())


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    """A DuckDB that holds nothing: to start one costs more than to hash a thousand rows."""
    engine = duckdb.connect(config={"memory_limit": MEMORY_LIMIT})
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    return engine


def _as_dead_letters(contract: Contract, bad: pl.DataFrame, source: str) -> pl.DataFrame:
    """Rows that broke the contract, with their payload as JSON."""
    payload = pl.struct(list(contract.body)).map_elements(
        lambda row: json.dumps(row, default=str, ensure_ascii=False), return_dtype=pl.String
    )
    report = pl.col("report_id") if "report_id" in contract.body else pl.lit(None, dtype=pl.String)
    return bad.select(
        "retailer",
        "business_day",
        report.alias("report_id"),
        pl.lit(source).alias("source"),
        pl.lit(None, dtype=pl.Int64).alias("source_row"),
        payload.alias("raw_payload"),
        pl.col("verdict_code").alias("error_code"),
        pl.col("verdict").alias("error"),
    ).cast(DEAD_LETTER)
