"""What the partitions of a log have come to, counted in SQL: rows, dead letters, reports answered, rows that differ.

Everything is counted for named partitions only, so that a ledger can be kept without reading all history again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.dead_letters import DEAD_LETTERS_RESOLVED
from mrs_resources.contract_sql import quoted, same_key
from mrs_resources.dead_letters import OPEN, letters_sql
from mrs_resources.log_store import SYSTEM_RUN, Transaction

PARTITION = {"retailer": pl.String(), "business_day": pl.Date()}
STATUS_COLUMNS = ("report_status", "event_status", "coverage", "decision")
_ASKED = "asked_partitions"
_INSIDE = (
    f"SEMI JOIN {_ASKED} USING (retailer, business_day) WHERE run_id = $run AND business_day BETWEEN $first AND $last"
)
_DAY_OF_LETTER = "coalesce(business_day, CAST(written_at AS DATE))"


@dataclass(frozen=True)
class Answers:
    """What a log owes another one: exactly one row for each of its reports and ticks.

    Attributes:
        asked: the log with the rows to answer.
        down: reason on rows that are no answer.
        within: how long after the asked row an answer is in time.
    """

    asked: Contract
    down: str
    within: timedelta


def newest_write_of(tx: Transaction, logs: Sequence[Contract]) -> datetime | None:
    """When any of the logs was written last, or a dead letter resolved; None: never."""
    return max(_newest_of(tx, logs).values(), default=None)


def written_since(tx: Transaction, logs: Sequence[Contract], since: datetime) -> set[str]:
    """Names of the logs that were written after an instant, or of which a dead letter was resolved."""
    written = {log for log, at in _newest_of(tx, logs).items() if at > since}
    if DEAD_LETTERS_RESOLVED.name in written:
        resolved = f"SELECT log FROM {DEAD_LETTERS_RESOLVED.name} WHERE run_id IN (?, ?) AND written_at > ?"
        written |= {*tx.query(resolved, [tx.run_id, SYSTEM_RUN, since])["log"]}
    return written


def _newest_of(tx: Transaction, logs: Sequence[Contract]) -> dict[str, datetime]:
    names = {log.name for log in (*logs, DEAD_LETTERS_RESOLVED)}
    return {log: at for log, at in tx.kernel.batches.newest(tx.run_id, SYSTEM_RUN).items() if log in names}


def changed_partitions(tx: Transaction, logs: Sequence[Contract], since: datetime) -> pl.DataFrame:
    """Partitions of which a log's rows, or dead letters, were written or resolved after an instant.

    Returns:
        Columns log, retailer, business_day.
    """
    tx.ensure(*logs, DEAD_LETTERS_RESOLVED)
    recent = "run_id = $run AND written_at > $since"
    parts = [
        f"SELECT '{log.name}' AS log, retailer, business_day FROM {log.name} WHERE {recent} UNION "
        f"SELECT '{log.name}', retailer, {_DAY_OF_LETTER} FROM {log.name}_errors "
        f"WHERE {recent} AND retailer IS NOT NULL"
        for log in logs
    ]
    parts.append(
        f"SELECT log, retailer, business_day FROM {DEAD_LETTERS_RESOLVED.name} "
        "WHERE run_id IN ($run, $system) AND written_at > $since AND list_contains($names, log)"
    )
    names = [log.name for log in logs]
    asked: dict[str, object] = {"run": tx.run_id, "system": SYSTEM_RUN, "names": names, "since": since}
    return tx.query(" UNION ".join(parts), asked)


def open_letters(tx: Transaction, logs: Sequence[Contract]) -> pl.DataFrame:
    """Dead letters that nobody resolved; one without a business day counts on the day on which it was refused.

    Returns:
        Columns log, retailer, business_day, rows_dead_lettered.
    """
    return tx.query(
        f"SELECT log, retailer, {_DAY_OF_LETTER} AS business_day, count(*) AS rows_dead_lettered "
        f"FROM ({letters_sql(tx.tables, logs)}) WHERE state = '{OPEN}' GROUP BY ALL",
        {"run_id": tx.run_id},
    )


def counts(tx: Transaction, log: Contract, asked: pl.DataFrame) -> pl.DataFrame:
    """Rows of a log in some partitions.

    Args:
        tx: open transaction.
        log: whose rows.
        asked: the partitions.

    Returns:
        One line per partition asked for: retailer, business_day, written_to, rows_live, rows_by_status (JSON),
        rows_degraded, rows_twice (rows of a key and version that are there more than once).
    """
    status = next((column for column in STATUS_COLUMNS if column in log.body), None)
    told = f'"{status}"' if status else "CAST(NULL AS VARCHAR)"
    version = quoted(list(dict.fromkeys([*PARTITION, *log.key, "version"])))
    live = "r.version = coalesce(n.version, r.version) AND NOT r.is_retracted"
    with _asking(tx, asked) as parameters:
        rows = tx.query(
            f"WITH rows AS (SELECT {version}, max({told}) AS status, bool_and(is_retracted) AS is_retracted, "
            "bool_or(is_degraded) AS is_degraded, max(written_at) AS written_at, count(*) AS times "
            f"FROM {log.name} {_INSIDE} GROUP BY {version}), "
            # Most keys have one version: only of the others it has to be found which is the newest.
            f"newest AS (SELECT {quoted(log.key)}, max(version) AS version FROM rows WHERE version > 1 GROUP BY ALL) "
            "SELECT r.retailer, r.business_day, max(r.written_at) AS written_to, "
            f"count(*) FILTER ({live}) AS rows_live, count(*) FILTER ({live} AND r.is_degraded) AS rows_degraded, "
            f"CAST(to_json(histogram(r.status) FILTER ({live})) AS VARCHAR) AS rows_by_status, "
            "CAST(sum(r.times) - count(*) AS BIGINT) AS rows_twice "
            f"FROM rows r LEFT JOIN newest n ON {same_key(log, 'r', 'n')} GROUP BY ALL",
            parameters,
        )
    counted = pl.col("rows_live", "rows_degraded", "rows_twice").fill_null(0)
    return asked.join(rows, on=list(PARTITION), how="left").with_columns(counted)


def answered(tx: Transaction, log: Contract, owed: Answers, asked: pl.DataFrame) -> pl.DataFrame:
    """How a log answered the reports of some partitions.

    Returns:
        One line per partition asked for: retailer, business_day, reports, reports_in_time, down (rows that are no
        answer), unanswered (reports without a row, and rows without a report).
    """
    tx.ensure(log, owed.asked)
    key = list(log.key)
    with _asking(tx, asked) as parameters:
        rows = tx.query(
            f"WITH asked AS ({_live_keys(owed.asked)}), answers AS ({_live_keys(log)}) "
            "SELECT coalesce(a.retailer, b.retailer) AS retailer, "
            "coalesce(a.business_day, b.business_day) AS business_day, count(a.first_at) AS reports, "
            "count(*) FILTER (a.first_at IS NOT NULL AND b.answered_at <= a.first_at + $within) AS reports_in_time, "
            "count(*) FILTER (b.is_down) AS down, "
            "count(*) FILTER (a.first_at IS NULL OR b.first_at IS NULL) AS unanswered "
            f"FROM asked a FULL JOIN answers b ON {' AND '.join(f'a.{c} = b.{c}' for c in key)} GROUP BY ALL",
            parameters | {"within": owed.within, "down": owed.down},
        )
    on = list(PARTITION)
    return asked.join(rows, on=on, how="left").with_columns(
        pl.col("reports", "reports_in_time", "down", "unanswered").fill_null(0)
    )


def sales_arrived(tx: Transaction, sales: Contract, asked: pl.DataFrame) -> pl.DataFrame:
    """When the newest file of a partition's sales was received, and when its newest row was written.

    Returns:
        One line per partition that has sales: retailer, business_day, received_at, sales_written_at. UTC.
    """
    with _asking(tx, asked) as parameters:
        return tx.query(
            "SELECT retailer, business_day, max(CASE WHEN is_retracted THEN written_at ELSE received_at END) "
            "AS received_at, max(written_at) AS sales_written_at "
            f"FROM {sales.name} {_INSIDE} GROUP BY ALL",
            parameters,
        )


@contextmanager
def _asking(tx: Transaction, asked: pl.DataFrame) -> Iterator[dict[str, object]]:
    """Make the partitions a table, and give the parameters of `_INSIDE`, which lets scans skip other days."""
    tx.connection.register(_ASKED, asked.select(list(PARTITION)))
    try:
        days = asked["business_day"]
        yield {"run": tx.run_id, "first": days.min(), "last": days.max()}
    finally:
        tx.connection.unregister(_ASKED)


def _live_keys(log: Contract) -> str:
    """SQL of live keys: when the key was first written, and first as an answer; whether it is none now."""
    return (
        f"SELECT {quoted(log.key)}, arg_max(retailer, version) AS retailer, "
        "arg_max(business_day, version) AS business_day, min(written_at) AS first_at, "
        "min(written_at) FILTER (NOT is_retracted AND NOT list_contains(degraded_reasons, $down)) AS answered_at, "
        "arg_max(list_contains(degraded_reasons, $down), version) AS is_down "
        f"FROM {log.name} {_INSIDE} GROUP BY {quoted(log.key)} HAVING NOT arg_max(is_retracted, version)"
    )
