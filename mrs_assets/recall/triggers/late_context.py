"""A campaign, a promotion or a signal came, changed or went after a report was attributed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from mrs_assets.attribution.coverage import covered, store_limits
from mrs_assets.attribution.dated import Feeds, dated_candidates
from mrs_assets.attribution.pairs import EARLY
from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.settings import Retailer
from mrs_assets.recall.facts import CONTEXT, Facts
from mrs_assets.recall.fired import fired, listed

NAME = "late_context"
_IDS = {"promotions": "promotion_id", "campaigns": "campaign_id", "contextual_events": "event_id"}


def late_context(facts: Facts) -> pl.DataFrame:
    """Reports that a row of context overlaps in time and place, where the belief in their cause is older than it.

    Time and place are those by which attribution itself takes a candidate into account: its lead, its lag, its
    stores, products, regions and circle. Of a row that changed, what it said before counts as well. A finished replay
    has answered a row for what the stages concluded, though not for what a re-review did.
    """
    return fired(NAME, _found(facts))


def _found(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for (name,), reports in facts["reports"].group_by("retailer", maintain_order=True):
        retailer = facts.settings.retailers.get(str(name))
        if retailer is not None:
            yield from _of_retailer(facts, str(name), retailer, reports)


def _of_retailer(
    facts: Facts, name: str, retailer: Retailer, reports: pl.DataFrame
) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    oldest = reports["considered_at"].min()
    late = {
        feed: facts[feed]
        .filter(pl.col("retailer") == name, pl.col("changed_at") > oldest)
        .with_columns(row=pl.format("{}:{}", pl.lit(feed), pl.int_range(pl.len())))
        for feed in CONTEXT
    }
    if all(rows.is_empty() for rows in late.values()):
        return
    day = reports["business_day"].min()
    as_rows = [rows.with_columns(pl.col("row").alias(_IDS[feed])) for feed, rows in late.items()]
    bare = retailer.model_copy(update={"country": None})
    candidates = dated_candidates(Feeds(*as_rows), bare, day, day)  # type: ignore[arg-type]
    places = reports.select("store_id").unique().sort("store_id")
    known = facts["stores"].filter(retailer=name).select("store_id", "region", "latitude", "longitude")
    limits = store_limits(candidates, places.join(known, on="store_id", how="left"))
    pairs = covered(candidates, limits, reports.select(SERIES).unique())
    times = candidates.select("candidate", "candidate_id", "cause", "starts_at", "ends_at", "lead", "lag")
    changes = pl.concat(
        [
            rows.select("row", "changed_at", "answered_at", feed=pl.lit(feed), key=pl.col(_IDS[feed]))
            for feed, rows in late.items()
        ]
    )
    early = pl.lit(EARLY + retailer.grain_length)
    found = (
        pairs.select("candidate", *SERIES)
        .join(times, on="candidate")
        .join(changes, left_on="candidate_id", right_on="row")
        .join(reports, on=SERIES)
        .filter(
            pl.col("starts_at") - pl.col("lead") - early <= pl.col("tick"),
            pl.col("window_start") - early < pl.col("ends_at") + pl.col("lag"),
            pl.col("changed_at") > pl.col("considered_at"),
            (pl.col("proposed_by") == "rereview")
            | pl.col("answered_at").is_null()
            | (pl.col("changed_at") > pl.col("answered_at")),
        )
    )
    for report, told in listed(
        found.sort("feed", "key", "changed_at"), "feed", "key", "cause", "starts_at", "ends_at", "changed_at"
    ):
        yield report, f"{told['feed']}|{told['key']}|{told['changed_at']}", told
