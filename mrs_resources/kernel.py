"""The append kernel: the one operation that writes a log.

`append` offers rows for a scope. Within the caller's transaction it compares every offered key with its latest
version, appends what changed, and, where the offered rows are the whole truth for the scope, appends a retraction for
every live key that they no longer hold. Offering the same rows again therefore appends nothing.

Where a key does not decide its business day, as that of a campaign, a row may come to lie on another day, which is a
change. The old day then gets a retraction too, so that whoever reads only that day does not take the old version for
the newest; that day may lie outside of the scope.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.scope import Scope
from mrs_resources.batches import Batch, Batches
from mrs_resources.contract_sql import is_of_one_instant, place_in_batch, quoted, same_key, scope_sql
from mrs_resources.staging import LETTERS, OFFERED, Staging

ERRORS_DDL = (
    "run_id VARCHAR, retailer VARCHAR, business_day DATE, report_id VARCHAR, source VARCHAR, source_row BIGINT, "
    "raw_payload VARCHAR, error_code VARCHAR, error VARCHAR, written_at TIMESTAMPTZ, batch_id VARCHAR"
)
_GONE = f"ANTI JOIN {OFFERED} f ON {{same_key}}"
_MOVED = f"JOIN {OFFERED} f ON {{same_key}} AND f.business_day <> l.business_day"
"""Which of the latest rows to retract."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Provenance:
    """Who writes: the Dagster run, the version of the code, and where the rows come from."""

    source: str
    code_version: str
    dagster_run_id: str | None = None


@dataclass(frozen=True)
class PartitionCount:
    """What one append did to one partition."""

    retailer: str
    day: date
    appended: int
    unchanged: int
    retracted: int


@dataclass(frozen=True)
class Appended:
    """What one append did.

    Attributes:
        offered: rows offered, including those that were refused.
        appended: new versions written.
        unchanged: offered rows that say what is already known, in-frame duplicates included.
        retracted: live keys that are no longer true, or no longer on the day on which they were.
        rejected: rows refused, with a dead letter.
        days, stores: business days and stores whose live rows changed.
        partitions: the same counts for every partition that was offered or changed.
    """

    log: str
    offered: int
    appended: int
    unchanged: int
    retracted: int
    rejected: int
    days: tuple[date, ...] = ()
    stores: tuple[str, ...] = ()
    partitions: tuple[PartitionCount, ...] = ()

    @property
    def changed(self) -> int:
        """Rows written to the log."""
        return self.appended + self.retracted


