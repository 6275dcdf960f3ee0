"""What the finalisation asset does: finds the reports to consolidate, reads them whole, and writes their records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.finalisation import selection_sql as sql
from mrs_assets.finalisation.auto_approval import auto_approvals
from mrs_assets.finalisation.beliefs import read_beliefs
from mrs_assets.finalisation.closings import close_events, close_reports
from mrs_assets.finalisation.finalise import finalise
from mrs_assets.finalisation.transaction import Appended_co, Provenance_contra, Warehouse

ANYWHERE = Scope(first_day=date(1, 1, 1), last_day=date(9999, 12, 31), complete=False)
"""A record lies on the day of its report's onset, which may be before the days that are consolidated."""

EDITS_DOWN = "edits_down"
"""Reason on a record that was made without looking at what people said."""


def finalise_scope(
    tx: Warehouse[Provenance_contra, Appended_co],
    scope: Scope,
    settings: Settings,
    provenance: Provenance_contra,
    missing: frozenset[str] = frozenset(),
    *,
    look_for_edits: bool = True,
    since: datetime | None = None,
) -> Appended_co:
    """Consolidate every report that the scope's days or a new edit touch, each from its complete latest state.

    Given `since`, not the scope's days count but what the stages wrote after that instant, wherever it lies.

    A report that is no longer detected keeps its last known values and becomes `ended`, `data correction`. Where
    `missing` says `edits_down` no edit counts: the record is what the machine knows. Unless `look_for_edits`, reports
    outside the scope that have a new edit are not looked for either.

    Returns:
        What the append to `minority_reports_finalised_log` did.
    """
    tx.ensure(*sql.READS)
    ids = _touched(tx, scope, since, edited=look_for_edits)
    if not ids:
        return tx.append(FINALISED, FINALISED.empty(), ANYWHERE, provenance)
    appended, frame = _consolidated(tx, ids, settings, provenance, missing)
    close_reports(tx, frame, ANYWHERE, provenance)
    close_events(tx, scope, since, ANYWHERE, provenance)
    return appended


def finalise_reports(
    tx: Warehouse[Provenance_contra, Appended_co], ids: Sequence[str], settings: Settings, provenance: Provenance_contra
) -> Appended_co:
    """Consolidate the given reports, which are detected; whatever else changed is left to its own run.

    Returns:
        What the append to `minority_reports_finalised_log` did.
    """
    tx.ensure(*sql.READS)
    return _consolidated(tx, sorted(ids), settings, provenance, frozenset())[0]


def _consolidated(
    tx: Warehouse[Provenance_contra, Appended_co],
    ids: list[str],
    settings: Settings,
    provenance: Provenance_contra,
    missing: frozenset[str],
) -> tuple[Appended_co, pl.DataFrame]:
    edited = EDITS_DOWN not in missing
    folded = _folded(tx, ids)
    about_events = _event_edits(tx) if edited else USER_EVENT_EDITS.empty(stored=True)
    about_reports = _report_edits(tx, ids) if edited else USER_EDITS.empty(stored=True)
    beliefs = read_beliefs(tx, about_reports)
    reviewed = _reviewed(tx, ids) if about_reports.height else None
    frame = finalise(folded, about_reports, about_events, settings, missing, beliefs, reviewed)
    if edited and settings.auto_approval.enabled:
        approvals = auto_approvals(frame, settings, _spoken_for(tx, ids))
        if approvals.height:
            tx.append(USER_EDITS, approvals, ANYWHERE, provenance)
            frame = finalise(folded, _report_edits(tx, ids), about_events, settings, missing, beliefs, reviewed)
    return tx.append(FINALISED, _numbered(tx, frame, ids), ANYWHERE, provenance), frame


def _touched(tx: Warehouse[Any, Any], scope: Scope, since: datetime | None, *, edited: bool) -> list[str]:
    limits = {
        "run_id": tx.run_id,
        "first_day": scope.first_day,
        "last_day": scope.last_day,
        "retailer": scope.retailer,
        "stores": None if scope.stores is None else list(scope.stores),
    }
    now = {"run_id": tx.run_id, "as_of": None}
    if since is None:
        found = set(tx.query(sql.IN_SCOPE, limits)["report_id"])
        # An event has members at other retailers, whose own runs may be over.
        days = {name: limits[name] for name in ("run_id", "first_day", "last_day")}
        found |= set(tx.query(sql.NEWLY_COHORTED, days)["report_id"])
    else:
        found = set(tx.query(sql.CHANGED, {"run_id": tx.run_id, "since": since})["report_id"])
    if edited and _any(tx, USER_EDITS):
        found |= set(tx.query(sql.NEWLY_EDITED, now | {"retailer": scope.retailer})["report_id"])
    if edited and _any(tx, USER_EVENT_EDITS):
        found |= set(tx.query(sql.IN_NEWLY_EDITED_EVENTS, now)["report_id"])
        found |= set(tx.query(sql.BESIDE_MOVED_EVENTS, {"run_id": tx.run_id})["report_id"])
    return sorted(found)


def _folded(tx: Warehouse[Any, Any], ids: list[str]) -> pl.DataFrame:
    parameters: dict[str, object] = {"run_id": tx.run_id, "as_of": None, "report_ids": ids}
    live = tx.query(sql.MACHINE, parameters)
    gone = sorted(set(ids) - set(live["report_id"]))
    if not gone:
        return live.with_columns(withdrawn=pl.lit(False))
    last_known = tx.query(sql.MACHINE_LAST_KNOWN, parameters | {"report_ids": gone})
    return pl.concat([live.with_columns(withdrawn=pl.lit(False)), last_known.with_columns(withdrawn=pl.lit(True))])


def _reviewed(tx: Warehouse[Any, Any], ids: list[str]) -> pl.DataFrame:
    return tx.query(sql.REVIEWED, {"run_id": tx.run_id, "as_of": None, "report_ids": ids})


def _report_edits(tx: Warehouse[Any, Any], ids: list[str]) -> pl.DataFrame:
    if not _any(tx, USER_EDITS):
        return USER_EDITS.empty(stored=True)
    return tx.query(sql.REPORT_EDITS, {"run_id": tx.run_id, "as_of": None, "report_ids": ids})


def _event_edits(tx: Warehouse[Any, Any]) -> pl.DataFrame:
    if not _any(tx, USER_EVENT_EDITS):
        return USER_EVENT_EDITS.empty(stored=True)
    return tx.query(sql.EVENT_EDITS, {"run_id": tx.run_id, "as_of": None})


def _spoken_for(tx: Warehouse[Any, Any], ids: list[str]) -> frozenset[str]:
    rows = tx.query(sql.SPOKEN_FOR, {"run_id": tx.run_id, "as_of": None, "report_ids": ids})
    return frozenset(rows["report_id"])


def _numbered(tx: Warehouse[Any, Any], frame: pl.DataFrame, ids: list[str]) -> pl.DataFrame:
    """With `refresh_seq`: which refresh of the record this would be."""
    before = tx.query(sql.VERSIONS, {"run_id": tx.run_id, "report_ids": ids})
    told = frame.drop("refresh_seq", strict=False).join(before, on="report_id", how="left")
    return told.with_columns((pl.col("version").fill_null(0) + 1).cast(pl.Int64).alias("refresh_seq")).drop("version")


def _any(tx: Warehouse[Any, Any], contract: Contract) -> bool:
    parameters: Mapping[str, object] = {"run_id": tx.run_id}
    return tx.query(sql.any_row(contract), parameters).height > 0
