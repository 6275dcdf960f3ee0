"""What an event is called and why a report belongs to it, in words that a person reads."""

from __future__ import annotations

import polars as pl

from mrs_assets.cohorting.links import TIES

ALONE = "no other report is linked with it"


def named(events: pl.DataFrame) -> pl.DataFrame:
    """Add `cohort_name`, such as `FROZEN PIZZA in 5 stores of acme: Promotion display on FROZEN PIZZA`.

    Args:
        events: one row per group with skus, stores, retailers (sorted lists), their counts, direction,
            leading_cause, leading_cluster (a name; NULL where none).
    """
    what = (
        pl.when(pl.col("sku_count") == 1)
        .then(pl.col("skus").list.first())
        .otherwise(pl.format("{} products", "sku_count"))
    )
    shops = (
        pl.when(pl.col("store_count") == 1)
        .then(pl.format("store {}", pl.col("stores").list.first().str.split("/").list.slice(1).list.join("/")))
        .otherwise(pl.format("{} stores", "store_count"))
    )
    owner = (
        pl.when(pl.col("retailer_count") == 1)
        .then(pl.col("retailers").list.first())
        .otherwise(pl.format("{} retailers", "retailer_count"))
    )
    moved = (
        pl.when(pl.col("direction") == "up")
        .then(pl.lit("more sold than expected"))
        .otherwise(pl.lit("less sold than expected"))
    )
    cause = pl.when(pl.col("leading_cause") != "unknown").then(pl.col("leading_cause"))
    why = pl.coalesce(cause, pl.col("leading_cluster"), moved)
    return events.with_columns(cohort_name=pl.format("{} in {} of {}: {}", what, shops, owner, why))


def reasons(links: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Per node: cohort_reason and cohort_confidence (the strongest link that holds it; NULL where it is alone)."""
    ends = pl.concat([links.select("tie", "strength", node="left"), links.select("tie", "strength", node="right")])
    has = ends.group_by("node").agg(ties=pl.col("tie").unique(), cohort_confidence=pl.col("strength").max())
    spoken = [pl.when(pl.col("ties").list.contains(tie.name)).then(pl.lit(tie.words)) for tie in TIES]
    joined = nodes.select("node").join(has, on="node", how="left")
    return joined.select(
        "node",
        "cohort_confidence",
        cohort_reason=pl.when(pl.col("ties").is_null())
        .then(pl.lit(ALONE))
        .otherwise(pl.concat_str(spoken, separator="; ", ignore_nulls=True)),
    )


def shared(links: pl.DataFrame) -> pl.DataFrame:
    """Per group: cohort_id, the key that most of its links share (ties: the first by name)."""
    return (
        links.group_by("group", "key")
        .len()
        .sort("group", "len", "key", descending=[False, True, False])
        .group_by("group", maintain_order=True)
        .agg(cohort_id=pl.col("key").first())
    )
