"""Statements about finality: how late and how large a retailer's restatements are, and when its days are settled.

A *delivery* is what one file said of a business day. The first one, and whatever comes within a day of the day's end,
makes the day; every later one that changes units restates it. A day is *watched* when its first delivery came soon
after its end and it has been old enough since to be restated: days of a history that was loaded at once say nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection

from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.view import COUNT, DAY, NUMBER, TEXT, HealthView, no_rows
from mrs_resources.contract_sql import same_key

SETTLED_SHARE = 0.01
"""A restatement of at most this share of the day's units does not unsettle it."""

FIRST_WITHIN_DAYS = 7
"""A day whose first delivery took longer is not watched."""

FEWEST_WATCHED_DAYS = 20
"""Fewer cannot show a 95th percentile."""

TOUCHED_DAYS = (
    f"SELECT DISTINCT retailer, business_day FROM {UNIFIED_SALES.name} "
    "WHERE run_id = $run_id AND written_at > CAST($since AS TIMESTAMPTZ)"
)
"""Business days of which rows were written after an instant. Parameters: `$run_id`, `$since`."""

_EXPECTED = (
    "SELECT unnest($retailers) AS retailer, unnest($zones) AS zone, unnest($restatement_days) AS restatement_days"
)
_UNITS = "CASE WHEN {0}.is_retracted THEN 0 ELSE coalesce({0}.units, 0) END"


def _day_end(zone: str, day: str) -> str:
    """SQL of the instant at which a business day ends."""
    return f"timezone({zone}, CAST({day} + 1 AS TIMESTAMP))"


def restated_days_sql(tables: Collection[str], *, only_touched: bool = False) -> str:
    """Per retailer and business day, when it was first delivered and how it was restated.

    A retraction is dated by when it was written: it keeps the receipt of the row that it takes back.

    Args:
        tables: names of the tables that the snapshot has.
        only_touched: of days with rows written after `$since`; what is said of the others stands.
    """
    known = f"SELECT * FROM {UNIFIED_SALES.name} WHERE run_id = $run_id"
    if UNIFIED_SALES.name not in tables:
        known = no_rows(UNIFIED_SALES)
    elif only_touched:
        known += f" AND (retailer, business_day) IN ({TOUCHED_DAYS})"
    return f"""
WITH expected AS ({_EXPECTED}), sales AS NOT MATERIALIZED ({known}), changes AS (
  SELECT retailer, business_day, received_at AS moment, coalesce(units, 0) AS difference
  FROM sales WHERE version = 1
  UNION ALL
  SELECT n.retailer, n.business_day, CASE WHEN n.is_retracted THEN n.written_at ELSE n.received_at END,
    {_UNITS.format("n")} - {_UNITS.format("o")}
  FROM sales n JOIN sales o ON {same_key(UNIFIED_SALES, "n", "o")} AND o.version = n.version - 1
  WHERE n.version > 1
), deliveries AS (
  SELECT retailer, business_day, moment, CAST(sum(difference) AS DOUBLE) AS difference,
    CAST(sum(abs(difference)) AS DOUBLE) AS changed
  FROM changes GROUP BY ALL
), placed AS (
  SELECT d.*, {_day_end("e.zone", "d.business_day")} AS day_end, row_number() OVER earlier AS place,
    sum(d.difference) OVER earlier - d.difference AS units_before
  FROM deliveries d JOIN expected e ON e.retailer = d.retailer
  WINDOW earlier AS (PARTITION BY d.retailer, d.business_day ORDER BY d.moment)
), late AS (
  SELECT *, CAST(greatest(ceil(epoch(moment - day_end) / 86400), 0) AS BIGINT) AS lag_days,
    changed / nullif(abs(units_before), 0) AS share
  FROM placed
) SELECT retailer, business_day, min(lag_days) FILTER (place = 1) AS first_lag_days,
  max(lag_days) FILTER (place > 1 AND lag_days > 1 AND changed > 0 AND coalesce(share > {SETTLED_SHARE}, true))
    AS last_lag_days,
  sum(share) FILTER (place > 1 AND lag_days > 1 AND changed > 0) AS restated_share, $reckoning AS reckoning
FROM late GROUP BY retailer, business_day"""


HEALTH_FINALITY_DAYS = HealthView(
    name="health_finality_days",
    title="One business day of one retailer: how late it came and when it was last restated.",
    columns={
        "retailer": (TEXT, "The retailer."),
        "business_day": (DAY, "The retailer's local trading day."),
        "first_lag_days": (COUNT, "Days after its end of the first delivery, rounded up; 0: before its end."),
        "last_lag_days": (COUNT, "The same of the last restatement of more than 1 % of its units; NULL: none came."),
        "restated_share": (NUMBER, "Share of its units that restatements changed; NULL: none came, or it had none."),
        "reckoning": (TEXT, "Fingerprint of the statement and the time zones that this was reckoned with."),
    },
    order=("retailer", "business_day"),
    sql=restated_days_sql,
)


