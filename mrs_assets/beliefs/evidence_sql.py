"""SQL of the evidence: which rows of a log came out otherwise in an interval, and who wrote them before and after.

Parameters: `$run_id`, and the interval (`$since`, `$until`]; `$since` is the earlier belief, `$until` the later one.
"""

from __future__ import annotations

from mrs_assets.contracts.contract import Contract
from mrs_assets.hydration.newest import listed

PLACE = ("retailer", "store_id", "sku", "report_id")
"""Where a row belongs, as far as its log says."""


def moves_sql(log: Contract) -> str:
    """Net changes of a log, counted together where place, writer and file are the same.

    A key whose content came back to what it was is no change. A new key is compared with the newest earlier row of
    its place, whose model is the newest one named there.

    Returns:
        Columns retailer, store_id, sku, report_id (NULL where the log has none), first_day, last_day, written_at,
        batch_id, dagster_run_id (of one of the rows), is_retracted, known (the same key was true before),
        model_version, code_version, degraded_reasons, and the same three with `_before`, and written_before.
    """
    key, place = listed(log.key), [column for column in PLACE if column in log.body]
    places = listed(place)
    own = ", ".join(f'a."{name}"' if name in place else f'CAST(NULL AS VARCHAR) AS "{name}"' for name in PLACE)
    inside = "run_id = $run_id AND written_at > $since AND written_at <= $until"
    newest = "SELECT {key}, max(version) AS version FROM {log} WHERE {condition} GROUP BY ALL"
    same_key, same_place = (
        " AND ".join(f'a."{c}" = {x}."{c}"' for c in columns) for x, columns in (("b", log.key), ("n", place))
    )
    batch = "a.batch_id" if log.stage == "feeds" else "CAST(NULL AS VARCHAR)"
    return f"""
WITH touched AS ({newest.format(key=key, log=log.name, condition=inside)}),
after_rows AS (SELECT r.* FROM {log.name} r JOIN touched USING ({key}, version) WHERE run_id = $run_id),
known AS (
  SELECT {key}, max(version) AS version FROM {log.name} SEMI JOIN touched USING ({key})
  WHERE run_id = $run_id AND written_at <= $since GROUP BY ALL
),
before_rows AS (
  SELECT r.* FROM {log.name} r JOIN known USING ({key}, version) WHERE run_id = $run_id AND NOT is_retracted
),
neighbours AS (
  SELECT {places}, arg_max(model_version, row(business_day, version)) AS model_version,
    arg_max(code_version, row(business_day, version)) AS code_version,
    arg_max(degraded_reasons, row(business_day, version)) AS degraded_reasons, max(written_at) AS written_at
  FROM {log.name} SEMI JOIN after_rows USING ({places})
  WHERE run_id = $run_id AND written_at <= $since AND NOT is_retracted GROUP BY ALL
)
SELECT {own}, min(a.business_day) AS first_day, max(a.business_day) AS last_day, max(a.written_at) AS written_at,
  {batch} AS batch_id, any_value(a.dagster_run_id) AS dagster_run_id, a.is_retracted, b.version IS NOT NULL AS known,
  a.model_version, a.code_version, a.degraded_reasons,
  CASE WHEN b.version IS NULL THEN n.model_version ELSE b.model_version END AS model_version_before,
  CASE WHEN b.version IS NULL THEN n.code_version ELSE b.code_version END AS code_version_before,
  CASE WHEN b.version IS NULL THEN n.degraded_reasons ELSE b.degraded_reasons END AS degraded_reasons_before,
  max(CASE WHEN b.version IS NULL THEN n.written_at ELSE b.written_at END) AS written_before
FROM after_rows a LEFT JOIN before_rows b ON {same_key} LEFT JOIN neighbours n ON {same_place}
WHERE CASE WHEN b.version IS NULL THEN NOT a.is_retracted ELSE a.is_retracted OR a.row_hash <> b.row_hash END
GROUP BY ALL ORDER BY ALL
"""
