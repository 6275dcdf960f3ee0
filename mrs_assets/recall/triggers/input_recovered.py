"""An input that was down when a report was concluded is there again."""

from __future__ import annotations

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "input_recovered"


def input_recovered(facts: Facts) -> pl.DataFrame:
    """Reports whose conclusion did without something, of which by now nothing is missing on their day.

    What the stages wrote degraded the recovery mends itself, before anything is recalled. This is for what it does
    not reach: conclusions of a re-review.
    """
    degraded = facts["reports"].filter(pl.col("reasons").list.len() > 0)
    missing = (
        degraded.select("report_id", "retailer", "business_day", reason="reasons")
        .explode("reason")
        .join(facts["down"], on=["retailer", "reason"])
        .filter(pl.col("from_day") <= pl.col("business_day"))
    )
    found = degraded.join(missing, on="report_id", how="anti")
    told = listed(found, "reasons", "considered_at")
    return fired(NAME, ((report, f"{e['reasons']}|{e['considered_at']}", e) for report, e in told))
