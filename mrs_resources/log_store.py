"""The warehouse: transactions that read logs at one instant and write them through the append kernel."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

import duckdb
import polars as pl

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.operations import DEMO_RUN_CONFIG
from mrs_assets.contracts.scope import Scope
from mrs_resources.backend import Backend, open_backend
from mrs_resources.clock import Clock, utc_now
from mrs_resources.contract_sql import changing_rows_sql, degraded_days_sql, live_rows_sql, quoted, scope_sql
from mrs_resources.engine import table_names
from mrs_resources.kernel import Appended, Kernel, Provenance
from mrs_resources.offer import Offer
from mrs_resources.staging import DEAD_LETTER
from mrs_resources.statements import in_utc

FIRST_RUN = "run-0001"
SYSTEM_RUN = "system"
T = TypeVar("T")
_CHANGED = {"store_id": pl.String(), "business_day": pl.Date(), "written_at": INSTANT}
_DEGRADED_DAYS = {
    "retailer": pl.String(),
    "business_day": pl.Date(),
    "reason": pl.String(),
    "resolution_reason": pl.String(),
    "rows": pl.Int64(),
    "written_at": INSTANT,
}
EVER = Scope(first_day=date(1, 1, 1), last_day=date(9999, 12, 31))


class Transaction:
    """One atomic piece of work on the warehouse.

    Attributes:
        connection: the open connection, for rooms of `mrs_resources`.
        now: when it began; UTC. Never before the newest row, wherever a clock that was put back stands.
        run_id: namespace that reads and writes default to.
        wrote: whether anything was offered to a log.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, now: datetime, known: Collection[Contract] = ()) -> None:
        self.connection = connection
        self.kernel = Kernel(connection, now, known)
        self.now = max(now, self.kernel.batches.newest_of_all() or now)
        self.wrote = False
        self.run_id = SYSTEM_RUN
        self.run_id = self._active_run()

    def append(
        self,
        contract: Contract,
        frame: pl.DataFrame | Offer,
        scope: Scope,
        provenance: Provenance,
        *,
        dead_letters: pl.DataFrame | None = None,
        run_id: str | None = None,
    ) -> Appended:
        """Offer a stage's frame to a log: validate, dead-letter what breaks the contract, write what changed.

        Args:
            contract: the log.
            frame: rows in the shape of `contract.body`, absent payload columns become typed NULLs; or an offer, which
                is a frame that was looked at before others had to wait.
            scope: what the frame answers for.
            provenance: who writes.
            dead_letters: rows that the caller could not admit, in the shape of `kernel.DEAD_LETTER`.
            run_id: namespace, where it is not the transaction's own.
        """
        self.wrote = True
        offer = frame if isinstance(frame, Offer) else Offer.of(contract, frame, provenance.source)
        letters = offer.refused if dead_letters is None else pl.concat([dead_letters.cast(DEAD_LETTER), offer.refused])
        self.connection.register("frame", offer.rows)
        self.kernel.staging.offer(contract, "SELECT *, NULL::BIGINT AS ordinal FROM frame", hashed=True)
        self.connection.unregister("frame")
        return self.kernel.append(contract, run_id or self.run_id, scope, provenance, letters)

    def live(
        self,
        contract: Contract,
        scope: Scope = EVER,
        *,
        as_of: datetime | None = None,
        run_id: str | None = None,
        columns: Collection[str] | None = None,
        matching: pl.DataFrame | None = None,
        in_order: bool = True,
    ) -> pl.DataFrame:
        """Rows that are true: per key the latest version written by `as_of`, unless it is a retraction.

        Args:
            contract: the log.
            scope: which rows.
            as_of: up to when they were written; None: up to now.
            run_id: namespace, where it is not the transaction's own.
            columns: those of interest; None: all that are stored.
            matching: values of some columns; rows with others are left out.
            in_order: sorted by key, which is most of what reading many rows costs; otherwise in any order.

        Returns:
            The contract's stored columns, or those of them that are asked for.
        """
        if not self._was_written(contract, run_id):
            return contract.empty(stored=True).select(list(columns or contract.schema))
        condition, parameters = self._rows_condition(contract, scope, as_of, run_id)
        if matching is not None:
            self.connection.register("matching", matching)
            condition += f" AND ({quoted(matching.columns)}) IN (FROM matching)"
        order = f"ORDER BY {quoted(list(contract.key))}" if in_order else ""
        wanted = quoted(list(columns or contract.schema))
        sql = f"SELECT {wanted} FROM ({live_rows_sql(contract, condition)}) {order}"
        return self.query(sql, [*parameters, *parameters])

    def history(
        self,
        contract: Contract,
        scope: Scope = EVER,
        *,
        as_of: datetime | None = None,
        run_id: str | None = None,
    ) -> pl.DataFrame:
        """Every appended row, sorted by key and version."""
        if not self._was_written(contract, run_id):
            return contract.empty(stored=True)
        condition, parameters = self._rows_condition(contract, scope, as_of, run_id)
        order = quoted([*contract.key, "version"])
        columns = quoted(list(contract.schema))
        return self.query(f"SELECT {columns} FROM {contract.name} WHERE {condition} ORDER BY {order}", parameters)

    def ever_spoke(self, contract: Contract, scope: Scope) -> bool:
        """Whether a log ever had a row in a scope."""
        if not self._was_written(contract):
            return False
        condition, parameters = self._rows_condition(contract, scope, None, None)
        found = f"SELECT 1 FROM {contract.name} WHERE {condition} AND NOT is_retracted LIMIT 1"
        return self.connection.execute(found, parameters).fetchone() is not None

    def wrote_since(self, contract: Contract, scope: Scope, instant: datetime | None) -> bool:
        """Whether rows of a scope were written after an instant, retractions included; None: ever."""
        if not self._was_written(contract, since=instant):
            return False
        condition, parameters = self._rows_condition(contract, scope, None, None)
        found = f"SELECT 1 FROM {contract.name} WHERE {condition} AND (? IS NULL OR written_at > ?) LIMIT 1"
        return self.connection.execute(found, [*parameters, instant, instant]).fetchone() is not None

    def rows_per_store(self, contract: Contract, scope: Scope) -> list[tuple[str, int]]:
        """How many rows a log has per store of a scope; nothing for a log without stores."""
        if "store_id" not in contract.body or not self._was_written(contract):
            return []
        condition, parameters = self._rows_condition(contract, scope, None, None)
        return self.connection.execute(
            f"SELECT store_id, count(*) FROM {contract.name} WHERE {condition} GROUP BY ALL ORDER BY ALL", parameters
        ).fetchall()

    def degraded_days(self, contract: Contract, mended_after: datetime | None = None) -> pl.DataFrame:
        """Live degraded rows by business day, reason and, where rows tell of an end, why it ended.

        Args:
            contract: the log.
            mended_after: where given, rows that were mended after it count as well.

        Returns:
            Columns retailer, business_day, reason, resolution_reason (NULL where there is none), rows, written_at (the
            newest of the rows, UTC), sorted.
        """
        if not self._was_written(contract):
            return pl.DataFrame(schema=_DEGRADED_DAYS)
        self.ensure(contract)
        parameters: dict[str, object] = {"run_id": self.run_id}
        if mended_after is not None:
            parameters["instant"] = mended_after
        sql = degraded_days_sql(contract, mended_later=mended_after is not None)
        return self.query(f"{sql} ORDER BY ALL", parameters)

    def days_with_rows(self, contract: Contract, retailer: str) -> list[date]:
        """Business days of a retailer that a log ever had rows of, sorted."""
        if not self._was_written(contract):
            return []
        found = self.query(
            f"SELECT DISTINCT business_day FROM {contract.name} WHERE run_id = ? AND retailer = ? ORDER BY ALL",
            [self.run_id, retailer],
        )
        return found["business_day"].to_list()

    def first_and_last_day(
        self, contract: Contract, retailer: str, until: datetime | None = None
    ) -> tuple[date, date] | None:
        """The span of business days of a retailer that a log ever had rows of, as written by `until`.

        Looked for from both ends, so that it costs the same however many rows lie between.
        """
        if not self._was_written(contract):
            return None
        found = (
            f"(SELECT business_day FROM {contract.name} WHERE run_id = $run AND retailer = $retailer "
            "AND ($until IS NULL OR written_at <= $until) ORDER BY business_day {} LIMIT 1)"
        )
        row = self.connection.execute(
            f"SELECT {found.format('ASC')}, {found.format('DESC')}",
            {"run": self.run_id, "retailer": retailer, "until": until},
        ).fetchone()
        return (row[0], row[1]) if row and row[0] is not None else None

    def changed(
        self, contract: Contract, since: datetime, retailer: str | None = None, columns: Collection[str] | None = None
    ) -> pl.DataFrame:
        """Where rows of a log were written after an instant, retractions included.

        Args:
            contract: the log.
            since: the instant.
            retailer: whose rows; None: everybody's.
            columns: where given, a version that is in them as the one before it counts as not written.

        Returns:
            Columns store_id (NULL: a row that is not of one store), business_day, written_at (newest; UTC).
        """
        if not self._was_written(contract, since=since):
            return pl.DataFrame(schema=_CHANGED)
        store = "nullif(store_id, '*')" if "store_id" in contract.body else "CAST(NULL AS VARCHAR)"
        condition = "run_id = $run AND ($retailer IS NULL OR retailer = $retailer)"
        rows = contract.name if columns is None else f"({changing_rows_sql(contract, condition, columns)})"
        return self.query(
            f"SELECT {store} AS store_id, business_day, max(written_at) AS written_at FROM {rows} "
            f"WHERE {condition} AND written_at > $since GROUP BY ALL ORDER BY ALL",
            {"run": self.run_id, "since": since, "retailer": retailer},
        )

    def stores_of(self, contract: Contract, retailer: str) -> int:
        """How many stores of a retailer a log ever had rows of."""
        if not self._was_written(contract):
            return 0
        found = self.query(
            f"SELECT count(DISTINCT store_id) AS n FROM {contract.name} WHERE run_id = ? AND retailer = ?",
            [self.run_id, retailer],
        )
        return int(found["n"][0])

    def query(self, sql: str, parameters: list[object] | dict[str, object] | None = None) -> pl.DataFrame:
        """Rows of a query; values are parameters, never part of the text."""
        return in_utc(self.connection.execute(sql, parameters or []).pl())

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables that exist."""
        return table_names(self.connection)

    def ensure(self, *contracts: Contract) -> None:
        """Make sure that the logs' tables exist before a query names them."""
        for contract in contracts:
            self.kernel.ensure(contract)

    def settled(self, as_of: datetime) -> datetime:
        """The newest instant at or before `as_of` at which no append was half written."""
        row = self.connection.execute(
            "SELECT max(written_to) FROM append_batches WHERE written_to <= ?", [as_of]
        ).fetchone()
        return row[0] if row and row[0] is not None else as_of

    def newest_write(self, *contracts: Contract) -> datetime | None:
        """When any of the logs was last written in the current namespace; every log when none is named."""
        newest = self.kernel.batches.newest(self.run_id)
        names = {contract.name for contract in contracts} or newest.keys()
        return max((at for log, at in newest.items() if log in names), default=None)

    def written_by(self, dagster_run_id: str) -> dict[str, int]:
        """Rows that a Dagster run wrote, retractions and dead letters included, per log."""
        rows = self.connection.execute(
            "SELECT log_name, sum(appended + retracted + rejected) FROM append_batches WHERE dagster_run_id = ? "
            "GROUP BY ALL ORDER BY ALL",
            [dagster_run_id],
        ).fetchall()
        return {log: int(count) for log, count in rows}

    def start_run(self, run_id: str, arrivals_from: datetime, provenance: Provenance) -> None:
        """Advance the namespace that every view reads."""
        day = self.now.date()
        frame = pl.DataFrame(
            {
                "retailer": ["*"],
                "business_day": [day],
                "setting": ["active_run"],
                "active_run_id": [run_id],
                "arrivals_from": [arrivals_from],
            }
        )
        scope = replace(EVER, complete=False)
        self.append(DEMO_RUN_CONFIG, frame, scope, provenance, run_id=SYSTEM_RUN)
        self.run_id = run_id

    def _active_run(self) -> str:
        if not self._was_written(DEMO_RUN_CONFIG, SYSTEM_RUN):
            return FIRST_RUN
        newest = f"SELECT arg_max(active_run_id, version) FROM {DEMO_RUN_CONFIG.name} WHERE run_id = ?"
        ((active,),) = self.connection.execute(newest, [SYSTEM_RUN]).fetchall()
        return FIRST_RUN if active is None else str(active)

    def _was_written(self, contract: Contract, run_id: str | None = None, since: datetime | None = None) -> bool:
        """Whether anything was appended to a log, dead letters included; after an instant, where one is said."""
        newest = self.kernel.batches.newest(run_id or self.run_id).get(contract.name)
        return newest is not None and (since is None or newest > since)

    def _rows_condition(
        self, contract: Contract, scope: Scope, as_of: datetime | None, run_id: str | None
    ) -> tuple[str, list[object]]:
        self.ensure(contract)
        condition, parameters = scope_sql(scope, contract, run_id or self.run_id)
        if as_of is not None:
            condition += " AND written_at <= ?"
            parameters.append(self.settled(as_of))
        return condition, parameters


