"""A person asks for another look, by protocol."""

from __future__ import annotations

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "analyst_request"


def analyst_request(facts: Facts) -> pl.DataFrame:
    """Reports that a standing edit asks to reprocess, whichever of its identities the edit names."""
    names = facts["reports"].select(
        "report_id", named=pl.concat_list(pl.col("report_id"), pl.col("edited_as").fill_null([]))
    )
    asked = names.explode("named").join(
        facts["requests"].select(
            "annotation_id", "actor", "acted_at", "reopen_reason", "reason", "action", named="report_id"
        ),
        on="named",
    )
    told = listed(
        asked.sort("annotation_id"), "annotation_id", "actor", "acted_at", "reopen_reason", "reason", "action"
    )
    return fired(NAME, ((report, str(e["annotation_id"]), e) for report, e in told))
