"""Closes in MEEL and MELOG what corrected data took away, and opens again what came back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.scope import Scope
from mrs_assets.finalisation import selection_sql as sql
from mrs_assets.finalisation.transaction import Provenance_contra, Warehouse


def close_reports(
    tx: Warehouse[Provenance_contra, Any], records: pl.DataFrame, anywhere: Scope, provenance: Provenance_contra
) -> None:
    """Append the closure of every report among the records that is no longer detected, and take back those of others.

    Args:
        tx: the open transaction.
        records: consolidated records, in the columns of FINALISED.
        anywhere: every day there is.
        provenance: who writes.
    """
    corrected = pl.col("resolution_reason").eq_missing(pl.lit(CORRECTED))
    closed = tx.query(sql.CLOSED_REPORTS, {"run_id": tx.run_id, "report_ids": records["report_id"].to_list()})
    gone = records.filter(corrected).with_columns(
        window_end=pl.coalesce("window_end", "tick", "window_start"), event_status=pl.lit("ended")
    )
    told = gone.select(name for name in ENDED.body if name in gone.columns)
    _rewrite(tx, ENDED, told, [*told["report_id"], *closed["report_id"]], anywhere, provenance)


def close_events(
    tx: Warehouse[Provenance_contra, Any],
    scope: Scope,
    since: datetime | None,
    anywhere: Scope,
    provenance: Provenance_contra,
) -> None:
    """The same for events: one that no tick speaks of any more keeps its last state, as ended by corrected data.

    Args:
        tx: the open transaction.
        scope: days whose events are looked at.
        since: instead, events written after this instant.
        anywhere: every day there is.
        provenance: who writes.
    """
    limits = {"first_day": scope.first_day, "last_day": scope.last_day, "since": since}
    rows = tx.query(sql.EVENTS_TO_CLOSE, {"run_id": tx.run_id, **limits})
    closure = pl.col("resolution_reason").eq_missing(pl.lit(CORRECTED)) & ~pl.col("is_retracted")
    alive = ~pl.col("is_retracted") & ~closure
    rows = rows.with_columns(closed=closure.any().over("report_group_id"), lives=alive.any().over("report_group_id"))
    last = rows.filter(~pl.col("lives")).sort("report_group_id", "tick").unique("report_group_id", keep="last")
    gone = last.with_columns(
        window_end=pl.coalesce("window_end", "tick"),
        event_status=pl.lit("ended"),
        resolution_reason=pl.lit(CORRECTED),
    )
    back = rows.filter(alive & pl.col("closed"))
    told = pl.concat([gone, back]).select(list(EVENTS.body))
    _rewrite(tx, EVENTS, told, told["report_group_id"].to_list(), anywhere, provenance)


def _rewrite(
    tx: Warehouse[Provenance_contra, Any],
    log: Contract,
    rows: pl.DataFrame,
    subjects: list[str],
    anywhere: Scope,
    provenance: Provenance_contra,
) -> None:
    """Make rows the whole truth about some subjects."""
    if subjects:
        scope = replace(anywhere, complete=True, subjects=tuple(sorted(set(subjects))))
        tx.append(log, rows.sort(log.key), scope, provenance)
