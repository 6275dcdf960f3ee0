"""Verdicts say that a cluster, or a kind of cause, is claimed more surely than it is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "confidence_drift"


def confidence_drift(facts: Facts) -> pl.DataFrame:
    """Undecided reports of a cluster or kind of cause whose mean confidence exceeds what people found right.

    Calibration in the large (Steyerberg 2009, 15.3): mean confidence less the share of right answers. It fires again
    once as many more verdicts are there as it takes to say anything.
    """
    return fired(NAME, _found(facts))


def _found(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    limits = facts.settings.recall
    decided = facts["reports"].filter(
        pl.col("final_decision").is_in(["approved", "rejected", "edited"]), pl.col("confidence_score").is_not_null()
    )
    right = (pl.col("final_decision") != "rejected") & (pl.col("person_cause") == pl.col("proposed_cause"))
    for group in ("cluster_id", "proposed_cause_category"):
        judged = (
            decided.with_columns(right=right.fill_null(value=False))
            .group_by("retailer", group)
            .agg(
                verdicts=pl.len(),
                claimed=pl.col("confidence_score").mean().round(6),
                right=pl.col("right").mean().round(6),
            )
            .filter(
                pl.col(group).is_not_null(),
                pl.col("verdicts") >= limits.least_verdicts,
                pl.col("claimed") - pl.col("right") > limits.most_overconfidence,
            )
        )
        drifted = facts.undecided.join(judged, on=["retailer", group])
        for report, told in listed(drifted, "retailer", group, "verdicts", "claimed", "right", "cause_version"):
            batch = int(str(told["verdicts"])) // limits.least_verdicts
            yield report, f"{group}|{told[group]}|{told['cause_version']}|{batch}", told
