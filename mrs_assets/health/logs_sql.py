"""Statements about the logs: when each was written, how late its partitions were, what is degraded or refused."""

from __future__ import annotations

from collections.abc import Collection

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.logs.catalogue import COMPUTED, LOGS
from mrs_assets.contracts.logs.slo import SLO
from mrs_assets.health.view import COUNT, DAY, NUMBER, TEXT, HealthView, true_rows
from mrs_resources.contract_sql import degraded_days_sql
from mrs_resources.dead_letters import OPEN, letters_sql

LAG = "epoch(coalesce(hydrated_at, CAST($now AS TIMESTAMPTZ)) - available_at) / 60"
"""Minutes from a partition's newest file to the views that show it; what is not shown yet counts with its age."""

WAITS = "hydrated_at IS NULL AND available_at IS NOT NULL"


def _logs(tables: Collection[str]) -> str:
    """Per log, and per log and retailer: its rows, its dead letters, and what the ledger says of its partitions."""
    written = " UNION ALL ".join(
        f"SELECT '{log.name}' AS log, retailer, max(written_at) AS last_written_at, count(*) AS rows, "
        "count(*) FILTER (is_degraded) AS degraded, count(*) FILTER (is_retracted) AS retracted "
        f"FROM {log.name} WHERE run_id = $run_id GROUP BY retailer"
        for log in LOGS
        if log.name in tables
    )
    letters = (
        f"SELECT log, retailer, count(*) FILTER (state = '{OPEN}') AS dead_letters, count(*) AS dead_letters_ever "
        f"FROM ({letters_sql(tables)}) GROUP BY GROUPING SETS ((log), (log, retailer)) "
        "HAVING grouping(retailer) = 1 OR retailer IS NOT NULL"
    )
    ledger = (
        f"SELECT log, retailer, count(*) AS partitions, count(*) FILTER ({WAITS}) AS partitions_waiting, "
        f"quantile_cont({LAG}, 0.5) AS lag_p50_minutes, quantile_cont({LAG}, 0.95) AS lag_p95_minutes, "
        "sum(rows_live) AS rows_live, sum(rows_degraded) AS rows_live_degraded, "
        "sum(rows_degraded) / nullif(sum(rows_live), 0) AS degraded_share "
        "FROM slo GROUP BY GROUPING SETS ((log), (log, retailer))"
    )
    said = (
        "SELECT log, retailer, e.key AS status, CAST(sum(TRY_CAST(e.value AS BIGINT)) AS BIGINT) AS n FROM slo, "
        "json_each(CASE WHEN json_valid(rows_by_status) THEN rows_by_status END) e "
        "GROUP BY GROUPING SETS ((log, e.key), (log, retailer, e.key))"
    )
    status = (
        "SELECT log, retailer, CAST(to_json(map(list(status ORDER BY status), list(n ORDER BY status))) AS VARCHAR) "
        f"AS rows_by_status FROM ({said}) GROUP BY log, retailer"
    )
    return (
        f"WITH slo AS ({true_rows(SLO, tables)}), of_retailers AS ({written or _NOTHING_WRITTEN}), written AS ("
        "SELECT log, retailer, max(last_written_at) AS last_written_at, sum(rows) AS rows, sum(degraded) AS degraded, "
        "sum(retracted) AS retracted FROM of_retailers GROUP BY GROUPING SETS ((log), (log, retailer))), "
        f"letters AS ({letters}), "
        f"ledger AS ({ledger}), status AS ({status}) SELECT w.*, coalesce(d.dead_letters, 0) AS dead_letters, "
        "coalesce(d.dead_letters_ever, 0) AS dead_letters_ever, coalesce(d.dead_letters, 0) / "
        "(w.rows + coalesce(d.dead_letters, 0)) AS dead_letter_share, l.* EXCLUDE (log, retailer), s.rows_by_status "
        "FROM written w "
        + " ".join(
            f"LEFT JOIN {side} {alias} ON {alias}.log = w.log AND {alias}.retailer IS NOT DISTINCT FROM w.retailer"
            for side, alias in (("letters", "d"), ("ledger", "l"), ("status", "s"))
        )
        + " WHERE w.rows > 0"
    )


_NOTHING_WRITTEN = (
    "SELECT NULL AS log, NULL AS retailer, CAST(NULL AS TIMESTAMPTZ) AS last_written_at, 0 AS rows, 0 AS degraded, "
    "0 AS retracted WHERE $run_id IS NULL"
)

