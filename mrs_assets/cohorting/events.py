"""The state of each event at a moment: sums over the newest rows of its reports."""

from __future__ import annotations

import numpy as np
import polars as pl

AMOUNTS = ("impact_estimate", "attributed_sales_total", "baseline_sales_total")
AMOUNT = pl.Decimal(18, 4)
LEADING_SHARE = 1 / 3


def states(nodes: pl.DataFrame, ended: pl.DataFrame) -> pl.DataFrame:
    """One row per group.

    Args:
        nodes: the members, one row each, with their newest MRDL row as of the moment, `group`,
            `report_group_id`, `cause`, `category`, `confidence`, `cluster_name`, `active`.
        ended: MEEL rows: why reports ended.

    Sums of amounts and of severity are NULL where a member's is NULL, and amounts also where members mix units.
    The members' 80 % intervals are taken for independent: half-widths add in quadrature, each side by itself.
    """
    nodes = nodes.sort("group", "report_id")
    one_unit = pl.col("impact_unit").n_unique() == 1
    place = pl.concat_str("retailer", "store_id", separator="/")
    frame = nodes.group_by("group", maintain_order=True).agg(
        *(pl.col(c).first() for c in ("at", "moment", "report_group_id", "direction")),
        retailer=pl.col("retailer").sort_by("onset", "report_id").first(),
        window_start=pl.col("window_start").min(),
        window_end=pl.when(~pl.col("active").any()).then(pl.col("window_end").max()),
        event_status=pl.when(pl.col("active").any()).then(pl.lit("active")).otherwise(pl.lit("ended")),
        retailers=pl.col("retailer").unique().sort(),
        stores=place.unique().sort(),
        skus=pl.col("sku").unique().sort(),
        report_count=pl.len(),
        impact_unit=pl.when(one_unit).then(pl.col("impact_unit").first()),
        **{c: pl.when(one_unit & pl.col(c).is_not_null().all()).then(pl.col(c).sum()) for c in AMOUNTS},
    )
    frame = frame.with_columns(
        pl.col(n).list.len().alias(c)
        for n, c in (("retailers", "retailer_count"), ("stores", "store_count"), ("skus", "sku_count"))
    )
    frame = pl.concat([frame, _float_sums(nodes, frame)], how="horizontal").with_columns(
        impact_lower=(pl.col("impact_estimate").cast(pl.Float64) - pl.col("below")).round(4).cast(AMOUNT),
        impact_upper=(pl.col("impact_estimate").cast(pl.Float64) + pl.col("above")).round(4).cast(AMOUNT),
    )
    return (
        frame.drop("below", "above")
        .join(_leading(nodes), on="group", how="left")
        .join(_leading_cluster(nodes), on="group", how="left")
        .join(_resolution(nodes, ended), on="group", how="left")
        .with_columns(pl.when(pl.col("event_status") == "ended").then(pl.col("resolution_reason")))
    )


def _float_sums(nodes: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
    """Severity and interval half-widths per group, added in the order of report ids whatever else is computed."""
    group = nodes["group"].rle_id().to_numpy()
    estimate = pl.col("impact_estimate").cast(pl.Float64)
    parts = nodes.select(
        severity_score=pl.col("severity_score"),
        below=(estimate - pl.col("impact_lower").cast(pl.Float64)) ** 2,
        above=(pl.col("impact_upper").cast(pl.Float64) - estimate) ** 2,
    )
    sums = {}
    for name in parts.columns:
        values = parts[name].to_numpy()
        known = np.bincount(group, weights=np.isnan(values), minlength=frame.height) == 0
        total = np.bincount(group, weights=np.nan_to_num(values), minlength=frame.height)
        sums[name] = np.where(known, total if name == "severity_score" else np.sqrt(total), np.nan)
    return pl.DataFrame(sums, nan_to_null=True)


def _leading(nodes: pl.DataFrame) -> pl.DataFrame:
    """Find the cause with the largest sum of |impact| × confidence, and the impact-weighted mean of its confidence.

    Reports weigh alike where an impact is unknown or zero throughout, or units mix. A cause that is proposed for
    less than a third of the weight does not lead: then `unknown` does, where a report says so.
    """
    impact = pl.col("impact_estimate").cast(pl.Float64).abs()
    even = (
        (pl.col("impact_unit").n_unique().over("group") > 1)
        | impact.is_null().any().over("group")
        | (impact.max().over("group") == 0)
    )
    told = nodes.with_columns(weight=pl.when(even).then(1.0).otherwise(impact)).filter(
        pl.col("cause").is_not_null() & pl.col("confidence").is_not_null()
    )
    keys = ["group", "cause", "category"]
    ranked = told.sort(*keys, "report_id").with_columns(told=pl.col("weight") * pl.col("confidence"))
    if ranked.is_empty():
        return pl.DataFrame(schema={"group": nodes.schema["group"], **_LEADING})
    run = ranked.select(pl.struct(keys).rle_id()).to_series().to_numpy()
    causes = (
        ranked.group_by(keys, maintain_order=True)
        .agg(plain=pl.col("confidence").max())
        .with_columns(
            weight=pl.Series(np.bincount(run, weights=ranked["weight"].to_numpy())),
            told=pl.Series(np.bincount(run, weights=ranked["told"].to_numpy())),
        )
    )
    return (
        causes.with_columns(told=pl.col("told").round(6), all=pl.col("weight").sum().over("group"))
        .with_columns(led=(pl.col("cause") != "unknown") & (pl.col("weight") >= LEADING_SHARE * pl.col("all")))
        .filter(pl.col("led") | ~pl.col("led").any().over("group"))
        .sort("group", pl.col("cause") != "unknown", "told", "cause", descending=[False, False, True, False])
        .group_by("group", maintain_order=True)
        .first()
        .select(
            "group",
            leading_cause="cause",
            leading_cause_category="category",
            leading_cause_confidence=pl.when(pl.col("weight") > 0)
            .then(pl.col("told") / pl.col("weight"))
            .otherwise("plain")
            .clip(0, 1),
        )
    )


_LEADING = {"leading_cause": pl.String, "leading_cause_category": pl.String, "leading_cause_confidence": pl.Float64}


def _leading_cluster(nodes: pl.DataFrame) -> pl.DataFrame:
    return (
        nodes.drop_nulls("cluster_name")
        .group_by("group", "cluster_name")
        .len()
        .sort("group", "len", "cluster_name", descending=[False, True, False])
        .group_by("group", maintain_order=True)
        .agg(leading_cluster=pl.col("cluster_name").first())
    )


def _resolution(nodes: pl.DataFrame, ended: pl.DataFrame) -> pl.DataFrame:
    """Why the report that ended last ended."""
    return (
        nodes.select("group", "report_id", "window_end")
        .join(ended.select("report_id", "resolution_reason"), on="report_id", how="left")
        .sort("group", "window_end", "report_id", descending=[False, True, False])
        .group_by("group", maintain_order=True)
        .agg(pl.col("resolution_reason").first())
    )
