"""A sibling says otherwise: a person about a member of the same event, or the members among themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "contradictory_evidence"


def contradictory_evidence(facts: Facts) -> pl.DataFrame:
    """Undecided reports of an event of which a person says another cause, or whose members disagree.

    Members disagree where two of them name different causes that each is more likely than not; they are given some
    days, for what is new may still be coming in.
    """
    return fired(NAME, [*_by_verdict(facts), *_among_members(facts)])


def _by_verdict(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    said = facts["reports"].filter(pl.col("person_cause").is_not_null(), pl.col("annotation_id").is_not_null())
    said = said.select("report_group_id", sibling="report_id", by="annotation_id", says="person_cause")
    found = facts.undecided.join(said, on="report_group_id").filter(
        pl.col("sibling") != pl.col("report_id"), pl.col("says") != pl.col("proposed_cause")
    )
    for report, told in listed(found.sort("sibling"), "report_group_id", "sibling", "by", "says", "proposed_cause"):
        yield report, f"verdict|{told['by']}|{told['says']}", told


def _among_members(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    limits = facts.settings.recall
    sure = facts.undecided.filter(pl.col("confidence_score") > 0.5, pl.col("proposed_cause") != "unknown")
    causes = sure.group_by("report_group_id").agg(causes=pl.col("proposed_cause").unique().sort())
    split = causes.filter(pl.col("report_group_id").is_not_null(), pl.col("causes").list.len() > 1)
    found = sure.filter(facts.older_than(limits.disagreeing_days)).join(split, on="report_group_id")
    for report, told in listed(found, "report_group_id", "proposed_cause", "causes"):
        yield report, f"members|{told['report_group_id']}|{told['causes']}", told