def reckoning(settings: Settings) -> str:
    """Fingerprint of all that restated days follow from, save the rows."""
    zones = {name: retailer.timezone for name, retailer in sorted(settings.retailers.items())}
    told = json.dumps([restated_days_sql({UNIFIED_SALES.name}), zones])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _judged_days(tables: Collection[str]) -> str:
    """CTEs `expected`, and `days` with whether each is watched."""
    stored = HEALTH_FINALITY_DAYS.name in tables
    source = HEALTH_FINALITY_DAYS.name if stored else f"({restated_days_sql(tables)})"
    old_enough = f"{_day_end('e.zone', 'd.business_day')} + to_days(e.restatement_days)"
    return f"""WITH expected AS ({_EXPECTED}), days AS (
  SELECT d.*, d.first_lag_days <= {FIRST_WITHIN_DAYS} AND CAST($now AS TIMESTAMPTZ) >= {old_enough} AS is_watched
  FROM {source} d JOIN expected e ON e.retailer = d.retailer
)"""


def _finality(tables: Collection[str]) -> str:
    return f"""{_judged_days(tables)}, judged AS (
  SELECT retailer, count(*) AS days, count(*) FILTER (is_watched) AS days_watched,
    count(*) FILTER (is_watched AND last_lag_days IS NOT NULL) AS days_restated,
    quantile_disc(first_lag_days, 0.95) FILTER (is_watched) AS first_lag_p95,
    quantile_disc(last_lag_days, 0.5) FILTER (is_watched) AS last_lag_p50,
    quantile_disc(last_lag_days, 0.95) FILTER (is_watched) AS last_lag_p95,
    quantile_cont(restated_share, 0.5) FILTER (is_watched AND last_lag_days IS NOT NULL) AS size_p50,
    quantile_cont(restated_share, 0.95) FILTER (is_watched AND last_lag_days IS NOT NULL) AS size_p95
  FROM days GROUP BY retailer
), settled AS (
  SELECT *, CASE WHEN days_watched >= {FEWEST_WATCHED_DAYS} THEN greatest(first_lag_p95, last_lag_p95) END
    AS settled_after_days
  FROM judged
) SELECT e.retailer, e.restatement_days AS expected_days, coalesce(s.days, 0) AS days,
  coalesce(s.days_watched, 0) AS days_watched, CASE WHEN s.days_watched > 0 THEN s.days_restated END AS days_restated,
  s.first_lag_p95 AS first_lag_p95_days, s.last_lag_p50 AS last_lag_p50_days, s.size_p50, s.size_p95,
  s.settled_after_days,
  CAST(timezone(e.zone, CAST($now AS TIMESTAMPTZ)) AS DATE) - CAST(s.settled_after_days AS INTEGER) AS provisional_from
FROM expected e LEFT JOIN settled s ON s.retailer = e.retailer"""


HEALTH_FINALITY = HealthView(
    name="health_finality",
    title="One retailer: how late and how large its restatements are.",
    columns={
        "retailer": (TEXT, "The retailer."),
        "expected_days": (COUNT, "`restatement_days` of the settings: after so many, corrections are unusual."),
        "days": (COUNT, "Business days with sales."),
        "days_watched": (
            COUNT,
            f"Of these, days first delivered within {FIRST_WITHIN_DAYS} days of their end and `expected_days` old.",
        ),
        "days_restated": (
            COUNT,
            "Of the watched days, those restated by more than 1 % of their units; NULL: none is watched.",
        ),
        "first_lag_p95_days": (COUNT, "Days after its end by which 95 % of the watched days were first delivered."),
        "last_lag_p50_days": (COUNT, "Days after its end of the last restatement: median over restated days."),
        "size_p50": (NUMBER, "Share of a restated day's units that restatements changed: median."),
        "size_p95": (NUMBER, "The same, 95th percentile."),
        "settled_after_days": (
            COUNT,
            "Days after its end by which 95 % of the restated days saw their last restatement (and 95 % of all, their "
            f"first delivery). NULL: fewer than {FEWEST_WATCHED_DAYS} days are watched, it is not known.",
        ),
        "provisional_from": (DAY, "From this business day on data is provisional; NULL: not known, take all of it so."),
    },
    order=("retailer",),
    sql=_finality,
)


def _curve(tables: Collection[str]) -> str:
    return f"""{_judged_days(tables)}, restated AS (
  SELECT retailer, last_lag_days FROM days WHERE is_watched AND last_lag_days IS NOT NULL
), steps AS (
  SELECT retailer, unnest(range(0, max(last_lag_days) + 1)) AS lag_days FROM restated GROUP BY retailer
) SELECT s.retailer, s.lag_days, count(*) FILTER (r.last_lag_days <= s.lag_days) / count(*) AS settled_share
FROM steps s JOIN restated r ON r.retailer = s.retailer GROUP BY s.retailer, s.lag_days"""


HEALTH_FINALITY_CURVE = HealthView(
    name="health_finality_curve",
    title="One retailer at one age of its days: how many of its restated days were settled by then.",
    columns={
        "retailer": (TEXT, "The retailer."),
        "lag_days": (COUNT, "Days after the end of the business day."),
        "settled_share": (NUMBER, "Of the watched days that were restated, those that saw no later restatement."),
    },
    order=("retailer", "lag_days"),
    sql=_curve,
)
