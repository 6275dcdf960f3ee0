"""The append kernel: the one operation that writes a log.

`append` offers rows for a scope. Within the caller's transaction it compares every offered key with its latest
version, appends what changed, and, where the offered rows are the whole truth for the scope, appends a retraction for
every live key that they no longer hold. Offering the same rows again therefore appends nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import ContractBroken
from mrs_assets.contracts.scope import Scope

ERRORS_DDL = (
    "run_id VARCHAR, retailer VARCHAR, business_day DATE, report_id VARCHAR, source VARCHAR, source_row BIGINT, "
    "raw_payload VARCHAR, error_code VARCHAR, error VARCHAR, written_at TIMESTAMPTZ, batch_id VARCHAR"
)
BATCHES_DDL = (
    "batch_id VARCHAR, log_name VARCHAR, run_id VARCHAR, written_from TIMESTAMPTZ, written_to TIMESTAMPTZ, "
    "appended BIGINT, retracted BIGINT, rejected BIGINT, dagster_run_id VARCHAR, code_version VARCHAR"
)
DEAD_LETTER = pl.Schema(
    {
        "retailer": pl.String,
        "business_day": pl.Date,
        "report_id": pl.String,
        "source": pl.String,
        "source_row": pl.Int64,
        "raw_payload": pl.String,
        "error_code": pl.String,
        "error": pl.String,
    }
)
"""What a writer says of a row that it could not admit."""

OFFERED, STAGED = "offered", "staged"
"""What `append` reads: the staged rows with their constant columns."""

ROWS_SORTED_AT_ONCE = 1_000_000
"""More rows than this are written some days at a time, so that sorting them stays in memory."""
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
        retracted: live keys that are no longer true.
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


def quoted(columns: tuple[str, ...] | list[str], alias: str = "") -> str:
    """Column names of a contract as SQL, with a table alias."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{c}"' for c in columns)


def same_key(contract: Contract, left: str, right: str) -> str:
    """SQL condition: two rows have the same key."""
    return " AND ".join(f'{left}."{c}" = {right}."{c}"' for c in contract.key)


def row_hash_sql(contract: Contract) -> str:
    """SQL expression of the content hash: MD5 over the hashed columns as text.

    Text is prefixed by its length and NULL is written as a lone `~`, so that no two different rows read the same.
    Instants are microseconds since 1970, which costs a sixth of writing them as dates.
    """
    parts = []
    for column in contract.hashed:
        moment = isinstance(contract.body[column], pl.Datetime)
        text = f"CAST({f'epoch_us({chr(34)}{column}{chr(34)})' if moment else quoted([column])} AS VARCHAR)"
        if contract.body[column] in (pl.String(), pl.List(pl.String)):
            text = f"length({text}) || ':' || {text}"
        parts.append(f"coalesce({text}, '~')")
    return f"md5(concat_ws('|', {', '.join(parts)}))"


def scope_sql(scope: Scope, contract: Contract, run_id: str) -> tuple[str, list[object]]:
    """SQL condition and parameters that select a scope's rows of one namespace."""
    conditions, values = ["run_id = ?", "business_day BETWEEN ? AND ?"], [run_id, scope.first_day, scope.last_day]
    parameters: list[object] = [*values]
    if scope.retailer is not None:
        conditions.append("retailer = ?")
        parameters.append(scope.retailer)
    if scope.stores is not None and "store_id" in contract.body:
        conditions.append("store_id IN (SELECT unnest(?))")
        parameters.append(list(scope.stores))
    return " AND ".join(conditions), parameters


