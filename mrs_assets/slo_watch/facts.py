"""Reads the facts that objectives are measured from, at one instant, from the ledger and the logs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.ledger import NEVER, OPEN, answered
from mrs_assets.planning.standing import Standing, standing_list
from mrs_assets.slo.facts import FRAMES, Facts
from mrs_resources.hydrator import STATE_TABLE
from mrs_resources.log_store import SYSTEM_RUN, Transaction

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
    tx.ensure(USER_EDITS, USER_EVENT_EDITS, ALERTS, DELIVERIES, REREVIEW_WORKLIST)
    levels = settings.slo
    begin = tx.now - timedelta(days=max(levels.window_days, levels.budget_days))
    run: dict[str, object] = {"run": tx.run_id}
    news = tx.query(_NEWS, run)
    frames = {
        "levels": tx.query(_LEVELS, run | {"begin": begin}),
        "results": tx.query(_RESULTS, run | {"begin": begin}),
        "news": news,
        "volumes": tx.query(_VOLUMES, run | {"days": VOLUME_DAYS}),
        "files": tx.query(_FILES, run),
        "headers": tx.query(_HEADERS, run),
        "active": _active(tx),
        "deliveries": tx.query(_DELIVERIES, {"run": SYSTEM_RUN, "begin": begin}),
        "left_behind": _left_behind(tx, news["retailer"].to_list(), plan_id),
        "edits": tx.query(_EDITS, run | {"recent": tx.now - timedelta(days=levels.window_days)}),
        "recalled": tx.query(_RECALLED, run),
        "standing": standing_frame(standing_list(tx, settings, STAGES, CLOSING)),
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
    f"SELECT retailer, max(written_to) AS written_to FROM {SLO.name} "
    f"WHERE run_id = $run AND log = '{UNIFIED_SALES.name}' GROUP BY ALL HAVING max(written_to) IS NOT NULL ORDER BY ALL"
)
_VOLUMES = (
    "WITH known AS (SELECT retailer, business_day, arg_max(rows_live, version) AS rows "
    f"FROM {SLO.name} WHERE run_id = $run AND log = '{UNIFIED_SALES.name}' GROUP BY ALL HAVING rows > 0) "
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
    "WHERE run_id = $run AND NOT is_retracted AND written_at > $recent AND annotation_id NOT IN "
    f"(SELECT undoes FROM {log.name} WHERE run_id = $run AND undoes IS NOT NULL) AND "
    f"(undoes IS NULL OR undoes NOT IN (SELECT annotation_id FROM {log.name} WHERE run_id = $run))"
    for log, subject, known in ((USER_EDITS, "report_id", DETECTED), (USER_EVENT_EDITS, "report_group_id", EVENTS))
)
_DELIVERIES = (
    "SELECT alert_id, change, channel, any_value(a.noted_at) AS noted_at, "
    "min(d.attempted_at) FILTER (d.outcome = 'sent') AS sent_at "
    f"FROM {DELIVERIES.name} d JOIN {ALERTS.name} a USING (alert_id, change) "
    "WHERE d.run_id = $run AND a.run_id = $run AND a.noted_at > $begin GROUP BY ALL ORDER BY ALL"
)
_RECALLED = (
    f"SELECT retailer, business_day, report_id, trigger_reason, trigger_at AS since FROM {REREVIEW_WORKLIST.name} "
    "WHERE run_id = $run QUALIFY row_number() OVER (PARTITION BY report_id, round ORDER BY version DESC) = 1 "
    "AND NOT is_retracted AND outcome IS NULL"
)
_ACTIVE = (
    "SELECT retailer, business_day, count(*) AS reports, count(*) FILTER (source_used_proposed IS NOT NULL "
    f"AND NOT list_contains(degraded_reasons, '{ATTRIBUTION_STAGE.down}')) AS with_cause FROM {MINORITY_REPORTS.name} "
    "WHERE source_used_identity = 'detected' AND event_status = 'active' "
    f"AND EXISTS (SELECT 1 FROM {STATE_TABLE} WHERE view = '{MINORITY_REPORTS.name}' AND run_id = $run) "
    "GROUP BY ALL ORDER BY ALL"
)


def standing_frame(standing: Sequence[Standing]) -> pl.DataFrame:
    """The standing list as a frame, one line per item."""
    rows = [
        {
            "log": each.log,
            "retailer": each.retailer,
            "reason": each.reason,
            "first_day": each.days[0],
            "last_day": each.days[-1],
            "days": len(each.days),
            "rows": each.rows,
            "waits_for": each.waits_for,
            "free_from": each.free_from,
        }
        for each in standing
    ]
    return pl.DataFrame(rows, schema=FRAMES["standing"])


def _active(tx: Transaction) -> pl.DataFrame:
    """Reports that are going on, as the view shows them; nothing where it shows another namespace or nothing yet."""
    if not {MINORITY_REPORTS.name, STATE_TABLE} <= tx.tables:
        return pl.DataFrame(schema=FRAMES["active"])
    return tx.query(_ACTIVE, {"run": tx.run_id})


def _left_behind(tx: Transaction, retailers: Sequence[str], plan_id: str | None) -> pl.DataFrame:
    """Retailer-days that a replay under way, or none yet, is to answer, since when, and by which replay, if one is.

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
        parts.append(named.with_columns(pl.col("business_day").str.to_date()).cast(FRAMES["left_behind"]))
    parts += [
        tx.changed(UNIFIED_SALES, done.get((retailer, UNIFIED_SALES.name), NEVER), retailer).select(
            retailer=pl.lit(retailer),
            business_day="business_day",
            since="written_at",
            why=pl.lit("new rows of sales that no finished replay has answered"),
        )
        for retailer in retailers
        if retailer not in held
    ]
    by_day = pl.concat(parts).group_by("retailer", "business_day", maintain_order=True)
    return by_day.agg(pl.col("since").min(), pl.col("why").first())
