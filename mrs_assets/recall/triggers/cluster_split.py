"""A cluster of the library was split, moved or dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed
from mrs_assets.recall.patterns import entries_of, placed_before

NAME = "cluster_split"


def cluster_split(facts: Facts) -> pl.DataFrame:
    """Every report of a cluster whose entries are others in the library in force, decided ones too.

    An entry that was added to a cluster widens it, and one that is gone narrows it. Either may change who belongs,
    so that all of the cluster's reports are asked about, wherever they would lie now.
    """
    return fired(NAME, _found(facts))


def _found(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    before = placed_before(facts)
    if before.is_empty():
        return
    now = entries_of(facts.libraries[facts.in_force["cluster"]])
    for (version,), reports in before.group_by("cluster_version", maintain_order=True):
        known = facts.libraries.get(str(version))
        if known is None:
            continue
        changed = [family for family, entries in entries_of(known).items() if now.get(family) != entries]
        for report, told in listed(reports.filter(pl.col("cluster_id").is_in(changed)), "cluster_id"):
            fate = "moved" if told["cluster_id"] in now else "gone"
            evidence = {**told, "cluster_is": fate, "library": facts.in_force["cluster"]}
            yield report, f"{facts.in_force['cluster']}|{told['cluster_id']}", evidence
