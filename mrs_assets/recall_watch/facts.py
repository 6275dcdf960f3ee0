"""Reads what the triggers judge by, at one instant.

The state of the reports is read from the table of `minority_reports`, as the last refresh left it: the state of the
tick before. Recall feeds that view, so that within one run nothing reads what it writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE, MODEL_VERSION
from mrs_assets.clustering.library import Library, build_library
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.clustering.stage import MODEL as LIBRARY
from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.hydration.newest import LogRow, newest_row_sql
from mrs_assets.hydration.precedence import RC, RP, C, P
from mrs_assets.hydration.standing_sql import standing_sql
from mrs_assets.planning.ledger import NEVER, answered
from mrs_assets.recall.facts import CONTEXT, SCHEMAS, Facts
from mrs_assets.recall.triggers.settled_evidence import to_be_settled
from mrs_resources.breaker import breaker, model_breaker
from mrs_resources.hydrator import STATE_TABLE
from mrs_resources.liveness import down_from, is_configured
from mrs_resources.log_store import SYSTEM_RUN, Transaction
from mrs_resources.model_store import ModelStore, active_model

REVIEWED_BY: Mapping[str, Stage] = {"cluster": CLUSTERING_STAGE, "cause": ATTRIBUTION_STAGE}
"""What is concluded anew → the stage that does so."""

READS = (CLUSTERED, ATTRIBUTED, RECLUSTERED, REATTRIBUTED, REREVIEW_WORKLIST, USER_EDITS, STORES, *CONTEXT.values())
_EDITS = LogRow("t", USER_EDITS, "annotation_id")


def read_facts(tx: Transaction, models: ModelStore, settings: Settings) -> Facts:
    """Everything at the transaction's instant."""
    tx.ensure(*READS, SALES_TIMESERIES)
    frames = {"reports": _reports(tx), "worklist": tx.live(REREVIEW_WORKLIST)}
    in_force = {"cluster": build_library().version, "cause": MODEL_VERSION}
    for what, stage in REVIEWED_BY.items():
        if version := active_model(tx, _model_of(stage)):
            in_force[what] = str(version["model_version_id"])
    code = {what: stage.code_version for what, stage in REVIEWED_BY.items()}
    if frames["reports"].height:
        frames["requests"] = _requests(tx)
        frames["stores"] = tx.live(STORES, columns=STORES.body)
        frames["down"] = _down(tx, settings)
        frames |= {name: _context(tx, contract, frames["reports"]) for name, contract in CONTEXT.items()}
    libraries = _libraries(tx, models, {in_force["cluster"], *frames["reports"]["cluster_version"].drop_nulls()})
    facts = Facts(tx.now, settings, frames, in_force, code, libraries)
    return Facts(tx.now, settings, {**frames, "series": _series(tx, facts)}, in_force, code, libraries)


def _reports(tx: Transaction) -> pl.DataFrame:
    """Reports that detection stands by; none where the view shows another namespace.

    Those that a replay has in question are among them: nothing is recalled while one is under way, so that it is one
    that is held, and waits for a person.
    """
    if not {MINORITY_REPORTS.name, STATE_TABLE} <= tx.tables:
        return pl.DataFrame(schema=SCHEMAS["reports"])
    rows = tx.query(_REPORTS, {"run_id": tx.run_id, "as_of": None})
    return rows.select(pl.col(name).cast(dtype) for name, dtype in SCHEMAS["reports"].items())


def _stage_code(row: str) -> str:
    """Of `<package>+<stage>` what follows the sign; a row that says no such thing is of unknown code."""
    return f"nullif(split_part({row}.code_version, '+', 2), '')"


_BY_REVIEW, _PLACED_BY_REVIEW = "r.source_used_proposed = 'rereview'", "r.source_used_shape = 'rereview'"
_REPORTS = (
    f"WITH {', '.join(part for row in (C, P, RC, RP) for part in newest_row_sql(row))} SELECT r.report_id, r.retailer, "
    "r.business_day, r.store_id, r.sku, r.tick, r.window_start, r.window_end, r.uplift_units, r.impact_estimate, "
    f"CASE WHEN {_PLACED_BY_REVIEW} THEN rc.cluster_id ELSE c.cluster_id END AS cluster_id, "
    f"CASE WHEN {_PLACED_BY_REVIEW} THEN rc.cluster_name ELSE c.cluster_name END AS cluster_name, r.feature_vector, "
    "r.proposed_cause, r.proposed_cause_category, r.confidence_score, r.report_group_id, r.final_decision, "
    "CASE WHEN r.source_used_final = 'ui' OR (r.final_decision IN ('approved', 'edited')) THEN r.final_cause END "
    "AS person_cause, r.annotation_id, r.edited_as, "
    f"CASE WHEN {_BY_REVIEW} THEN rp.written_at ELSE p.written_at END AS considered_at, "
    "r.source_used_proposed AS proposed_by, list_sort(list_distinct(list_concat("
    f"CASE WHEN {_PLACED_BY_REVIEW} THEN rc.degraded_reasons ELSE c.degraded_reasons END, "
    f"CASE WHEN {_BY_REVIEW} THEN rp.degraded_reasons ELSE p.degraded_reasons END))) AS reasons, "
    f"CASE WHEN {_PLACED_BY_REVIEW} THEN rc.model_version ELSE c.model_version END AS cluster_version, "
    f"CASE WHEN {_BY_REVIEW} THEN rp.model_version ELSE p.model_version END AS cause_version, "
    f"CASE WHEN {_PLACED_BY_REVIEW} THEN {_stage_code('rc')} ELSE {_stage_code('c')} END AS cluster_code, "
    f"CASE WHEN {_BY_REVIEW} THEN {_stage_code('rp')} ELSE {_stage_code('p')} END AS cause_code "
    f"FROM {MINORITY_REPORTS.name} r LEFT JOIN c USING (report_id) LEFT JOIN p USING (report_id) "
    "LEFT JOIN rc USING (report_id) LEFT JOIN rp USING (report_id) "
    "WHERE r.source_used_identity = 'detected' AND r.source_used_proposed IS NOT NULL "
    f"AND EXISTS (SELECT 1 FROM {STATE_TABLE} WHERE view = '{MINORITY_REPORTS.name}' AND run_id = $run_id) "
    "ORDER BY r.report_id"
)

