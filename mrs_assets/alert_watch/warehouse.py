"""What the warehouse knows that may be worth an alert, as the frames that the rules judge."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import polars as pl

from mrs_assets.alerting.condition import ALL, Look, together
from mrs_assets.alerting.rules.held_plans import HELD, held_plans
from mrs_assets.alerting.rules.minority_events import EVENTS_NOW, minority_events
from mrs_assets.alerting.rules.missing_inputs import BREAKER_STATES, DEGRADED_ROWS, missing_inputs
from mrs_assets.alerting.rules.service_levels import service_levels
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.planning.plan import Closing
from mrs_assets.planning.standing import Standing, standing_list
from mrs_resources.breaker import breakers, feed_breaker, model_breaker, stage_breaker
from mrs_resources.log_store import Transaction


def look_at_warehouse(
    tx: Transaction, settings: Settings, stages: Sequence[Stage], closing: Closing, known: Collection[str]
) -> Look:
    """What every rule about the warehouse finds at the transaction's instant, after hydration.

    Args:
        tx: the open transaction.
        settings: limits, and which reason goes with which feed.
        stages: declared stages.
        closing: what comes after them.
        known: fingerprints of open alerts.
    """
    policy = settings.alerts
    graph = policy.ui_url
    standing = standing_list(tx, settings, stages, closing)
    reasons = _feed_reasons(stages, closing)
    return together(
        [
            missing_inputs(_breakers(tx, settings, stages, closing), _degraded(standing, stages), graph),
            held_plans(_held(tx), graph),
            service_levels(tx.live(SLO_RESULTS), settings.retailers, reasons, graph),
            minority_events(_events(tx, settings, known), known, policy),
        ]
    )


def _breakers(tx: Transaction, settings: Settings, stages: Sequence[Stage], closing: Closing) -> pl.DataFrame:
    reasons = _reasons(settings, stages, closing)
    rows = [
        {
            "breaker": found.name,
            "state": found.state,
            "failures": found.failures,
            "detail": found.detail,
            "reason": reason,
            "retailer": retailer,
        }
        for found in breakers(tx, settings.breakers)
        for reason, retailer in [reasons.get(found.name, (found.name, ALL))]
    ]
    return pl.DataFrame(rows, schema=BREAKER_STATES)


def _reasons(settings: Settings, stages: Sequence[Stage], closing: Closing) -> Mapping[str, tuple[str, str]]:
    """Breaker → the reason that rows carry which did without what it guards, and of which retailer they are."""
    wants = [want for stage in stages for want in stage.wants.values()]
    found = {stage_breaker(stage.name): (stage.down, ALL) for stage in stages if stage.down}
    found |= {model_breaker(str(want.model)): (want.reason, ALL) for want in wants if want.model is not None}
    for feed, reason in _feed_reasons(stages, closing).items():
        found |= {feed_breaker(feed, retailer): (reason, retailer) for retailer in settings.retailers}
    return found


def _feed_reasons(stages: Sequence[Stage], closing: Closing) -> dict[str, str]:
    """Optional feed → the reason that rows carry which did without it."""
    wants = [want for stage in stages for want in stage.wants.values() if want.log is not None]
    by_log = {want.log.contract.name: want.reason for want in wants if want.log is not None}
    edits_down = min(closing.finalisation_reasons)
    return {
        feed.name: next((by_log[t.contract.name] for t in feed.targets if t.contract.name in by_log), edits_down)
        for feed in FEED_DECLARATIONS.values()
        if not feed.critical
    }


def _degraded(standing: Sequence[Standing], stages: Sequence[Stage]) -> pl.DataFrame:
    fallbacks = {stage.down: stage.writes[0].name for stage in stages if stage.down}
    rows = [
        {
            "log": item.log,
            "retailer": item.retailer,
            "reason": item.reason,
            "days": len(item.days),
            "first_day": item.days[0],
            "last_day": item.days[-1],
            "rows": item.rows,
            "waits_for": item.waits_for,
            "fallback_of": fallbacks.get(item.reason),
        }
        for item in standing
    ]
    return pl.DataFrame(rows, schema=DEGRADED_ROWS)


def _held(tx: Transaction) -> pl.DataFrame:
    plans = tx.live(REPLAY_PLANS).filter(pl.col("state") == "held")
    return plans.select("plan_id", "retailer", "first_day", "last_day", reports="planned_reports").cast(HELD)


def _events(tx: Transaction, settings: Settings, known: Collection[str]) -> pl.DataFrame:
    """Events that go on, that were told of, or that became another's; none before anything was hydrated."""
    if MINORITY_EVENTS.name not in tx.tables:
        return pl.DataFrame(schema=EVENTS_NOW)
    ids = sorted(name.removeprefix("event:") for name in known if name.startswith("event:"))
    rows = tx.query(
        "WITH chosen AS (SELECT report_group_id, superseded_by, event_status, resolution_reason, final_decision, "
        "direction, window_start, retailers, stores, skus, severity_score, "
        "CAST(impact_estimate AS DOUBLE) AS impact_estimate, impact_unit AS unit, "
        "coalesce(final_cause, leading_cause) AS cause, coalesce(final_cause_category, leading_cause_category) "
        "AS category, coalesce(final_confidence, leading_cause_confidence) AS confidence "
        f"FROM {MINORITY_EVENTS.name} WHERE event_status = 'active' OR list_contains($known, report_group_id) "
        "OR superseded_by IS NOT NULL), "
        "worst AS (SELECT report_group_id, arg_max(report_id, (severity_score, report_id)) AS report_id "
        f"FROM {MINORITY_REPORTS.name} WHERE source_used_identity = 'detected' GROUP BY ALL) "
        "SELECT c.*, w.report_id FROM chosen c LEFT JOIN worst w USING (report_group_id)",
        {"known": ids},
    )
    currencies = {name: retailer.currency for name, retailer in settings.retailers.items()}
    regions = _regions(tx) if rows.height else {}
    told = [
        row
        | {"unit": (currencies.get(row["retailers"][0]) or "money") if row["unit"] == "money" else row["unit"]}
        | {"regions": sorted({regions[store] for store in row["stores"] if store in regions})}
        for row in rows.to_dicts()
    ]
    return pl.DataFrame(told, schema=EVENTS_NOW)


def _regions(tx: Transaction) -> dict[str, str]:
    """Store, as `retailer/store` → its region, where one is known."""
    stores = tx.live(STORES).filter(pl.col("region").is_not_null())
    return {
        f"{retailer}/{store}": region
        for retailer, store, region in stores.select("retailer", "store_id", "region").iter_rows()
    }
