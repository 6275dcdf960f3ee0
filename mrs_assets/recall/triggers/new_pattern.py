"""A pattern entered the cluster library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed
from mrs_assets.recall.patterns import placed_anew

NAME = "new_pattern"


def new_pattern(facts: Facts) -> pl.DataFrame:
    """Reports that are nearest to a cluster which the library that placed them did not have."""
    return fired(NAME, _found(facts))


def _found(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for (version,), reports in placed_anew(facts).group_by("cluster_version", maintain_order=True):
        known = facts.libraries.get(str(version))
        if known is not None:
            entered = reports.filter(~pl.col("now_cluster").is_in(["novel", *known.families]))
            for report, evidence in listed(entered, "cluster_id", "now_cluster"):
                yield report, f"{facts.in_force['cluster']}|{evidence['now_cluster']}", evidence