class Kernel:
    """Appends within one open transaction.

    Attributes:
        connection: open connection, in a transaction, with the warehouse as current catalog.
        run_id: namespace written to.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, now: datetime) -> None:
        self.connection = connection
        self._now = now
        self._batches = 0
        connection.execute(f"CREATE TABLE IF NOT EXISTS append_batches ({BATCHES_DDL})")

    def ensure(self, contract: Contract) -> None:
        """Create the log and its dead-letter log, or add the columns that the contract has gained."""
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
            return
        for declaration in contract.ddl.split(", "):
            if (column := declaration.split('"')[1]) not in found:
                self.connection.execute(f"ALTER TABLE {contract.name} ADD COLUMN {declaration}")
                found[column] = declaration

    def offer(
        self,
        contract: Contract,
        source_sql: str,
        parameters: list[object] | None = None,
        constants: Mapping[str, str] | None = None,
    ) -> None:
        """Stage rows for `append` from a query that has the contract's body columns and an `ordinal`.

        `ordinal` orders rows that claim the same key: the highest is kept.

        Args:
            contract: the log that the rows are for.
            source_sql: the query.
            parameters: of the query.
            constants: column → SQL literal that every row has; the query leaves these columns out, and they take no
                room while staged.
        """
        same = dict(constants or {})
        fixed = "".join(f', {literal} AS "{name}"' for name, literal in same.items())
        staged = quoted([c for c in contract.body if c not in same])
        body = ", ".join(f'{same[c]} AS "{c}"' if c in same else f'"{c}"' for c in contract.body)
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {STAGED} AS SELECT {staged}, ordinal, "
            f"{row_hash_sql(contract)} AS row_hash FROM (SELECT *{fixed} FROM ({source_sql}))",
            parameters or [],
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW {OFFERED} AS SELECT {body}, ordinal, row_hash, rowid AS place FROM {STAGED}"
        )

    def append(
        self,
        contract: Contract,
        run_id: str,
        scope: Scope,
        provenance: Provenance,
        dead_letters: pl.DataFrame | str | None = None,
    ) -> Appended:
        """Write what the staged rows change. See the module's docstring.

        Args:
            contract: the log.
            run_id: namespace written to.
            scope: what the staged rows answer for.
            provenance: who writes.
            dead_letters: rows that the caller refused, in the shape of `DEAD_LETTER`: a frame, or a query where
                there may be too many to hold.

        Raises:
            ContractBroken: a staged row lies outside the scope.
        """
        self.ensure(contract)
        self._refuse_rows_out_of_scope(contract, scope)
        offered = self._count(f"SELECT count(*) FROM {OFFERED}")
        refused = self._stage_letters(dead_letters)
        conflicting = self._drop_duplicates(contract)
        self._find_latest(contract, run_id, scope)
        begin = self._next_instant()
        batch_id = "b-" + hashlib.sha256(f"{contract.name}|{begin.isoformat()}".encode()).hexdigest()[:16]
        stamp: list[object] = [batch_id, provenance.dagster_run_id, provenance.code_version]
        appended = self._insert_changed(contract, run_id, begin, stamp)
        middle = self._newest_of(contract, batch_id, begin) + _MICROSECOND
        retracted = self._insert_retractions(contract, run_id, middle, stamp) if scope.complete else 0
        rejected = self._insert_dead_letters(contract, run_id, provenance, begin, batch_id)
        if appended or retracted or rejected:
            end = self._newest_of(contract, batch_id, begin)
            counts = [appended, retracted, rejected, provenance.dagster_run_id, provenance.code_version]
            self.connection.execute(
                "INSERT INTO append_batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [batch_id, contract.name, run_id, begin, end, *counts],
            )
        partitions = self._partitions(contract, batch_id, begin)
        stores = self._stores(contract, batch_id, begin) if appended or retracted else ()
        self.connection.execute(f"DROP VIEW {OFFERED}; DROP TABLE {STAGED}; DROP TABLE latest; DROP TABLE letters")
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
        newest = self.connection.execute("SELECT max(written_to) FROM append_batches").fetchone()
        if newest is None or newest[0] is None:
            return self._now
        return max(self._now, newest[0] + _MICROSECOND)

    def _newest_of(self, contract: Contract, batch_id: str, begin: datetime) -> datetime:
        row = self.connection.execute(
            f"SELECT max(written_at) FROM {contract.name} WHERE written_at >= ? AND batch_id = ?", [begin, batch_id]
        ).fetchone()
        return row[0] if row and row[0] is not None else begin

    def _refuse_rows_out_of_scope(self, contract: Contract, scope: Scope) -> None:
        condition, parameters = scope_sql(scope, contract, "")
        inside = condition.replace("run_id = ?", "TRUE")
        stray = self._count(f"SELECT count(*) FROM {OFFERED} WHERE NOT ({inside})", parameters[1:])
        if stray:
            raise ContractBroken(f"{contract.name}: {stray} offered rows lie outside of {scope}.")

    def _stage_letters(self, dead_letters: pl.DataFrame | str | None) -> int:
        columns = quoted(DEAD_LETTER.names())
        if isinstance(dead_letters, str):
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE letters AS SELECT {columns} FROM ({dead_letters})")
        else:
            frame = (
                pl.DataFrame(schema=DEAD_LETTER) if dead_letters is None else dead_letters.select(DEAD_LETTER.names())
            )
            self.connection.register("refused", frame.cast(DEAD_LETTER))
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE letters AS SELECT {columns} FROM refused")
            self.connection.unregister("refused")
        return self._count("SELECT count(*) FROM letters")

    def _drop_duplicates(self, contract: Contract) -> int:
        """Leave one row per key; make dead letters of those that claimed a key with other content, and count them."""
        key = quoted(list(contract.key))
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE claimed AS SELECT hash({key}) AS h FROM {OFFERED} "
            "GROUP BY h HAVING count(*) > 1"
        )
        if not self._count("SELECT count(*) FROM claimed"):
            return 0
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE ranked AS SELECT place, "
            f"row_number() OVER claim AS rank, row_hash = first_value(row_hash) OVER claim AS agrees "
            f"FROM {OFFERED} WHERE hash({key}) IN (SELECT h FROM claimed) "
            f"WINDOW claim AS (PARTITION BY {key} ORDER BY ordinal DESC NULLS LAST, row_hash DESC)"
        )
        report = '"report_id"' if "report_id" in contract.body else "NULL"
        content = ", ".join(f'"{c}" := o."{c}"' for c in contract.hashed)
        conflicting = self._count(
            f"INSERT INTO letters SELECT retailer, business_day, {report}, NULL, ordinal, "
            f"to_json(struct_pack({content})), 'conflicting_key', "
            "'another row of the same submission claims this key with other values; that one was kept' "
            f"FROM {OFFERED} o JOIN ranked r ON o.place = r.place WHERE r.rank > 1 AND NOT r.agrees"
        )
        self.connection.execute(f"DELETE FROM {STAGED} WHERE rowid IN (SELECT place FROM ranked WHERE rank > 1)")
        return conflicting

    def _find_latest(self, contract: Contract, run_id: str, scope: Scope) -> None:
        condition, parameters = scope_sql(scope, contract, run_id)
        known = self._count(
            f"SELECT count(*) FROM (SELECT 1 FROM {contract.name} WHERE {condition} LIMIT 1)", parameters
        )
        only_offered = (
            f" SEMI JOIN {OFFERED} USING ({quoted(list(contract.key))})" if known and not scope.complete else ""
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE latest AS SELECT {quoted(list(contract.key))}, max(version) AS version, "
            "arg_max(row_hash, version) AS row_hash, arg_max(is_retracted, version) AS is_retracted "
            f"FROM {contract.name}{only_offered} WHERE {condition} GROUP BY ALL",
            parameters,
        )

    def _insert_changed(self, contract: Contract, run_id: str, begin: datetime, stamp: list[object]) -> int:
        own = [c for c in contract.schema if c in contract.body and c not in ("retailer", "business_day")]
        state = ("is_degraded", "degraded_reasons", "model_version")
        columns = [c for c in own if c not in state]
        if self._count("SELECT count(*) FROM latest"):
            version, condition = (
                "coalesce(l.version, 0) + 1",
                "l.version IS NULL OR l.is_retracted OR l.row_hash <> o.row_hash",
            )
            join = f"LEFT JOIN latest l ON {same_key(contract, 'o', 'l')}"
        else:
            version, condition, join = "1", "TRUE", ""
        insert = (
            f"INSERT INTO {contract.name} SELECT ?, o.retailer, o.business_day, {quoted(columns, 'o')}, "
            f"{version}, CAST(? AS TIMESTAMPTZ) + to_microseconds({_place_in_batch(contract)}), "
            "o.row_hash, false, o.is_degraded, o.degraded_reasons, ?, ?, ?, o.model_version "
            f"FROM {OFFERED} o {join} WHERE ({condition})"
        )
        values: list[object] = [run_id, begin, *stamp]
        order = f"ORDER BY o.retailer, o.business_day, {quoted(list(contract.key), 'o')}"
        parts = self._sorted_parts(contract)
        if parts is None:
            return self._count(f"{insert} {order}", values)
        if not parts:
            return self._count(insert, values)
        inside = "AND o.business_day BETWEEN ? AND ?"
        return sum(self._count(f"{insert} {inside} {order}", [*values, *days]) for days in parts)

    def _sorted_parts(self, contract: Contract) -> list[tuple[date, date]] | None:
        """Spans of days to write one after the other; none where the rows are in order of days already.

        None: few rows, or rows whose place in the batch counts all of them; write them at once.
        """
        if _place_in_batch(contract) != "0" or self._count(f"SELECT count(*) FROM {STAGED}") <= ROWS_SORTED_AT_ONCE:
            return None
        steps_back = (
            f"SELECT count(*) FROM (SELECT business_day < lag(business_day) OVER () AS back FROM {STAGED}) WHERE back"
        )
        if not self._count(steps_back):
            return []
        spans: list[tuple[date, date]] = []
        rows = 0
        for day, count in self.connection.execute(
            f"SELECT business_day, count(*) FROM {STAGED} GROUP BY ALL ORDER BY ALL"
        ).fetchall():
            if spans and rows + count <= ROWS_SORTED_AT_ONCE:
                spans[-1], rows = (spans[-1][0], day), rows + count
            else:
                spans.append((day, day))
                rows = count
        return spans

    def _insert_retractions(self, contract: Contract, run_id: str, begin: datetime, stamp: list[object]) -> int:
        changed = {
            "version": "o.version + 1",
            "written_at": f"CAST(? AS TIMESTAMPTZ) + to_microseconds({_place_in_batch(contract)})",
            "is_retracted": "true",
            "batch_id": "?",
            "dagster_run_id": "?",
            "code_version": "?",
        }
        columns = ", ".join(changed.get(c, f'o."{c}"') for c in contract.schema)
        return self._count(
            f"INSERT INTO {contract.name} SELECT {columns} FROM {contract.name} o "
            f"JOIN latest l ON {same_key(contract, 'o', 'l')} AND o.version = l.version "
            f"ANTI JOIN {OFFERED} f ON {same_key(contract, 'o', 'f')} "
            "WHERE o.run_id = ? AND NOT l.is_retracted "
            f"ORDER BY o.retailer, o.business_day, {quoted(list(contract.key), 'o')}",
            [begin, *stamp, run_id],
        )

    def _insert_dead_letters(
        self, contract: Contract, run_id: str, provenance: Provenance, written_at: datetime, batch_id: str
    ) -> int:
        if not self._count("SELECT count(*) FROM letters"):
            return 0
        self.connection.execute("UPDATE letters SET source = coalesce(source, ?)", [provenance.source])
        same = " AND ".join(
            f"e.{c} IS NOT DISTINCT FROM l.{c}" for c in ("source", "source_row", "error_code", "raw_payload")
        )
        return self._count(
            f"INSERT INTO {contract.name}_errors SELECT ?, l.*, ?, ? FROM letters l "
            f"WHERE NOT EXISTS (SELECT 1 FROM {contract.name}_errors e WHERE e.run_id = ? AND {same})",
            [run_id, written_at, batch_id, run_id],
        )

    def _partitions(self, contract: Contract, batch_id: str, begin: datetime) -> tuple[PartitionCount, ...]:
        rows = self.connection.execute(
            "WITH counts AS ("
            f"SELECT retailer, business_day, 0 AS appended, 0 AS retracted, count(*) AS offered FROM {OFFERED} "
            "GROUP BY ALL UNION ALL SELECT retailer, business_day, count(*) FILTER (NOT is_retracted), "
            f"count(*) FILTER (is_retracted), 0 FROM {contract.name} "
            "WHERE written_at >= ? AND batch_id = ? GROUP BY ALL) "
            "SELECT retailer, business_day, sum(appended), sum(offered) - sum(appended), sum(retracted) FROM counts "
            "GROUP BY ALL ORDER BY ALL",
            [begin, batch_id],
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


def _place_in_batch(contract: Contract) -> str:
    """SQL: microseconds that a row is written after its batch began.

    A report has one row per tick. Rows of later ticks are written later, so that (report_id, written_at, version,
    store_id, sku) tells them apart.
    """
    rest = [c for c in contract.key if c != "report_id"]
    if "report_id" not in contract.key or not rest:
        return "0"
    return f"dense_rank() OVER (ORDER BY {quoted(rest, 'o')}) - 1"
