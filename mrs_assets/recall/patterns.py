"""Where the cluster library in force would place reports that another library placed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from mrs_assets.clustering.library import NOVEL, Library, match
from mrs_assets.recall.facts import Facts

_PLACED = {
    "report_id": pl.String(),
    "cluster_id": pl.String(),
    "now_cluster": pl.String(),
    "cluster_version": pl.String(),
}


def placed_before(facts: Facts) -> pl.DataFrame:
    """Reports that were placed in a library other than the one in force, with the columns of `reports`."""
    in_force = facts.in_force.get("cluster")
    if in_force is None or in_force not in facts.libraries:
        return facts["reports"].clear()
    return facts["reports"].filter(pl.col("cluster_version") != in_force, pl.col("feature_vector").is_not_null())


def placed_anew(facts: Facts) -> pl.DataFrame:
    """Those of them whose place would be another now: report_id, cluster_id, now_cluster, cluster_version."""
    before = placed_before(facts)
    if before.is_empty():
        return pl.DataFrame(schema=_PLACED)
    library = facts.libraries[facts.in_force["cluster"]]
    vectors = np.array(before["feature_vector"].to_list(), dtype=np.float64)
    names = [NOVEL, *library.families]
    now = [names[family + 1] for family in match(library, vectors).family]
    return (
        before.with_columns(now_cluster=pl.Series(now, dtype=pl.String))
        .filter(pl.col("now_cluster").ne_missing(pl.col("cluster_id")))
        .select(list(_PLACED))
    )


def entries_of(library: Library) -> Mapping[str, frozenset[bytes]]:
    """Cluster id → its entries, by content."""
    entries: dict[str, set[bytes]] = {family: set() for family in library.families}
    for place, family in enumerate(library.family_of):
        entries[library.families[int(family)]].add(np.round(library.entries[place], 6).tobytes())
    return {family: frozenset(own) for family, own in entries.items()}
