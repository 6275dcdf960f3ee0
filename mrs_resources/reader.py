"""Reads the published snapshot: for commands, notebooks and pages, which never open the warehouse itself."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.catalogue import LOGS, find
from mrs_assets.contracts.logs.edits import USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.views import MINORITY_REPORTS, Fold, View, find_view
from mrs_resources.contract_sql import live_rows_sql, quoted
from mrs_resources.dead_letters import chosen_letters_sql, letter_groups_sql
from mrs_resources.engine import MEMORY_LIMIT, table_names
from mrs_resources.hydrator import fold_of
from mrs_resources.log_store import FIRST_RUN, SYSTEM_RUN
from mrs_resources.publisher import DATABASE, LINK
from mrs_resources.statements import CONFINED, run_one

_ERRORS = "_errors"
_Query = tuple[str, dict[str, object]]


@dataclass(frozen=True)
class Explanation:
    """Everything the system said of one report.

    Attributes:
        current: its row of `minority_reports`, or no row where it is not live.
        sources: field group → the log that supplied it; None: nobody did.
        evidence: the newest attribution's evidence, parsed; None where there is none.
        logs: log → every row about the report or its events, sorted by key and version, corrections included.
    """

    current: pl.DataFrame
    sources: dict[str, str | None]
    evidence: Any
    logs: dict[str, pl.DataFrame]


class SnapshotReader:
    """Opens the published snapshot for one query at a time.

    Attributes:
        folds: how the views are computed as of an instant.
    """

    def __init__(self, home: Path, folds: Sequence[Fold]) -> None:
        self._link = home / LINK
        self.folds = tuple(folds)

    def pinned(self) -> SnapshotReader:
        """A reader of the snapshot that is published now, whatever is published later."""
        pinned = SnapshotReader(self._link.parent, self.folds)
        pinned._link = self._link.resolve()
        return pinned

    def belief(self, instant: datetime) -> tuple[str, datetime]:
        """The namespace in force at an instant, and the newest instant by then at which no append was half written."""
        with self._opened() as connection:
            return _run_id(connection, instant), _settled(connection, instant) or instant

    def tables(self) -> frozenset[str]:
        """Names of the tables that the snapshot holds."""
        with self._opened() as connection:
            return table_names(connection)

    def rows(self, sql: str, parameters: dict[str, object]) -> pl.DataFrame:
        """Rows of a statement of our own; values are parameters."""
        with self._opened() as connection:
            return run_one(connection, sql, parameters)

    def show(
        self,
        name: str,
        *,
        as_of: datetime | None = None,
        live: bool = False,
        where: str | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Rows of a view, a log or a dead-letter log, sorted by key.

        Args:
            name: `reports`, `events`, a log's table name or glossary code, or `<log>_errors`.
            as_of: what was known at this instant, in the namespace that was current then.
            live: of a log, only what is true; otherwise every appended row.
            where: an SQL condition over the columns; it can read nothing but the snapshot and write nothing.
            limit: at most so many rows.

        Raises:
            UnknownName: there is no such view or log.
            UserMistake: nothing is published, or the condition is not valid SQL.
        """
        if as_of is not None and as_of.tzinfo is None:
            raise UserMistake("An instant needs a time zone.", remedy="Write 2024-05-01T08:00:00Z, for example.")
        with self._opened() as connection:
            sql, parameters = self._source(connection, name, as_of, live)
            sql = f"SELECT * FROM ({sql})"
            if where:
                sql += f"\nWHERE (\n{where}\n)"
            sql += f" ORDER BY {self._order(name)}"
            if limit is not None:
                sql += f" LIMIT {int(limit)}"
            return run_one(connection, sql, parameters)

    def explain(self, report_id: str, *, as_of: datetime | None = None) -> Explanation:
        """Every row of every log about one report, and how its current row came about.

        Args:
            report_id: the report.
            as_of: what was known at this instant, in the namespace that was current then.

        Raises:
            UnknownName: no log has ever heard of the report.
            UserMistake: nothing is published.
        """
        with self._opened() as connection:
            known: _Query = ("run_id = $run_id", {"run_id": _run_id(connection, as_of)})
            if as_of is not None:
                written = {"as_of": _settled(connection, as_of)}
                known = (f"{known[0]} AND written_at <= CAST($as_of AS TIMESTAMPTZ)", known[1] | written)
            logs = {}
            for contract in LOGS:
                if "report_id" in contract.body and _has_table(connection, contract.name):
                    logs[contract.name] = _rows_about(connection, contract, known, "report_id", [report_id])
            if not any(frame.height for frame in logs.values()):
                raise UnknownName(f"No log knows a report {report_id!r}.", remedy="`mrs show reports` lists them.")
            groups = sorted(
                {
                    g
                    for frame in logs.values()
                    if "report_group_id" in frame.columns
                    for g in frame["report_group_id"]
                    if g
                }
            )
            for contract in (EVENTS, USER_EVENT_EDITS):
                if _has_table(connection, contract.name):
                    logs[contract.name] = _rows_about(connection, contract, known, "report_group_id", groups)
            sql, parameters = self._view_source(connection, MINORITY_REPORTS, as_of)
            sql = f"SELECT * FROM ({sql}) WHERE report_id = $report_id"
            current = run_one(connection, sql, parameters | {"report_id": report_id})
        first = current.row(0, named=True) if current.height else {}
        sources = {group.name: first.get(f"source_used_{group.name}") for group in MINORITY_REPORTS.groups}
        return Explanation(current, sources, _parsed(first.get("supporting_evidence")), logs)

    def dead_letters(
        self,
        *,
        log: str | None = None,
        code: str | None = None,
        retailer: str | None = None,
        letter_id: str | None = None,
        only_open: bool = False,
        grouped: bool = False,
    ) -> pl.DataFrame:
        """Dead letters of the current namespace with their state, or counted by log, retailer and code.

        Returns:
            Columns as `mrs_resources.dead_letters.letters_sql`, grouped as `letter_groups_sql` says.
        """
        asked: dict[str, object] = {"log": log, "code": code, "retailer": retailer, "letter_id": letter_id}
        asked["only_open"] = only_open
        with self._opened() as connection:
            tables = table_names(connection)
            sql = letter_groups_sql(tables) if grouped else chosen_letters_sql(tables)
            return run_one(connection, sql, {"run_id": _run_id(connection, None), **asked})

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        file = self._link.resolve() / DATABASE
        if not file.exists():
            raise UserMistake("Nothing has been published yet.", remedy="Run `mrs tick` first.")
        with tempfile.TemporaryDirectory(prefix="mrs-spill-") as spill:
            connection = duckdb.connect(
                str(file), read_only=True, config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill}
            )
            try:
                connection.execute(CONFINED)
                yield connection
            finally:
                connection.close()

    def _source(self, connection: duckdb.DuckDBPyConnection, name: str, as_of: datetime | None, live: bool) -> _Query:
        view = _view(name)
        if view is not None:
            return self._view_source(connection, view, as_of)
        parameters: dict[str, object] = {"run_id": _run_id(connection, as_of), "as_of": _settled(connection, as_of)}
        condition = (
            f"run_id IN ($run_id, '{SYSTEM_RUN}') AND ($as_of IS NULL OR written_at <= CAST($as_of AS TIMESTAMPTZ))"
        )
        contract = find(name.removesuffix(_ERRORS))
        table = contract.name + (_ERRORS if name.endswith(_ERRORS) else "")
        if not _has_table(connection, table):
            raise UnknownName(f"{table} has no row yet: nothing was ever written to it.")
        if live and table == contract.name:
            return live_rows_sql(contract, condition), parameters
        return f"SELECT * FROM {table} WHERE {condition}", parameters

    def _view_source(self, connection: duckdb.DuckDBPyConnection, view: View, as_of: datetime | None) -> _Query:
        if as_of is None:
            return f"SELECT * FROM {view.name}", {}
        fold = fold_of(self.folds, view)
        return fold.as_of, {"run_id": _run_id(connection, as_of), "as_of": _settled(connection, as_of)}

    def _order(self, name: str) -> str:
        view = _view(name)
        if view is not None:
            return f'"{view.key}"'
        if name.endswith(_ERRORS):
            return "written_at, source, source_row, raw_payload"
        return quoted([*find(name).key, "run_id", "version"])


