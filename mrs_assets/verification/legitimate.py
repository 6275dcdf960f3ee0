"""Which differences between a run and its clean build are no error of the run: all of them, declared here.

* *Lineage* is not compared at all: who wrote a row and when, which file, what was superseded (`comparison`).
* *Former beliefs* (`history`): records of reports and events that were believed in for a while. A clean build never
  came to believe them.
* *Words about former beliefs* (`moved_words`): an edit of an event holds for the event that its reports moved to, one
  of a report for the report that replaced it, and a policy approves what it sees at the time. A clean build has no
  former event or report to be moved from, and never saw what the policy saw. Only what edits can set may differ.
* *Recalled reports* (`recalled`): a clean build has no past to doubt. Which round looked at a report again, and what
  people are to see of it, may differ; what the machine says may not: it is what is concluded from the final inputs.
* *What cannot be computed again* (`not_repeatable`): series that were fused by source weights that are no longer
  declared, or computed with a model whose artefact is gone, and whatever of the same store and product follows.

Which model computed a day is no difference: the clean build computes each day with the model that computed it last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from mrs_assets.contracts.columns import RETAILER_SERIES
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.graph import STAGES
from mrs_assets.hydration.moves_sql import event_moves_sql
from mrs_assets.hydration.reports_sql import reports_sql
from mrs_assets.verification.comparison import SetApart
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction
from mrs_resources.model_store import ArtefactMissing, ModelStore

HISTORY, MOVED_WORDS, RECALLED, NOT_REPEATABLE = "history", "moved_words", "recalled", "not_repeatable"

WORDS: Mapping[str, str] = {
    HISTORY: "records of what was believed for a while and is no longer; a clean build never came to believe it",
    MOVED_WORDS: "rows that carry a person's or a policy's word on something that was believed at the time",
    RECALLED: "reports that were looked at again; a clean build has no past to doubt",
    NOT_REPEATABLE: "rows that follow from source weights that are no longer declared, or from a model whose artefact "
    "is gone: they cannot be computed again",
}
"""Reason → what such differences are."""

SET_BY_EDITS = frozenset(
    {
        "final_decision",
        "final_cause",
        "final_cause_category",
        "final_confidence",
        "finalized_at",
        "annotation_id",
        "evidence_count",
        "review_state",
        "edit_issues",
        "cohort_name",
        "source_used_final",
        "source_used_review",
        "source_used_name",
        "report_status",
    }
)
"""Columns that an event's edit or an approval can set."""

SET_BY_REPORT_EDITS = SET_BY_EDITS | {
    "edited_as",
    "review_sides",
    "window_start",
    "window_end",
    "report_group_id",
    "cluster_name",
    "cluster_id",
    "cluster_match_confidence",
    "source_used_window_start",
    "source_used_window_end",
    "source_used_structure",
    "source_used_group_id",
}
"""Columns that a report's edit can set."""

SET_BY_RECALL = frozenset(
    {
        "rereview_round",
        "trigger_reason",
        "trigger_at",
        "outputs_generated_at",
        "review_state",
        "review_sides",
        "source_used_recall",
        "source_used_proposed",
        "source_used_structure",
        "source_used_shape",
        "source_used_final",
        "source_used_review",
    }
)
"""Columns that tell of a re-review; none of them is what it concluded."""

WEIGHTS = "sources-"
"""Begin of the model version of a fused series, before the fingerprint of the weights."""

_EDITED_EVENTS = f"SELECT report_group_id FROM {USER_EVENT_EDITS.name} WHERE run_id = $run_id"
_MOVES = (
    "WITH RECURSIVE reports AS (SELECT report_id, report_group_id, source_used_identity "
    f"FROM ({reports_sql()})), {', '.join(event_moves_sql(_EDITED_EVENTS))} "
    "SELECT r.report_id, m.current AS report_group_id FROM event_moves m JOIN reports r "
    "ON r.report_group_id = m.current"
)