class LogStore:
    """The warehouse of one home directory.

    Attributes:
        backend: storage and lock.
    """

    def __init__(
        self, home: Path, clock: Clock = utc_now, *, keeps: bool = True, backend: Backend | None = None
    ) -> None:
        self.backend = backend or open_backend(home)
        self._clock = clock
        self._keeps = keeps
        self._known: set[Contract] = set()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Read and write at one instant: all of it happens, or none of it; none, in a store that keeps nothing.

        Waits for its turn to write. The connection is closed at the end whatever happens.
        """
        with self.backend.writing() if self._keeps else self.backend.reading() as connection:
            transaction = Transaction(connection, self._clock(), self._known)
            yield transaction
        self._remember(transaction.kernel, kept=self._keeps)

    @contextmanager
    def looking(self) -> Iterator[Transaction]:
        """Read at one instant; whatever is written is forgotten at the end. Waits for no writer where it need not."""
        with self.backend.reading() as connection:
            transaction = Transaction(connection, self._clock(), self._known)
            yield transaction
        self._remember(transaction.kernel, kept=False)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Do work that seldom has anything to write: without a turn, and again in one where it turns out to write."""
        with self.looking() as tx:
            found = work(tx)
            if not tx.wrote:
                return found
        with self.transaction() as tx:
            return work(tx)

    def _remember(self, kernel: Kernel, *, kept: bool) -> None:
        """Logs that have their tables, those left out that were made and not kept."""
        self._known |= kernel.known if kept else kernel.known - kernel.made
