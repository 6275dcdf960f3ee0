"""Candidates that the report's own window shows: doubtful data, stock-outs, disruptions and price changes."""

from __future__ import annotations

import polars as pl

from mrs_assets.attribution.facts import DOUBLED
from mrs_assets.attribution.kinds import OBSERVED, Kind

DOUBLING_CLUSTER = "exact-doubling"
"""Cluster id of reports whose actual is twice the expectation."""

FLAG_CAUSES = {
    "dark_source": ("a source went dark", None),
    "double_count": ("sales counted twice", "up"),
    "proxy_dropped": ("sales far above what their proxy tells", "up"),
    "proxy_overcount": ("sales far below what their proxy tells", "down"),
    "cross_source_divergence": ("sources disagree", None),
    "duplicate_window": ("days sent twice", None),
    "repeated_block": ("a block of days repeated", "up"),
    "returns_exceed_sales": ("returns exceed sales", "down"),
}
"""Quality flag → what it means in words, and the direction in which it falsifies sales."""

STORE_SHARE = 0.5
"""From this share of a store's other series on, a drop is the store's and not the product's."""

FEWEST_OTHERS = 3
ZERO_SHARE = 0.8
GAP_SHARE = 0.3
DOUBLED_SHARE = 0.15
FEWEST_COUNTS, ENOUGH_COUNTS, EVEN_SHARE, USUAL_EVEN_SHARE = 5, 10, 0.8, 0.6
"""Sales of a store look recorded twice when 80 % of five counts are even, and surely when all of ten are, where no more
than 60 % are in other weeks."""

FULL_DOUBLED_SHARE = 0.5
"""Sales of a store look recorded twice when 15 % of its other series do too, and surely when half of them do."""


def observed_candidates(reports: pl.DataFrame, facts: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """Candidates per bounded report row.

    Args:
        reports: bounded MRDL rows of one retailer.
        facts: their window facts and price facts.
        clusters: MRCL rows of the same reports and ticks.

    Returns:
        row, kind, candidate_id, cause, category, prior, sign (+1 agrees, −1 contradicts, 0 not said),
        evidence (0–1), reach and others (root of the share of the store's other series that move alike).
    """
    rows = reports.join(facts, on="row").join(
        clusters.select("report_id", "tick", "cluster_id", "similarity_score", "cluster_match_confidence"),
        on=["report_id", "tick"],
        how="left",
    )
    others = pl.col("store_series") >= FEWEST_OTHERS
    down = pl.col("direction") == "down"
    share, ticks = pl.col("store_share"), pl.col("ticks")
    zeros = pl.when(pl.col("received") > 0).then(pl.col("zeros") / pl.col("received"))
    gaps = pl.when(pl.col("store_ticks") > 0).then(pl.col("store_gaps") / pl.col("store_ticks"))
    odd_free = _odd_free()
    step = pl.col("price_step")
    cheaper = step < 0
    percent = ((step.exp() - 1).abs() * 100).round(0).cast(pl.Int64)
    found = [
        _candidate(
            rows.filter((pl.col(f"flagged_{flag}") > 0) & (ticks > 0)),
            OBSERVED["quality_flag"],
            pl.lit(f"Data error: {words}"),
            pl.col(f"flagged_{flag}") / ticks,
            candidate_id=pl.lit(flag),
            sign=pl.lit(sign, dtype=pl.String),
        )
        for flag, (words, sign) in FLAG_CAUSES.items()
    ]
    found += [
        _candidate(
            rows.filter(pl.col("cluster_id") == DOUBLING_CLUSTER),
            OBSERVED["doubled_sales"],
            pl.format("Data error: sales of store {} recorded twice", "store_id"),
            pl.col("similarity_score") * pl.col("cluster_match_confidence"),
        ),
        _candidate(
            rows.filter(
                others
                & (
                    (pl.col("doubling").is_between(*DOUBLED) & (pl.col("store_doubled") >= DOUBLED_SHARE))
                    | (odd_free > 0)
                )
            ),
            OBSERVED["doubled_store"],
            pl.format("Data error: sales of store {} recorded twice", "store_id"),
            pl.max_horizontal(
                pl.when(pl.col("doubling").is_between(*DOUBLED))
                .then(pl.col("store_doubled") / FULL_DOUBLED_SHARE)
                .clip(0, 1),
                odd_free,
            ),
        ),
        _candidate(
            rows.filter(down & others & (gaps >= GAP_SHARE)),
            OBSERVED["missing_sales"],
            pl.format("Data error: sales of store {} partly missing", "store_id"),
            gaps,
        ),
        _candidate(
            rows.filter(down & others & (share >= STORE_SHARE)),
            OBSERVED["store_disruption"],
            pl.format("Trading disrupted in store {}", "store_id"),
            share,
        ),
        _candidate(
            rows.filter(down & (zeros >= ZERO_SHARE) & ~(others & (share >= STORE_SHARE)).fill_null(value=False)),
            OBSERVED["stock_out"],
            pl.format("Stock-out of {} in store {}", "sku", "store_id"),
            zeros * (1 - share.fill_null(0.0)),
            reach=pl.lit(None, dtype=pl.Float64),
        ),
        _candidate(
            rows.filter(pl.col("price_evidence") > 0),
            OBSERVED["price_change"],
            pl.format(
                "Price of {} {} {} %", "sku", pl.when(cheaper).then(pl.lit("down")).otherwise(pl.lit("up")), percent
            ),
            pl.col("price_evidence"),
            sign=pl.when(cheaper).then(pl.lit("up")).otherwise(pl.lit("down")),
            reach=pl.lit(None, dtype=pl.Float64),
        ),
    ]
    return pl.concat(found)


def _odd_free() -> pl.Expr:
    """How plainly all counts of a store being even says that every sale is there twice: 0–1.

    By chance fewer than half of the counts are even, so ten even ones in a row are one in a thousand. Where counts were
    mostly even before, as of goods that are sold in pairs, it says nothing.
    """
    even, some = pl.col("store_even"), pl.col("store_some")
    usual = pl.when(pl.col("store_some_before") > 0).then(pl.col("store_even_before") / pl.col("store_some_before"))
    told = (some >= FEWEST_COUNTS) & (usual <= USUAL_EVEN_SHARE)
    share = pl.when(told).then(even / some).otherwise(0.0)
    return ((share - EVEN_SHARE) / (1 - EVEN_SHARE)).clip(0.0, 1.0) * (some / ENOUGH_COUNTS).clip(0.0, 1.0)


def _candidate(
    rows: pl.DataFrame,
    kind: Kind,
    cause: pl.Expr,
    evidence: pl.Expr,
    *,
    candidate_id: pl.Expr | None = None,
    sign: pl.Expr | None = None,
    reach: pl.Expr | None = None,
) -> pl.DataFrame:
    moves = pl.lit(kind.sign, dtype=pl.String) if sign is None else sign
    return rows.select(
        "row",
        kind=pl.lit(kind.name),
        candidate_id=pl.lit(kind.name) if candidate_id is None else candidate_id,
        cause=cause,
        category=pl.lit(kind.category),
        prior=pl.lit(kind.prior),
        sign=pl.when(moves.is_null()).then(0.0).when(moves == pl.col("direction")).then(1.0).otherwise(-1.0),
        evidence=evidence.cast(pl.Float64),
        reach=pl.col("store_share").sqrt() if reach is None else reach,
        others=pl.col("store_share").sqrt(),
    )