def set_apart(tx: Transaction, models: ModelStore, settings: Settings) -> dict[str, list[SetApart]]:
    """Dataset → differences that are no error, in the transaction's run.

    Args:
        tx: a copy of the run, which is its namespace.
        models: artefacts that there are.
        settings: what is declared today.
    """
    found: dict[str, list[SetApart]] = {
        ARRIVALS.name: [SetApart(HISTORY, _read_again(tx))],
        USER_EDITS.name: [SetApart(HISTORY, pl.DataFrame({"user_role": ["system"]}))],
        MINORITY_EVENTS.name: [SetApart(HISTORY, _withdrawn_events(tx))],
    }
    reports, events = _moved_words(tx)
    for name in (FINALISED.name, MINORITY_REPORTS.name):
        found.setdefault(name, []).append(SetApart(MOVED_WORDS, reports, SET_BY_EDITS))
        found[name].append(SetApart(MOVED_WORDS, _spoken_of_as_another(tx), SET_BY_REPORT_EDITS))
    for name in (FINALISED.name, MINORITY_REPORTS.name):
        found[name].append(SetApart(RECALLED, recalled(tx), SET_BY_RECALL))
    found[MINORITY_EVENTS.name].append(SetApart(MOVED_WORDS, events, SET_BY_EDITS))
    lost = _not_repeatable(tx, models, settings)
    if lost.height:
        logs = [log.name for stage in STAGES for log in stage.writes]
        for name in [*logs, FINALISED.name, MINORITY_REPORTS.name, MINORITY_EVENTS.name]:
            whole = name in (COHORTED.name, EVENTS.name, MINORITY_EVENTS.name)
            where = lost.select("retailer").unique() if whole else lost
            found.setdefault(name, []).append(SetApart(NOT_REPEATABLE, where))
    return found


def _read_again(tx: Transaction) -> pl.DataFrame:
    """Files that were read more than once: their account is of the newest reading."""
    tx.ensure(ARRIVALS)
    key = ", ".join(ARRIVALS.key)
    return tx.query(
        f"SELECT {key} FROM {ARRIVALS.name} WHERE run_id = ? GROUP BY {key} HAVING max(version) > 1", [tx.run_id]
    )


def _withdrawn_events(tx: Transaction) -> pl.DataFrame:
    """Events of which no row is true any more."""
    gone = tx.history(EVENTS).select("report_group_id").unique()
    return gone.join(tx.live(EVENTS), on="report_group_id", how="anti")


def _moved_words(tx: Transaction) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Reports and events that carry a word on a former event, or a policy's approval."""
    tx.ensure(USER_EDITS, USER_EVENT_EDITS)
    moved = tx.query(_MOVES, {"run_id": tx.run_id, "as_of": None})
    approved = tx.live(USER_EDITS).filter(pl.col("user_role") == "system").select("report_id")
    return pl.concat([moved.select("report_id"), approved]).unique(), moved.select("report_group_id").unique()


def _spoken_of_as_another(tx: Transaction) -> pl.DataFrame:
    """Reports that carry a word on a report which they replaced."""
    return tx.live(FINALISED).filter(pl.col("edited_as").list.len() > 0).select("report_id")


def recalled(tx: Transaction) -> pl.DataFrame:
    """Reports that were ever looked at again: report_id."""
    tx.ensure(REREVIEW_WORKLIST)
    return tx.live(REREVIEW_WORKLIST, columns=["report_id"]).unique().sort("report_id")


def _not_repeatable(tx: Transaction, models: ModelStore, settings: Settings) -> pl.DataFrame:
    """Series with a row that was fused by other weights than today's, or names a model that is gone."""
    registry = tx.history(MODEL_REGISTRY, run_id=SYSTEM_RUN).unique("artefact_hash")
    gone = [
        v for v, artefact in registry.select("model_version_id", "artefact_hash").rows() if not _kept(models, artefact)
    ]
    rows = [tx.live(BASELINE).filter(pl.col("model_version").is_in(gone)).select(RETAILER_SERIES)]
    for name, retailer in sorted(settings.retailers.items()):
        weights = None if retailer.source_weights is None else f"{WEIGHTS}{retailer.source_weights}"
        series = tx.live(SALES_TIMESERIES, replace(EVER, retailer=name))
        rows.append(
            series.filter(pl.col("model_version").ne_missing(pl.lit(weights, dtype=pl.String))).select(RETAILER_SERIES)
        )
    return pl.concat(rows).unique()


def _kept(models: ModelStore, artefact: str) -> bool:
    try:
        models.read(artefact)
    except ArtefactMissing:
        return False
    return True
