"""The account of what was appended: one row per batch, in the table `append_batches`.

Whoever opens a transaction reads once which logs were written, and when last. What a log cannot hold need not be asked
of it, which spares most of the questions of a tick: few of many logs have anything new.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import duckdb

TABLE = "append_batches"
DDL = (
    "batch_id VARCHAR, log_name VARCHAR, run_id VARCHAR, written_from TIMESTAMPTZ, written_to TIMESTAMPTZ, "
    "appended BIGINT, retracted BIGINT, rejected BIGINT, dagster_run_id VARCHAR, code_version VARCHAR"
)


@dataclass(frozen=True)
class Batch:
    """What one append wrote."""

    batch_id: str
    log: str
    run_id: str
    written_from: datetime
    written_to: datetime
    appended: int
    retracted: int
    rejected: int
    dagster_run_id: str | None
    code_version: str


class Batches:
    """The account within one open transaction, whose own batches are in it as soon as they are kept."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} ({DDL})")
        rows = connection.execute(f"SELECT run_id, log_name, max(written_to) FROM {TABLE} GROUP BY ALL").fetchall()
        self._newest: dict[tuple[str, str], datetime] = {(run, log): newest for run, log, newest in rows}

    def keep(self, batch: Batch) -> None:
        """Add a batch to the account."""
        values = list(vars(batch).values())
        self._connection.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._newest[batch.run_id, batch.log] = batch.written_to

    def newest(self, *run_ids: str) -> dict[str, datetime]:
        """When each log was last written, in some namespaces; in any, where none is named. Logs never written lack."""
        found: dict[str, datetime] = {}
        for (run, log), at in self._newest.items():
            if not run_ids or run in run_ids:
                found[log] = max(at, found.get(log, at))
        return found

    def newest_of_all(self) -> datetime | None:
        """When anything was last written; None: never."""
        return max(self._newest.values(), default=None)
