"""What a trigger says: which report, why, and the cause by which it is recognised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

import polars as pl

FIRED = pl.Schema(
    {"report_id": pl.String(), "trigger_reason": pl.String(), "fingerprint": pl.String(), "evidence": pl.String()}
)
"""One row per report and cause. `evidence` is JSON with sorted keys."""


def fired(trigger: str, rows: Iterable[tuple[str, str, Mapping[str, object]]]) -> pl.DataFrame:
    """Rows of FIRED, sorted.

    Args:
        trigger: its name.
        rows: report, the cause in words that are the same whenever it is the same, evidence.
    """
    told = [
        (report, trigger, fingerprint(trigger, cause), json.dumps(evidence, sort_keys=True, default=str))
        for report, cause, evidence in rows
    ]
    return pl.DataFrame(told, schema=FIRED, orient="row").unique().sort("report_id", "fingerprint")


def fingerprint(trigger: str, cause: str) -> str:
    """Name of one cause: the same words give the same name."""
    return f"{trigger}:{hashlib.sha256(cause.encode()).hexdigest()[:16]}"


def listed(frame: pl.DataFrame, *columns: str) -> Iterable[tuple[str, Mapping[str, object]]]:
    """Report and the columns that are its evidence."""
    for row in frame.sort("report_id").iter_rows(named=True):
        yield row["report_id"], {name: row[name] for name in columns}
