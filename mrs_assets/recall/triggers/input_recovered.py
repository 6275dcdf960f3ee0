"""An input that was down when a report was concluded is there again."""

from __future__ import annotations

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "input_recovered"


def input_recovered(facts: Facts) -> pl.DataFrame:
    """Reports whose conclusion did without something, of which by now nothing is missing on their day.

    The recovery mends what the stages wrote, some days at once: this takes up the reports of the days that it has not
    come to, and re-reviews, which it does not reach. A reason that no input is known by is not recovered from here.
    """
    degraded = facts["reports"].filter(pl.col("reasons").list.len() > 0)
    missing = (
        degraded.select("report_id", "retailer", "business_day", reason="reasons")
        .explode("reason")
        .join(facts["down"], on=["retailer", "reason"], how="left")
        .filter((pl.col("from_day") <= pl.col("business_day")).fill_null(value=True))
    )
    found = degraded.join(missing, on="report_id", how="anti")
    told = listed(found, "reasons", "considered_at")
    return fired(NAME, ((report, f"{e['reasons']}|{e['considered_at']}", e) for report, e in told))