class Kernel:
    """Appends within one open transaction.

    Attributes:
        connection: open connection, in a transaction, with the warehouse as current catalog.
        known: logs that have their tables.
        made: those of them whose tables were made or widened here.
        batches: the account of what was appended.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, now: datetime, known: Collection[Contract] = ()) -> None:
        self.connection = connection
        self.staging = Staging(connection)
        self.known = set(known)
        self.made: set[Contract] = set()
        self._now = now
        self.batches = Batches(connection)

    def ensure(self, contract: Contract) -> None:
        """Create the log and its dead-letter log, or add the columns that the contract has gained."""
        if contract not in self.known:
            self._make(contract)
            self.known.add(contract)

    def _make(self, contract: Contract) -> None:
        found = dict(
            self.connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() "
                "AND table_name = ?",
                [contract.name],
            ).fetchall()
        )
        if not found:
            self.connection.execute(f"CREATE TABLE {contract.name} ({contract.ddl})")
            self.connection.execute(f"CREATE TABLE {contract.name}_errors ({ERRORS_DDL})")
            self.made.add(contract)
            return
        for declaration in contract.ddl.split(", "):
            if (column := declaration.split('"')[1]) not in found:
                self.connection.execute(f"ALTER TABLE {contract.name} ADD COLUMN {declaration}")
                found[column] = declaration
                self.made.add(contract)

    def append(
        self,
        contract: Contract,
        run_id: str,
        scope: Scope,
        provenance: Provenance,
        dead_letters: pl.DataFrame | str | None = None,
        review: Callable[[], None] | None = None,
    ) -> Appended:
        """Write what the staged rows change. See the module's docstring.

        Args:
            contract: the log.
            run_id: namespace written to.
            scope: what the staged rows answer for.
            provenance: who writes.
            dead_letters: rows that the caller refused, in the shape of `DEAD_LETTER`: a frame, or a query where
                there may be too many to hold.
            review: called when everything is staged and nothing written; may withhold staged rows, or raise.

        Raises:
            ContractBroken: a staged row lies outside the scope.
        """
        self.ensure(contract)
        self.staging.refuse_rows_out_of_scope(contract, scope)
        offered = self._count(f"SELECT count(*) FROM {OFFERED}")
        refused = self.staging.stage_letters(dead_letters)
        conflicting = self.staging.drop_duplicates(contract)
        if review is not None:
            review()
        known = self._find_latest(contract, run_id, scope)
        begin = self._next_instant()
        batch_id = "b-" + hashlib.sha256(f"{contract.name}|{begin.isoformat()}".encode()).hexdigest()[:16]
        stamp: list[object] = [batch_id, provenance.dagster_run_id, provenance.code_version]
        moved = self._retract(contract, run_id, begin, stamp, _MOVED) if known and _may_move(contract) else 0
        appended = self._insert_changed(contract, run_id, begin, stamp, known)
        end = self._newest_of(contract, batch_id, begin) if moved or appended else begin
        speaks_for_all = scope.complete or (scope.whole and not self._count(f"SELECT count(*) FROM {LETTERS}"))
        middle = end + _MICROSECOND
        gone = self._retract(contract, run_id, middle, stamp, _GONE) if known and speaks_for_all else 0
        end = self._newest_of(contract, batch_id, middle) if gone else end
        retracted = moved + gone
        rejected = self._insert_dead_letters(contract, run_id, provenance, begin, batch_id)
        if appended or retracted or rejected:
            who = provenance.dagster_run_id, provenance.code_version
            self.batches.keep(Batch(batch_id, contract.name, run_id, begin, end, appended, retracted, rejected, *who))
        written = appended + retracted > 0
        partitions = self._partitions(contract, batch_id, begin, written=written)
        stores = self._stores(contract, batch_id, begin) if written else ()
        self.connection.execute("DROP TABLE latest")
        self.staging.clear()
        return Appended(
            log=contract.name,
            offered=offered + refused,
            appended=appended,
            unchanged=offered - appended - conflicting,
            retracted=retracted,
            rejected=refused + conflicting,
            days=tuple(sorted({p.day for p in partitions if p.appended or p.retracted})),
            stores=stores,
            partitions=partitions,
        )

    def _count(self, sql: str, parameters: list[object] | None = None) -> int:
        row = self.connection.execute(sql, parameters or []).fetchone()
        return int(row[0]) if row else 0

    def _next_instant(self) -> datetime:
        newest = self.batches.newest_of_all()
        return self._now if newest is None else max(self._now, newest + _MICROSECOND)

    def _newest_of(self, contract: Contract, batch_id: str, begin: datetime) -> datetime:
        """When the last of a batch's rows from an instant on, at which there are some, was written."""
        if is_of_one_instant(contract):
            return begin
        row = self.connection.execute(
            f"SELECT max(written_at) FROM {contract.name} WHERE written_at >= ? AND batch_id = ?", [begin, batch_id]
        ).fetchone()
        return row[0] if row and row[0] is not None else begin

    def _find_latest(self, contract: Contract, run_id: str, scope: Scope) -> int:
        """Put the latest version of every key that may change in the table `latest`, and count them."""
        condition, parameters = scope_sql(scope, contract, run_id)
        only_offered = ""
        if not scope.complete and self._count(
            f"SELECT count(*) FROM (SELECT 1 FROM {contract.name} WHERE {condition} LIMIT 1)", parameters
        ):
            near = scope.whole or contract.key
            only_offered = f" SEMI JOIN {OFFERED} USING ({quoted(list(near))})"
        if scope.complete and _may_move(contract):
            offered = f"SELECT {quoted(list(contract.key))} FROM {OFFERED}"
            condition = f"({condition} OR run_id = ? AND ({quoted(list(contract.key))}) IN ({offered}))"
            parameters = [*parameters, run_id]
        return self._count(
            f"CREATE OR REPLACE TEMP TABLE latest AS SELECT {quoted(list(contract.key))}, max(version) AS version, "
            "arg_max(row_hash, version) AS row_hash, arg_max(is_retracted, version) AS is_retracted, "
            "arg_max(business_day, version) AS business_day "
            f"FROM {contract.name}{only_offered} WHERE {condition} GROUP BY ALL",
            parameters,
        )

    def _insert_changed(self, contract: Contract, run_id: str, begin: datetime, stamp: list[object], known: int) -> int:
        own = [c for c in contract.schema if c in contract.body and c not in ("retailer", "business_day")]
        state = ("is_degraded", "degraded_reasons", "model_version")
        columns = [c for c in own if c not in state]
        if known:
            moved = "NOT l.is_retracted AND l.business_day <> o.business_day" if _may_move(contract) else "FALSE"
            version = f"coalesce(l.version, 0) + CASE WHEN {moved} THEN 2 ELSE 1 END"
            condition = f"l.version IS NULL OR l.is_retracted OR l.row_hash <> o.row_hash OR {moved}"
            join = f"LEFT JOIN latest l ON {same_key(contract, 'o', 'l')}"
        else:
            version, condition, join = "1", "TRUE", ""
        insert = (
            f"INSERT INTO {contract.name} ({quoted(list(contract.schema))}) "
            f"SELECT ?, o.retailer, o.business_day, {quoted(columns, 'o')}, "
            f"{version}, CAST(? AS TIMESTAMPTZ) + to_microseconds({place_in_batch(contract)}), "
            "o.row_hash, false, o.is_degraded, o.degraded_reasons, ?, ?, ?, o.model_version "
            f"FROM {OFFERED} o {join} WHERE ({condition})"
        )
        values: list[object] = [run_id, begin, *stamp]
        order = f"ORDER BY o.retailer, o.business_day, {quoted(list(contract.key), 'o')}"
        parts = self.staging.spans_to_sort(contract)
        if parts is None:
            return self._count(f"{insert} {order}", values)
        if not parts:
            return self._count(insert, values)
        inside = "AND o.business_day BETWEEN ? AND ?"
        return sum(self._count(f"{insert} {inside} {order}", [*values, *days]) for days in parts)

    def _retract(self, contract: Contract, run_id: str, begin: datetime, stamp: list[object], which: str) -> int:
        offered = which.format(same_key=same_key(contract, "l", "f"))
        if not self._count(f"SELECT count(*) FROM latest l {offered} WHERE NOT l.is_retracted"):
            return 0
        changed = {
            "version": "o.version + 1",
            "written_at": f"CAST(? AS TIMESTAMPTZ) + to_microseconds({place_in_batch(contract)})",
            "is_retracted": "true",
            "batch_id": "?",
            "dagster_run_id": "?",
            "code_version": "?",
        }
        columns = ", ".join(changed.get(c, f'o."{c}"') for c in contract.schema)
        return self._count(
            f"INSERT INTO {contract.name} ({quoted(list(contract.schema))}) SELECT {columns} FROM {contract.name} o "
            f"JOIN latest l ON {same_key(contract, 'o', 'l')} AND o.version = l.version {offered} "
            "WHERE o.run_id = ? AND NOT l.is_retracted "
            f"ORDER BY o.retailer, o.business_day, {quoted(list(contract.key), 'o')}",
            [begin, *stamp, run_id],
        )

    def _insert_dead_letters(
        self, contract: Contract, run_id: str, provenance: Provenance, written_at: datetime, batch_id: str
    ) -> int:
        if not self._count(f"SELECT count(*) FROM {LETTERS}"):
            return 0
        self.connection.execute(f"UPDATE {LETTERS} SET source = coalesce(source, ?)", [provenance.source])
        same = " AND ".join(
            f"e.{c} IS NOT DISTINCT FROM l.{c}" for c in ("source", "source_row", "error_code", "raw_payload")
        )
        return self._count(
            f"INSERT INTO {contract.name}_errors SELECT ?, l.*, ?, ? FROM {LETTERS} l "
            f"WHERE NOT EXISTS (SELECT 1 FROM {contract.name}_errors e WHERE e.run_id = ? AND {same})",
            [run_id, written_at, batch_id, run_id],
        )

    def _partitions(
        self, contract: Contract, batch_id: str, begin: datetime, *, written: bool
    ) -> tuple[PartitionCount, ...]:
        counts = f"SELECT retailer, business_day, 0 AS appended, 0 AS retracted, count(*) AS offered FROM {OFFERED} "
        if written:
            counts += (
                "GROUP BY ALL UNION ALL SELECT retailer, business_day, count(*) FILTER (NOT is_retracted), "
                f"count(*) FILTER (is_retracted), 0 FROM {contract.name} WHERE written_at >= ? AND batch_id = ? "
            )
        rows = self.connection.execute(
            f"WITH counts AS ({counts} GROUP BY ALL) "
            "SELECT retailer, business_day, sum(appended), sum(offered) - sum(appended), sum(retracted) FROM counts "
            "GROUP BY ALL ORDER BY ALL",
            [begin, batch_id] if written else [],
        ).fetchall()
        return tuple(PartitionCount(r[0], r[1], int(r[2]), int(r[3]), int(r[4])) for r in rows)

    def _stores(self, contract: Contract, batch_id: str, begin: datetime) -> tuple[str, ...]:
        if "store_id" not in contract.body:
            return ()
        rows = self.connection.execute(
            f"SELECT DISTINCT store_id FROM {contract.name} WHERE written_at >= ? AND batch_id = ? ORDER BY ALL",
            [begin, batch_id],
        ).fetchall()
        return tuple(row[0] for row in rows)


def _may_move(contract: Contract) -> bool:
    """Whether two versions of one key may lie on different business days: not where the key holds a moment."""
    return not {"ts", "tick"} & set(contract.key)
