"""Reads, from one snapshot, what was written between two beliefs: rows that moved, files, edits, models, recoveries."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from mrs_assets.beliefs.evidence_sql import moves_sql
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.hydration.newest import LogRow, newest_row_sql
from mrs_resources.log_store import SYSTEM_RUN
from mrs_resources.reader import SnapshotReader

_ONE_TRANSACTION = timedelta(seconds=1)
"""Instants of one transaction follow one another by microseconds; a file's account ends its transaction."""


@dataclass(frozen=True)
class Stamp:
    """Who wrote a row, with what: model and code version, what it had to do without, and when (UTC)."""

    model_version: str | None
    code_version: str | None
    reasons: tuple[str, ...]
    written_at: datetime


@dataclass(frozen=True)
class Move:
    """Rows of one log and place that came out otherwise, written alike.

    Attributes:
        place: (retailer, store_id, sku); None where the log does not say.
        report_id: the report, where the log names one.
        first_day, last_day: business days of the rows.
        before: the row that the same key, or else its place, had; None: nothing was known there.
        after: the rows now; None where they were retracted.
        known: whether the same keys were true before.
        written_at: newest of the rows; UTC.
        dagster_run_id: the run that wrote them.
    """

    place: tuple[str, str | None, str | None]
    report_id: str | None
    first_day: date
    last_day: date
    before: Stamp | None
    after: Stamp | None
    known: bool
    written_at: datetime
    dagster_run_id: str | None


@dataclass(frozen=True)
class Believed:
    """The newest live row of one subject in one log: where it stands and who wrote it."""

    identity: tuple[Any, ...]
    day: date
    stamp: Stamp


class Evidence:
    """What one snapshot tells of an interval, read when it is asked for.

    Attributes:
        run_id: the namespace.
        since, until: the earlier and the later belief, UTC; rows written after the one and up to the other count.
    """

    def __init__(self, reader: SnapshotReader, run_id: str, since: datetime, until: datetime) -> None:
        self.run_id, self.since, self.until = run_id, since, until
        self._reader = reader
        self._moves: dict[str, list[Move]] = {}

    def moves(self, log: Contract) -> list[Move]:
        """What moved in a log, sorted by place."""
        if log.name not in self._moves:
            rows = self._rows(log, moves_sql(log), run_id=self.run_id, since=self.since, until=self.until)
            self._moves[log.name] = [_move(row) for row in rows]
        return self._moves[log.name]

    def newest(self, row: LogRow, subjects: Sequence[str], at: datetime) -> dict[str, Believed]:
        """Per subject the newest live row of a log as of an instant."""
        parts = ", ".join(newest_row_sql(row, limited_to="SELECT unnest($subjects)"))
        sql = f"WITH {parts} SELECT * FROM {row.alias}"
        found = self._rows(row.contract, sql, run_id=self.run_id, as_of=at, subjects=list(subjects))
        return {
            r[row.subject]: Believed((*(r[k] for k in row.key), r["version"]), r["business_day"], stamp_of(r))
            for r in found
        }

    @cached_property
    def edits(self) -> Mapping[str, list[dict[str, Any]]]:
        """Report or event → actions on it that were written in the interval, in that order."""
        said = defaultdict(list)
        for log, subject in ((USER_EDITS, "report_id"), (USER_EVENT_EDITS, "report_group_id")):
            for row in self._written(log, self.run_id):
                said[row[subject]].append(row)
        return said

    @cached_property
    def recoveries(self) -> list[dict[str, Any]]:
        """Recoveries that were finished in the interval: plan_id, retailer, triggers, written_at."""
        plans = self._written(REPLAY_PLANS, self.run_id)
        return [plan for plan in plans if plan["purpose"] == "recovery" and plan["state"] == "done"]

    @cached_property
    def activations(self) -> list[dict[str, Any]]:
        """Versions of models as they were put in force, up to the later belief, oldest first."""
        sql = f"SELECT * FROM {MODEL_REGISTRY.name} WHERE is_active AND written_at <= $until ORDER BY written_at"
        return self._rows(MODEL_REGISTRY, sql, until=self.until)

    def file_of(self, move: Move) -> dict[str, Any] | None:
        """The account of the file that a feed's rows came from; None where no file brought them."""
        accounts = self._accounts[move.place[0], move.dagster_run_id]
        at = bisect_left(accounts, move.written_at, key=lambda account: account["written_at"])
        if at == len(accounts) or accounts[at]["written_at"] - move.written_at > _ONE_TRANSACTION:
            return None
        return accounts[at]

    @cached_property
    def _accounts(self) -> Mapping[tuple[str, str | None], list[dict[str, Any]]]:
        found = defaultdict(list)
        for row in self._written(ARRIVALS, self.run_id):
            found[row["retailer"], row["dagster_run_id"]].append(row)
        return found

    def _written(self, log: Contract, run_id: str) -> list[dict[str, Any]]:
        sql = (
            f"SELECT * FROM {log.name} WHERE run_id IN ($run_id, '{SYSTEM_RUN}') AND written_at > $since "
            "AND written_at <= $until ORDER BY written_at"
        )
        return self._rows(log, sql, run_id=run_id, since=self.since, until=self.until)

    def _rows(self, log: Contract, sql: str, **parameters: object) -> list[dict[str, Any]]:
        return self._reader.rows(sql, parameters).to_dicts() if log.name in self._tables else []

    @cached_property
    def _tables(self) -> set[str]:
        return set(self._reader.rows("SELECT table_name FROM duckdb_tables()", {})["table_name"])


def stamp_of(row: Mapping[str, Any]) -> Stamp:
    """The stamp of a log's stored row."""
    reasons = tuple(row["degraded_reasons"] or ())
    return Stamp(row["model_version"], row["code_version"], reasons, row["written_at"])


def _move(row: Mapping[str, Any]) -> Move:
    before = None
    if row["written_before"] is not None:
        reasons = tuple(row["degraded_reasons_before"] or ())
        before = Stamp(row["model_version_before"], row["code_version_before"], reasons, row["written_before"])
    return Move(
        place=(row["retailer"], row["store_id"], row["sku"]),
        report_id=row["report_id"],
        first_day=row["first_day"],
        last_day=row["last_day"],
        before=before,
        after=None if row["is_retracted"] else stamp_of(row),
        known=row["known"],
        written_at=row["written_at"],
        dagster_run_id=row["dagster_run_id"],
    )
