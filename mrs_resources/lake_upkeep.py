"""What keeps a lake quick and small: small rows become files, small files become large ones, what nobody reads goes.

All of it happens in a turn of its own, so that no writer is under way: a file that the catalogue does not know belongs
to a writer that died. History is not in DuckLake's snapshots: every version of a row and when it was written are rows,
so that letting snapshots go loses none of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.storage import Storage
from mrs_resources.engine import CATALOG, table_names
from mrs_resources.lake_backend import LakeBackend

BY_MONTH = tuple(log.name for log in LOGS if {"store_id", "sku"} <= {*log.key} and "report_id" not in log.key)
"""Logs with a row per series and tick: their files are laid out by retailer and month."""


@dataclass(frozen=True)
class Upkeep:
    """What one round did.

    Attributes:
        laid_out: logs whose files are laid out by retailer and month from now on.
        flushed: rows that lay in the catalogue and are in files now.
        merged: files that went into larger ones, and those that were freed of deleted rows.
        expired: snapshots that nobody can ask for any more.
        removed: files that nothing needs since they were replaced.
        orphans: files that no commit ever knew.
    """

    laid_out: int
    flushed: int
    merged: int
    expired: int
    removed: int
    orphans: int


def keep_up(backend: LakeBackend, storage: Storage, now: datetime) -> Upkeep:
    """Look after the lake once.

    Args:
        backend: the lake.
        storage: how long replaced files and snapshots stay, for those who read them already.
        now: the instant from which that is counted back; UTC.
    """
    replaced = now - timedelta(hours=storage.keep_replaced_hours)
    with backend.turn() as connection:
        return Upkeep(
            laid_out=_lay_out(connection, backend.schema),
            flushed=_sum(connection, "rows_flushed", "ducklake_flush_inlined_data"),
            merged=_sum(connection, "files_processed", "ducklake_rewrite_data_files")
            + _sum(connection, "files_processed", "ducklake_merge_adjacent_files"),
            expired=_count(connection, "ducklake_expire_snapshots", replaced),
            removed=_count(connection, "ducklake_cleanup_old_files", replaced),
            orphans=_count(connection, "ducklake_delete_orphaned_files", replaced),
        )


def _lay_out(connection: duckdb.DuckDBPyConnection, schema: str) -> int:
    """Lay the large logs out by retailer and month, where they are not."""
    known = f"__ducklake_metadata_{CATALOG}.{schema}"
    done = connection.execute(
        f"SELECT t.table_name FROM {known}.ducklake_table t JOIN {known}.ducklake_partition_info p USING (table_id) "
        "WHERE t.end_snapshot IS NULL AND p.end_snapshot IS NULL"
    ).fetchall()
    lacking = sorted((table_names(connection) & {*BY_MONTH}) - {name for (name,) in done})
    for name in lacking:
        connection.execute(f"ALTER TABLE {name} SET PARTITIONED BY (retailer, year(business_day), month(business_day))")
    return len(lacking)


def _sum(connection: duckdb.DuckDBPyConnection, column: str, function: str) -> int:
    (total,) = connection.execute(f"SELECT coalesce(sum({column}), 0) FROM {function}('{CATALOG}')").fetchall()[0]
    return int(total)


def _count(connection: duckdb.DuckDBPyConnection, function: str, before: datetime) -> int:
    return len(connection.execute(f"CALL {function}('{CATALOG}', older_than => ?)", [before]).fetchall())
