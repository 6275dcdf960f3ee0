"""A conclusion that was reached long ago."""

from __future__ import annotations

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "aged"


def aged(facts: Facts) -> pl.DataFrame:
    """Undecided reports whose conclusion is older than `aged_days`; each conclusion grows old once."""
    old = facts.undecided.filter(facts.older_than(facts.settings.recall.aged_days))
    told = listed(old, "considered_at")
    return fired(NAME, ((report, str(evidence["considered_at"]), evidence) for report, evidence in told))