def _view(name: str) -> View | None:
    try:
        return find_view(name)
    except UnknownName:
        return None


def _rows_about(
    connection: duckdb.DuckDBPyConnection, contract: Contract, known: _Query, column: str, subjects: list[str]
) -> pl.DataFrame:
    order = quoted([*contract.key, "version"])
    return run_one(
        connection,
        f'SELECT * FROM {contract.name} WHERE {known[0]} AND "{column}" IN (SELECT unnest($subjects)) ORDER BY {order}',
        known[1] | {"subjects": subjects},
    )


def _run_id(connection: duckdb.DuckDBPyConnection, as_of: datetime | None) -> str:
    """The namespace that was current at an instant."""
    if not _has_table(connection, "demo_run_config"):
        return FIRST_RUN
    row = connection.execute(
        "SELECT active_run_id FROM demo_run_config WHERE run_id = $run_id "
        "AND ($as_of IS NULL OR written_at <= CAST($as_of AS TIMESTAMPTZ)) ORDER BY version DESC LIMIT 1",
        {"run_id": SYSTEM_RUN, "as_of": as_of},
    ).fetchone()
    return str(row[0]) if row else FIRST_RUN


def _settled(connection: duckdb.DuckDBPyConnection, as_of: datetime | None) -> datetime | None:
    """The newest instant by then at which no append was half written."""
    if as_of is None:
        return None
    row = connection.execute("SELECT max(written_to) FROM append_batches WHERE written_to <= $as_of", {"as_of": as_of})
    found = row.fetchone()
    return found[0] if found and found[0] is not None else as_of


def _has_table(connection: duckdb.DuckDBPyConnection, name: str) -> bool:
    return name in table_names(connection)


def _parsed(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
