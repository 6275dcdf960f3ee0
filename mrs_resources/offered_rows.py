"""Rows of a file that was read, on their way to the kernel: what is offered to a log, and what is refused.

SQL over the Parquet files of a `ReadFile`; what is done with the rows is `admission`'s business.
"""

from __future__ import annotations

from mrs_assets.contracts.feed import FeedContract, Target
from mrs_resources.archive import Arrival
from mrs_resources.contract_sql import quoted
from mrs_resources.engine import text_literal
from mrs_resources.feed_reading import ReadFile
from mrs_resources.file_layout import path_literal
from mrs_resources.log_store import Transaction


def source_of(arrival: Arrival) -> str:
    """How dead letters name a file."""
    return f"{arrival.feed}/{arrival.retailer}/{arrival.file_hash[:12]}"


def offer(tx: Transaction, arrival: Arrival, target: Target, read: ReadFile) -> None:
    """Stage the rows of one log; what all of them share is said once."""
    constants = _constants(arrival, read)
    body = target.contract.body
    tx.kernel.staging.offer(
        target.contract,
        f"SELECT {quoted([name for name in body if name not in constants])}, file_row_number + 1 AS ordinal "
        f"FROM read_parquet({path_literal(read.rows)}, file_row_number = true) WHERE {_belongs(target, read)}",
        constants={name: literal for name, literal in constants.items() if name in body},
    )


def keys_sql(arrival: Arrival, target: Target, read: ReadFile) -> str:
    """SQL of the keys that a file's good rows claim in a log."""
    constants = _constants(arrival, read)
    key = ", ".join(
        f'{constants[name]} AS "{name}"' if name in constants else f'"{name}"' for name in target.contract.key
    )
    return f"SELECT DISTINCT {key} FROM read_parquet({path_literal(read.rows)}) WHERE {_belongs(target, read)}"


def refused_sql(arrival: Arrival, feed: FeedContract, read: ReadFile) -> str:
    """SQL of the refused rows in the shape of `DEAD_LETTER`, broken lines included."""
    named = "report_id" not in read.absent and any(column.name == "report_id" for column in feed.columns)
    report = '"report_id"' if named else "NULL"
    same = f"{text_literal(arrival.retailer)} AS retailer, {text_literal(source_of(arrival))} AS source"
    rows = (
        "SELECT *, file_row_number + 1 AS ordinal "
        f"FROM read_parquet({path_literal(read.rows)}, file_row_number = true) WHERE error_code IS NOT NULL"
    )
    return (
        f"SELECT {same}, business_day, {report} AS report_id, source_row, raw_payload, error_code, error "
        f"FROM ({numbered_sql(rows, read)}) "
        f"UNION ALL SELECT {same}, NULL, NULL, place, line, 'broken_line', error "
        f"FROM read_parquet({path_literal(read.broken)})"
    )


def numbered_sql(rows: str, read: ReadFile) -> str:
    """SQL of rows with their `source_row`: data rows count from 1 as the parser counts them, broken lines included.

    The nth broken line stands at place p, so that p - n rows were read before it.

    Args:
        rows: SQL of rows with their `ordinal` among the rows that were read, from 1.
        read: the file.
    """
    if not read.lost:
        return f"SELECT *, ordinal AS source_row FROM ({rows})"
    before = (
        "SELECT place - n AS read_before, max(n) AS broken "
        f"FROM (SELECT place, row_number() OVER (ORDER BY place) AS n FROM read_parquet({path_literal(read.broken)})) "
        "GROUP BY ALL"
    )
    return (
        f"SELECT r.*, r.ordinal + coalesce(b.broken, 0) AS source_row FROM ({rows}) r "
        f"ASOF LEFT JOIN ({before}) b ON r.ordinal > b.read_before"
    )


def _belongs(target: Target, read: ReadFile) -> str:
    """SQL condition: a row is good and belongs to a log."""
    if target.only_with is None:
        return "error_code IS NULL"
    column = read.absent.get(target.only_with, quoted([target.only_with]))
    return f"error_code IS NULL AND {column} IS NOT NULL"


def _constants(arrival: Arrival, read: ReadFile) -> dict[str, str]:
    """Column → SQL literal that every row of a file has."""
    return {
        "retailer": text_literal(arrival.retailer),
        "source_file": text_literal(arrival.file_name),
        "source_file_hash": text_literal(arrival.file_hash),
        "received_at": f"TIMESTAMPTZ {text_literal(arrival.received_at.isoformat())}",
        "is_degraded": "false",
        "degraded_reasons": "CAST([] AS VARCHAR[])",
        "model_version": "CAST(NULL AS VARCHAR)",
        **read.absent,
    }
