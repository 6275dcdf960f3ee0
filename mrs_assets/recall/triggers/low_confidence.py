"""A conclusion that nobody was sure of."""

from __future__ import annotations

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "low_confidence"


def low_confidence(facts: Facts) -> pl.DataFrame:
    """Undecided reports of low or unknown confidence, some weeks after they were concluded; each conclusion once.

    The same cause from the same version is the same conclusion: what came out as it was is not asked again.
    """
    limits = facts.settings.recall
    unsure = (pl.col("confidence_score") < limits.low_confidence) | pl.col("confidence_score").is_null()
    found = facts.undecided.filter(unsure, facts.older_than(limits.low_confidence_days))
    told = listed(found, "proposed_cause", "confidence_score", "cause_version")
    return fired(NAME, ((report, f"{e['proposed_cause']}|{e['cause_version']}", e) for report, e in told))
