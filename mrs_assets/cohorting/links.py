"""What ties two reports together at a moment, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from mrs_assets.contracts.settings import Retailer

WIDE_CATEGORIES = ("Weather", "Holiday / Calendar", "Competitor Stockout", "Social / Viral")
"""Causes from outside, which are the same cause at every retailer."""

RETAILER_CATEGORIES = ("Marketing / Promotion",)
"""Causes that are the same one throughout a retailer. All others are the same one inside a store only."""

LONGEST_ONSET_GAP = timedelta(days=2)
FEWEST_ONSET_TICKS = 3
SHORTEST_ONSET_GAP = timedelta(hours=12)

LEAST_OVERLAP = 0.3
"""Share of the shorter window that must overlap."""

PREDECESSORS = 4
"""Each report is compared with this many before it in onset order: the work grows with the number of reports."""


@dataclass(frozen=True)
class Tie:
    """One kind of link.

    Attributes:
        name: short name, first part of `cohort_id`.
        words: what `cohort_reason` says.
        columns: what both reports share, beside their direction.
        strength: strength of the link; that of a shared cause also grows with its confidence.
        closeness: part of the onset gap that is allowed.
        fewest: smallest run of reports that counts as more than coincidence.
    """

    name: str
    words: str
    columns: tuple[str, ...]
    strength: float
    closeness: float = 1.0
    fewest: int = 2


TIES = (
    Tie("cause", "same cause", ("owner", "category", "cause"), 0.5),
    Tie("product", "same product and shape", ("cluster_id", "sku"), 0.7, closeness=0.5, fewest=3),
    Tie("store", "same store and shape", ("cluster_id", "retailer", "store_id"), 0.5, closeness=0.25, fewest=3),
    Tie("region", "same region and shape", ("cluster_id", "retailer", "region"), 0.4, closeness=0.25, fewest=8),
)
"""Kinds of link, strongest claim first. The less a link says, the closer the onsets and the larger the runs."""


def onset_gap(retailer: Retailer | None) -> timedelta:
    """How far apart onsets of one event may lie: 3 ticks, at least 12 hours, at most 2 days."""
    if retailer is None:
        return LONGEST_ONSET_GAP
    return min(LONGEST_ONSET_GAP, max(FEWEST_ONSET_TICKS * retailer.grain_length, SHORTEST_ONSET_GAP))


def keyed(tie: Tie, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows that have everything the tie asks for, with `key`: the shared things as text."""
    parts = ["direction", *tie.columns]
    return rows.filter(pl.all_horizontal(pl.col(c).is_not_null() for c in parts)).with_columns(
        key=pl.concat_str([pl.lit(tie.name), *parts], separator=":")
    )


def linked(tie: Tie, nodes: pl.DataFrame) -> pl.DataFrame:
    """Links of one kind among nodes that share a key at the same moment.

    Args:
        tie: the kind.
        nodes: at, key, node, onset, until (end of the window as of the moment), gap, weight.

    Returns:
        left, right (nodes), key, strength, tie. Two nodes are linked where their onsets are no further apart than
        the gap times `closeness`, and their windows overlap by LEAST_OVERLAP of the shorter one.
    """
    group = ["at", "key"]
    close = pl.col("gap") * tie.closeness
    ordered = nodes.sort(*group, "onset", "until", "node").with_columns(
        fresh=(pl.col("onset") - pl.col("onset").shift(1).over(group) > close).fill_null(value=True)
    )
    ordered = ordered.with_columns(run=pl.col("fresh").cum_sum())
    ordered = ordered.filter(pl.len().over("run") >= tie.fewest)
    parts = []
    for back in range(1, PREDECESSORS + 1):
        before = ordered.select(pl.all().shift(back).name.suffix("_before"))
        both = pl.concat([ordered, before], how="horizontal").filter(
            (pl.col("at") == pl.col("at_before")) & (pl.col("key") == pl.col("key_before"))
        )
        shared = pl.min_horizontal("until", "until_before") - pl.col("onset")
        shorter = pl.min_horizontal(pl.col("until") - pl.col("onset"), pl.col("until_before") - pl.col("onset_before"))
        gap = pl.max_horizontal("gap", "gap_before") * tie.closeness
        parts.append(
            both.filter(
                (pl.col("onset") - pl.col("onset_before") <= gap)
                & (shared > pl.duration(seconds=0))
                & (shared >= shorter * LEAST_OVERLAP)
            ).select(
                left="node_before",
                right="node",
                key="key",
                strength=tie.strength + (1 - tie.strength) * pl.min_horizontal("weight", "weight_before"),
                tie=pl.lit(tie.name),
            )
        )
    return pl.concat(parts)
