"""Reads the facts that objectives are measured from, at one instant, from the ledger and the logs."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.planning.ledger import NEVER, OPEN, answered
from mrs_assets.slo.facts import FRAMES, Facts
from mrs_resources.dead_letters import known_tables
from mrs_resources.log_store import Transaction

VOLUME_DAYS = 70
"""Days of sales that tell what is usual, and a few that are judged."""


def read_facts(tx: Transaction, settings: Settings, plan_id: str | None = None) -> Facts:
    """Everything at the transaction's instant.

    Args:
        tx: open transaction; the ledger is kept and views show what the logs say.
        settings: what is configured.
        plan_id: the plan that the caller's run ends, which therefore waits for nothing.
    """
    tx.ensure(SLO, SLO_RESULTS, REPLAY_PLANS, ARRIVALS, UNIFIED_SALES, DETECTED, EVENTS, COHORTED)
    tx.ensure(USER_EDITS, USER_EVENT_EDITS)
    levels = settings.slo
    begin = tx.now - timedelta(days=max(levels.window_days, levels.budget_days))
    run: dict[str, object] = {"run": tx.run_id}
    frames = {
        "levels": tx.query(_LEVELS, run | {"begin": begin}),
        "results": tx.query(_RESULTS, run | {"begin": begin}),
        "news": tx.query(_NEWS, run),
        "volumes": tx.query(_VOLUMES, run | {"days": VOLUME_DAYS}),
        "files": tx.query(_FILES, run),
        "headers": tx.query(_HEADERS, run),
        "active": _active(tx),
        "left_behind": _left_behind(tx, plan_id),
        "edits": tx.query(_EDITS, run),
    }
    typed = {name: frame.select(pl.col(c).cast(t) for c, t in FRAMES[name].items()) for name, frame in frames.items()}
    return Facts(tx.now, settings, typed)


_LEVELS = (
    f"SELECT * FROM {SLO.name} WHERE run_id = $run "
    "QUALIFY row_number() OVER (PARTITION BY retailer, log, business_day ORDER BY version DESC) = 1 "
    "AND (available_at > $begin OR written_to > $begin OR measured_to > $begin "
    "OR (available_at IS NOT NULL AND hydrated_at IS NULL) OR rows_dead_lettered > 0 OR rows_unreconciled > 0)"
)
_RESULTS = (
    f"SELECT * FROM {SLO_RESULTS.name} r WHERE run_id = $run AND version >= coalesce((SELECT max(version) FROM "
    f"{SLO_RESULTS.name} o WHERE o.run_id = $run AND o.objective = r.objective AND o.subject = r.subject "
    "AND o.written_at <= $begin), 1)"
)
_NEWS = (
    f"SELECT retailer, max(written_at) AS written_to FROM {UNIFIED_SALES.name} WHERE run_id = $run GROUP BY ALL "
    "ORDER BY ALL"
)
_VOLUMES = (
    "WITH known AS (SELECT retailer, business_day, arg_max(rows_live, version) AS rows FROM slo_log "
    f"WHERE run_id = $run AND log = '{UNIFIED_SALES.name}' GROUP BY ALL HAVING rows > 0) "
    "SELECT * FROM known QUALIFY business_day > max(business_day) OVER (PARTITION BY retailer) "
    "- CAST($days AS INTEGER) ORDER BY ALL"
)
_FILES = (
    "SELECT retailer, feed, file_name, received_at, rows_received, rows_accepted, rows_duplicate, rows_dead_lettered "
    f"FROM {ARRIVALS.name} WHERE run_id = $run "
    "QUALIFY row_number() OVER (PARTITION BY retailer, feed, file_hash ORDER BY version DESC) = 1 "
    "AND NOT is_retracted"
)
_HEADERS = (
    'SELECT retailer, feed, file_name, received_at, "columns" FROM (SELECT * '
    f'FROM {ARRIVALS.name} WHERE run_id = $run AND "columns" IS NOT NULL '
    "QUALIFY row_number() OVER (PARTITION BY retailer, feed, file_hash ORDER BY version DESC) = 1) "
    "QUALIFY row_number() OVER (PARTITION BY retailer, feed ORDER BY received_at DESC, file_hash) <= 2"
)
_EDITS = " UNION ALL ".join(
    f"SELECT retailer, business_day, annotation_id, {subject} AS subject, {subject} NOT IN "
    f"(SELECT {subject} FROM {known.name} WHERE run_id = $run) AS is_stray FROM {log.name} "
    f"WHERE run_id = $run AND NOT is_retracted"
    for log, subject, known in ((USER_EDITS, "report_id", DETECTED), (USER_EVENT_EDITS, "report_group_id", EVENTS))
)
_ACTIVE = (
    "SELECT retailer, business_day, count(*) AS reports, count(*) FILTER (source_used_proposed IS NOT NULL "
    f"AND NOT list_contains(degraded_reasons, '{ATTRIBUTION_STAGE.down}')) AS with_cause FROM {MINORITY_REPORTS.name} "
    "WHERE source_used_identity = 'detected' AND event_status = 'active' GROUP BY ALL ORDER BY ALL"
)


def _active(tx: Transaction) -> pl.DataFrame:
    """Reports that are going on, as the view shows them; nothing where it shows another namespace or nothing yet."""
    tables = known_tables(tx)
    if MINORITY_REPORTS.name not in tables:
        return pl.DataFrame(schema=FRAMES["active"])
    return tx.query(_ACTIVE)


def _left_behind(tx: Transaction, plan_id: str | None) -> pl.DataFrame:
    """Retailer-days that a replay under way, or none yet, is to answer, and since when.

    Plans that wait for approval are left out: they wait for a person, who was asked.
    """
    plans = tx.live(REPLAY_PLANS)
    mine = pl.col("plan_id") == (plan_id or "")
    done = {(retailer, log): at for (retailer, log), at in answered(tx).items()}
    for row in plans.filter(mine).to_dicts():
        for log in row["triggers"]:
            key = (row["retailer"], log)
            done[key] = max(done.get(key, NEVER), row["inputs_written_at"])
    held = set(plans.filter(state="held")["retailer"])
    begun = plans.filter(~mine, pl.col("state").is_in([state for state in OPEN if state != "held"]))
    rows = []
    for row in begun.to_dicts():
        newest = [done.get((row["retailer"], log), NEVER) for log in row["triggers"]]
        if row["purpose"] != "recovery" and all(at >= row["inputs_written_at"] for at in newest):
            continue
        why = f"{row['purpose']} {row['plan_id']} is {row['state']} and not done"
        rows += [(row["retailer"], day, row["written_at"], why) for day in row["days_changed"]]
    named = pl.DataFrame(rows, schema=["retailer", "business_day", "since", "why"], orient="row") if rows else None
    parts = [pl.DataFrame(schema=FRAMES["left_behind"])]
    if named is not None:
        parts.append(named.with_columns(pl.col("business_day").str.to_date()).cast(dict(FRAMES["left_behind"])))
    parts += [
        tx.changed(UNIFIED_SALES, done.get((retailer, UNIFIED_SALES.name), NEVER), retailer).select(
            retailer=pl.lit(retailer),
            business_day="business_day",
            since="written_at",
            why=pl.lit("new rows of sales that no finished replay has answered"),
        )
        for retailer in _retailers(tx)
        if retailer not in held
    ]
    whole = pl.concat(parts)
    return whole.sort("since", "why").unique(["retailer", "business_day"], keep="first", maintain_order=True)


def _retailers(tx: Transaction) -> list[str]:
    known = tx.query(f"SELECT DISTINCT retailer FROM {UNIFIED_SALES.name} WHERE run_id = ? ORDER BY ALL", [tx.run_id])
    return known["retailer"].to_list()
