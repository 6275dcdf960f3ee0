"""What people are told: whether alerts reach the channels in time."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.slo.facts import Facts
from mrs_assets.slo.measured import EVERYTHING, SHOWN, Measured, Worst


def delivered_in_time(facts: Facts) -> list[Measured]:
    """The share of the window's deliveries that were taken soon after their alert changed.

    A delivery that waits counts once it is late. Where there was nothing to deliver, nothing is late. A delivery that
    nobody ever tried is not seen here: the heartbeat tells that.
    """
    limit = timedelta(minutes=facts.settings.slo.alert_minutes)
    took = (pl.col("sent_at").fill_null(facts.now) - pl.col("noted_at")) <= limit
    recent = facts["deliveries"].filter(pl.col("noted_at") > facts.since(facts.settings.slo.window_days))
    judged = recent.with_columns(in_time=took).filter(pl.col("sent_at").is_not_null() | ~pl.col("in_time"))
    if judged.is_empty():
        return [Measured(EVERYTHING, 1.0)]
    late = judged.filter(~pl.col("in_time")).sort("noted_at", "alert_id", "channel", descending=[True, False, False])
    worst: list[Worst] = [
        {"alert": row["alert_id"], "change": row["change"], "channel": row["channel"], "noted at": str(row["noted_at"])}
        for row in late.head(SHOWN).to_dicts()
    ]
    return [Measured(EVERYTHING, 1 - late.height / judged.height, worst)]
