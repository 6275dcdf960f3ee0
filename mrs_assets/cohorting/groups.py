"""From links to events: connected reports, cut where a chain grows too long."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mrs_assets.contracts import ids

LONGEST_ONSET_SPAN = timedelta(days=14)
"""Onsets of one event lie within this span; a longer chain is cut into parts of it, counted from its earliest."""


def grouped(nodes: pl.DataFrame, links: pl.DataFrame) -> pl.DataFrame:
    """Nodes with `group`: reports that links connect at a moment.

    Args:
        nodes: node (0 … n−1), onset, report_id.
        links: left, right.

    Returns:
        nodes plus `report_group_id`, derived from the earliest report of the group by onset and id.
    """
    count = nodes.height
    ends = (links["left"].to_numpy(), links["right"].to_numpy())
    graph = coo_array((np.ones(links.height, dtype=np.int8), ends), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    parts = nodes.with_columns(component=pl.Series(component)).with_columns(
        part=(pl.col("onset") - pl.col("onset").min().over("component")).dt.total_microseconds()
        // (LONGEST_ONSET_SPAN // timedelta(microseconds=1))
    )
    earliest = (
        parts.sort("onset", "report_id")
        .group_by("component", "part", maintain_order=True)
        .agg(first_report=pl.col("report_id").first(), first_onset=pl.col("onset").first())
        .with_row_index("group")
    )
    names = earliest.select("first_report", "first_onset").unique().sort("first_report", "first_onset")
    names = names.with_columns(
        report_group_id=pl.Series([ids.report_group_id(*row) for row in names.iter_rows()], dtype=pl.String)
    )
    return (
        parts.join(earliest, on=["component", "part"])
        .join(names, on=["first_report", "first_onset"])
        .drop("component", "part", "first_onset")
        .sort("node")
    )


def within_groups(links: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Links whose two ends ended up in the same group, with `group`."""
    group = nodes.select("node", "group")
    return (
        links.join(group.rename({"node": "left"}), on="left")
        .join(group.rename({"node": "right", "group": "other"}), on="right")
        .filter(pl.col("group") == pl.col("other"))
        .drop("other")
    )
