"""Statements about what was judged and told: objectives, alerts, and plans that are not done."""

from __future__ import annotations

from collections.abc import Collection

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES, SILENCES
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.health.view import COUNT, DAY, NUMBER, TEXT, TEXTS, HealthView, true_rows


def _objectives(tables: Collection[str]) -> str:
    return true_rows(SLO_RESULTS, tables)


HEALTH_OBJECTIVES = HealthView(
    name="health_objectives",
    title="One objective for one subject, as it was judged last.",
    columns={
        "objective": (TEXT, "The objective, a true sentence in snake case."),
        "subject": (TEXT, "What is judged: a retailer, or `*` for all."),
        "state": (TEXT, "`met`, `breached` or `unknown`."),
        "severity": (TEXT, "`warn` is amber, `error` is red."),
        "since": (INSTANT, "When this state began. UTC."),
        "value": (NUMBER, "The value when its state or budget last changed, in the limit's unit; NULL: not known."),
        "limit": (NUMBER, "The limit that the value is held against."),
        "unit": (TEXT, "`minutes`, `hours`, `share` or `count`."),
        "window": (TEXT, "What the value was taken over, in words."),
        "worst": (TEXT, "JSON: the partitions that are furthest off, worst first."),
        "budget_left": (NUMBER, "Share of the error budget that is left; NULL: it has none."),
        "burn": (TEXT, "How fast the budget is spent: `none`, `slow` or `fast`."),
    },
    order=("objective", "subject"),
    sql=_objectives,
)


def _alerts(tables: Collection[str]) -> str:
    """Alerts whose newest change does not resolve them, and resolved ones that somebody was not told of."""
    newest = (
        f"SELECT * FROM ({true_rows(ALERTS, tables)}) "
        "QUALIFY row_number() OVER (PARTITION BY alert_id ORDER BY change DESC) = 1"
    )
    tried = (
        f"SELECT alert_id, channel, max(change) FILTER (outcome = 'sent') AS told, "
        "max(change) FILTER (outcome IN ('failed', 'given_up')) AS untold, "
        "arg_max(detail, (change, attempt)) FILTER (outcome IN ('failed', 'given_up')) AS detail "
        f"FROM ({true_rows(DELIVERIES, tables)}) GROUP BY alert_id, channel"
    )
    untold = (
        "SELECT alert_id, list(channel ORDER BY channel) AS undelivered_to, arg_min(detail, channel) AS delivery_error "
        f"FROM ({tried}) WHERE untold > coalesce(told, 0) GROUP BY alert_id"
    )
    silent = (
        f"SELECT alert_id, max(s.until) AS silent_until FROM ({newest}) a JOIN ({true_rows(SILENCES, tables)}) s "
        "ON a.fingerprint GLOB s.fingerprint AND s.until > a.opened_at GROUP BY alert_id"
    )
    return (
        "SELECT a.*, s.silent_until, coalesce(u.undelivered_to, []) AS undelivered_to, u.delivery_error "
        f"FROM ({newest}) a LEFT JOIN ({silent}) s ON s.alert_id = a.alert_id "
        f"LEFT JOIN ({untold}) u ON u.alert_id = a.alert_id "
        "WHERE a.state <> 'resolved' OR u.alert_id IS NOT NULL"
    )


HEALTH_ALERTS = HealthView(
    name="health_alerts",
    title="One alert that is open, or of which somebody could not be told.",
    columns={
        "alert_id": (TEXT, "Identity of the alert."),
        "state": (TEXT, "What its newest change did: `open`, `updated` or `resolved`."),
        "severity": (TEXT, "`info`, `warn`, `error` or `page`."),
        "kind": (TEXT, "`operational` or `business`."),
        "title": (TEXT, "One sentence."),
        "body": (TEXT, "What failed, why, what is kept safe, what to do."),
        "retailers": (TEXTS, "Whom it concerns; empty: everybody."),
        "opened_at": (INSTANT, "When it opened. UTC."),
        "noted_at": (INSTANT, "When its newest change was noted. UTC."),
        "parent_id": (TEXT, "Open alert that explains this one, which therefore is not delivered."),
        "silent_until": (INSTANT, "Until when somebody silenced it, which may have passed; NULL: nobody did. UTC."),
        "link": (TEXT, "Where to look."),
        "undelivered_to": (TEXTS, "Channels that do not know its newest change because delivery failed."),
        "delivery_error": (TEXT, "Why the first of them failed."),
    },
    order=("opened_at", "alert_id"),
    sql=_alerts,
)


def _plans(tables: Collection[str]) -> str:
    """Plans that answer rows newer than what the retailer's newest finished plan answered."""
    return (
        f"WITH plans AS ({true_rows(REPLAY_PLANS, tables)}) SELECT p.* FROM plans p "
        "WHERE p.state IN ('planned', 'held', 'approved') AND NOT EXISTS (SELECT 1 FROM plans d "
        "WHERE d.state = 'done' AND d.retailer = p.retailer AND d.inputs_written_at >= p.inputs_written_at)"
    )


HEALTH_PLANS = HealthView(
    name="health_plans",
    title="One replay that was planned and is not done.",
    columns={
        "plan_id": (TEXT, "Identity of the plan."),
        "retailer": (TEXT, "Whose days it computes again."),
        "state": (TEXT, "`planned`, `approved`, or `held` until somebody approves it."),
        "purpose": (TEXT, "`replay`, `edits` or `recovery`."),
        "first_day": (DAY, "First business day that may be computed."),
        "last_day": (DAY, "Last business day that may be computed."),
        "planned_reports": (COUNT, "Live reports that it may change."),
        "written_at": (INSTANT, "When it reached this state. UTC."),
    },
    order=("written_at", "plan_id"),
    sql=_plans,
)