_REQUESTS = (
    f"WITH RECURSIVE {', '.join(standing_sql(_EDITS))} SELECT * FROM t_standing WHERE path = 'reprocess' "
    "ORDER BY annotation_id"
)


def _requests(tx: Transaction) -> pl.DataFrame:
    rows = tx.query(_REQUESTS, {"run_id": tx.run_id, "as_of": None})
    return rows.cast(pl.Schema(SCHEMAS["requests"]))


def _context(tx: Transaction, contract: Contract, reports: pl.DataFrame) -> pl.DataFrame:
    """Every version of a feed's rows that came, or was replaced, after the oldest conclusion there is."""
    key = list(contract.key)
    rows = tx.history(contract).sort(*key, "written_at")
    replaced_at = pl.col("written_at").shift(-1).over(key)
    told = rows.with_columns(changed_at=pl.coalesce(replaced_at, "written_at"))
    known = answered(tx)
    upto = [
        (retailer, known.get((retailer, contract.name), NEVER)) for retailer in sorted(reports["retailer"].unique())
    ]
    instants = pl.DataFrame(upto, schema={"retailer": pl.String, "answered_at": INSTANT}, orient="row")
    late = told.filter(~pl.col("is_retracted"), pl.col("changed_at") > reports["considered_at"].min())
    return late.join(instants, on="retailer", how="left").select(list(SCHEMAS[_feed_of(contract)]))


def _feed_of(contract: Contract) -> str:
    return next(name for name, known in CONTEXT.items() if known is contract)


def _down(tx: Transaction, settings: Settings) -> pl.DataFrame:
    rows: list[tuple[str, str, date]] = []
    for retailer in sorted(settings.retailers):
        for stage in REVIEWED_BY.values():
            for want in stage.wants.values():
                if want.log is not None and is_configured(want.log.contract, settings, retailer):
                    rows.append((retailer, want.reason, down_from(tx, want.log.contract, settings, retailer)))
                elif want.model is not None:
                    known = breaker(tx, model_breaker(want.model), settings.breakers)
                    rows.append((retailer, want.reason, date.min if known.state == "open" else date.max))
    return pl.DataFrame(rows, schema=dict(SCHEMAS["down"]), orient="row")


def _model_of(stage: Stage) -> str:
    return next(want.model for want in stage.wants.values() if want.model is not None)


def _libraries(tx: Transaction, models: ModelStore, versions: set[str]) -> Mapping[str, Library]:
    """Libraries by version; one whose artefact cannot be read is not there, and nothing is said of its reports."""
    built_in = build_library()
    found = {built_in.version: built_in}
    load = CLUSTERING_STAGE.wants[LIBRARY].load
    assert load is not None
    registered = tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN).filter(
        pl.col("model_name") == LIBRARY, pl.col("model_version_id").is_in(sorted(versions))
    )
    for version, artefact in registered.select("model_version_id", "artefact_hash").iter_rows():
        try:
            found[version] = load(models.read(artefact))
        except (MrsError, ValueError):
            continue
    return found


def _series(tx: Transaction, facts: Facts) -> pl.DataFrame:
    """What was sold around reports that are just old enough to be settled."""
    due = to_be_settled(facts)
    if due.is_empty():
        return pl.DataFrame(schema=SCHEMAS["series"])
    around = timedelta(days=facts.settings.recall.settled_days + 1)
    asked = due.select("report_id", "retailer", "store_id", "sku", first=pl.col("window_start") - around)
    asked = asked.with_columns(last=due["window_end"] + around)
    tx.connection.register("to_be_settled", asked)
    try:
        rows = tx.query(
            "SELECT a.report_id, s.ts, CAST(arg_max(s.units, s.version) AS DOUBLE) AS units "
            f"FROM {SALES_TIMESERIES.name} s JOIN to_be_settled a USING (retailer, store_id, sku) "
            "WHERE s.run_id = $run AND s.ts BETWEEN a.first AND a.last "
            "GROUP BY ALL HAVING arg_max(s.coverage = 'received' AND NOT s.is_retracted, s.version)",
            {"run": tx.run_id},
        )
    finally:
        tx.connection.unregister("to_be_settled")
    return rows.select(pl.col(name).cast(dtype) for name, dtype in SCHEMAS["series"].items()).sort("report_id", "ts")
