"""The choice among candidates: a conditional logit with an explicit alternative that it is none of them."""

from __future__ import annotations

import polars as pl

from mrs_assets.attribution.kinds import (
    HIGHEST_CONFIDENCE,
    MISSING_PENALTY,
    TEMPERATURE,
    UNKNOWN_SCORE,
    WEIGHTS,
)

FEATURES = tuple(WEIGHTS)
RANKED = 3


def score(candidates: pl.DataFrame) -> pl.DataFrame:
    """Add `score` = prior + Σ weight × feature; a feature that is NULL adds nothing. Rounded to 6 decimals."""
    total = pl.col("prior")
    for feature, weight in WEIGHTS.items():
        total = total + weight * pl.col(feature).fill_null(0.0)
    return candidates.with_columns(score=total.round(6))


def ranked(scored: pl.DataFrame, gaps: pl.DataFrame) -> pl.DataFrame:
    """Rank the best candidates of each row: adds `rank` (1 …), `viable` and `confidence`.

    confidence = softmax(score / TEMPERATURE) among the row's viable candidates and the unknown alternative, at most
    HIGHEST_CONFIDENCE, times MISSING_PENALTY per missing input (`gaps`: row, missing). Viable is a candidate that
    reaches UNKNOWN_SCORE and does not contradict the direction; any other has NULL.
    """
    order = ["row", "score", "kind", "candidate_id", "cause"]
    best = (
        scored.sort(order, descending=[False, True, False, False, False])
        .unique(["row", "cause"], keep="first", maintain_order=True)
        .with_columns(viable=(pl.col("score") >= UNKNOWN_SCORE) & (pl.col("sign") >= 0))
        .with_columns(odds=pl.when("viable").then(((pl.col("score") - UNKNOWN_SCORE) / TEMPERATURE).exp()))
        .with_columns(
            rank=pl.int_range(pl.len()).over("row") + 1,
            total=1.0 + pl.col("odds").sum().over("row"),
            considered=pl.len().over("row"),
        )
    )
    share = (pl.col("odds") / pl.col("total")).clip(upper_bound=HIGHEST_CONFIDENCE)
    return (
        best.filter(pl.col("rank") <= RANKED)
        .join(gaps, on="row", how="left")
        .with_columns(confidence=(share * pl.lit(MISSING_PENALTY).pow(pl.col("missing"))).round(6))
        .drop("odds", "total", "missing")
    )