HEALTH_LOGS = HealthView(
    name="health_logs",
    title="One log of the current namespace, or one retailer's part of it.",
    columns={
        "log": (TEXT, "The log."),
        "retailer": (TEXT, "The retailer; NULL: all of them."),
        "last_written_at": (INSTANT, "When its newest row was written. UTC."),
        "rows": (COUNT, "Rows ever appended, corrections and retractions included."),
        "degraded": (COUNT, "Of these, rows that had to do without something when they were written."),
        "retracted": (COUNT, "Of these, retractions."),
        "dead_letters": (COUNT, "Rows (of the arrivals: files) that were refused and that nobody has resolved."),
        "dead_letters_ever": (COUNT, "Rows that were refused, the resolved ones included."),
        "dead_letter_share": (NUMBER, "Open dead letters over rows and open dead letters."),
        "partitions": (COUNT, "Partitions in the ledger; NULL: it does not measure the log."),
        "partitions_waiting": (COUNT, "Of these, received and not shown by the views yet."),
        "lag_p50_minutes": (NUMBER, "Median over partitions of the minutes from receipt to view; NULL: not known."),
        "lag_p95_minutes": (NUMBER, "The same, 95th percentile. A partition that waits counts with its age."),
        "rows_live": (COUNT, "Rows that are true; NULL: the ledger does not measure the log."),
        "rows_live_degraded": (COUNT, "Of the rows that are true, those that do without something."),
        "degraded_share": (NUMBER, "Degraded of the rows that are true; NULL: there is none, or it is not measured."),
        "rows_by_status": (TEXT, "JSON: status → rows that are true; NULL: the log has no status."),
    },
    order=("log", "retailer"),
    sql=_logs,
    moves=True,
)


def _days(tables: Collection[str]) -> str:
    return (
        f"SELECT retailer, business_day, max(available_at) AS available_at, max({LAG}) AS lag_minutes, "
        f"count(*) FILTER ({WAITS}) AS logs_waiting, sum(rows_live) AS rows_live, "
        "sum(rows_degraded) AS rows_live_degraded, sum(rows_degraded) / nullif(sum(rows_live), 0) AS degraded_share, "
        f"sum(rows_dead_lettered) AS rows_dead_lettered FROM ({true_rows(SLO, tables)}) "
        "WHERE retailer <> '*' GROUP BY ALL"
    )


HEALTH_DAYS = HealthView(
    name="health_days",
    title="One business day of one retailer, over all logs that the ledger measures.",
    columns={
        "retailer": (TEXT, "The retailer."),
        "business_day": (DAY, "The retailer's local trading day."),
        "available_at": (INSTANT, "When the newest file of its sales was received. UTC."),
        "lag_minutes": (NUMBER, "Minutes from then to the view of its slowest log; what waits counts with its age."),
        "logs_waiting": (COUNT, "Logs whose newest rows the views do not show yet."),
        "rows_live": (COUNT, "Rows that are true."),
        "rows_live_degraded": (COUNT, "Of these, those that do without something."),
        "degraded_share": (NUMBER, "Their share; NULL: the day has no row."),
        "rows_dead_lettered": (COUNT, "Rows of the day that were refused."),
    },
    order=("retailer", "business_day"),
    sql=_days,
    moves=True,
)


def _degraded(tables: Collection[str]) -> str:
    """Of logs that are computed again once what they did without is there; a round of recall stays as it was."""
    parts = [f"SELECT '{log.name}' AS log, * FROM ({degraded_days_sql(log)})" for log in COMPUTED if log.name in tables]
    if not parts:
        return (
            "SELECT NULL AS log, NULL AS retailer, NULL AS reason, 0 AS rows, 0 AS days, CAST(NULL AS DATE) AS "
            "first_day, CAST(NULL AS DATE) AS last_day WHERE $run_id IS NULL"
        )
    every = " UNION ALL ".join(parts)
    return (
        "SELECT log, retailer, reason, sum(rows) AS rows, count(DISTINCT business_day) AS days, "
        f"min(business_day) AS first_day, max(business_day) AS last_day FROM ({every}) GROUP BY log, retailer, reason"
    )


HEALTH_DEGRADED = HealthView(
    name="health_degraded",
    title="Rows of one log and retailer that do without the same thing.",
    columns={
        "log": (TEXT, "The log."),
        "retailer": (TEXT, "The retailer."),
        "reason": (TEXT, "Short code of what is missing; see the reference of failures."),
        "rows": (COUNT, "Rows that are true and do without it."),
        "days": (COUNT, "Business days with such rows."),
        "first_day": (DAY, "The first of them."),
        "last_day": (DAY, "The last of them."),
    },
    order=("log", "retailer", "reason"),
    sql=_degraded,
)
