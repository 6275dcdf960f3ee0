"""The choice among candidates: a conditional logit with an explicit alternative that it is none of them."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from mrs_assets.attribution.fitted import FittedChoice
from mrs_assets.attribution.kinds import (
    HIGHEST_CONFIDENCE,
    MISSING_PENALTY,
    TEMPERATURE,
    UNKNOWN_SCORE,
    WEIGHTS,
)
from mrs_assets.attribution.terms import INPUTS

RANKED = 3

NAMED_FROM, BESIDE_FROM = 0.5, 0.1
"""Probability from which on a learnt choice names its first cause: likelier than not; and further ones beside it."""


def distinct(candidates: pl.DataFrame, score: pl.Expr) -> pl.DataFrame:
    """Candidates that do not contradict the direction first, each cause once: the best of its candidates.

    Adds `score`; sorted by row and rank.
    """
    order = ["row", "opposed", "score", "kind", "candidate_id", "cause"]
    return (
        candidates.with_columns(score=score, opposed=pl.col("sign") < 0)
        .sort(order, descending=[False, False, True, False, False, False])
        .unique(["row", "cause"], keep="first", maintain_order=True)
    )


def situations(candidates: pl.DataFrame, rows: pl.DataFrame, absent: Collection[str]) -> pl.DataFrame:
    """One row per report row, with what the alternative is scored by.

    Args:
        candidates: result of `distinct`.
        rows: row, no_cluster (True where the report has no usable cluster).
        absent: inputs that are not there, whoever is to blame.

    Returns:
        row; considered: how many candidates do not contradict the direction; absent_<input>.
    """
    counted = candidates.filter(~pl.col("opposed")).group_by("row").agg(considered=pl.len())
    return rows.join(counted, on="row", how="left").select(
        "row",
        pl.col("considered").fill_null(0),
        *(pl.lit(name in absent).alias(f"absent_{name}") for name in INPUTS if name != "clustered"),
        absent_clustered=pl.col("no_cluster"),
    )


def declared_score() -> pl.Expr:
    """Score by the declared weights: prior + Σ weight × feature; a feature that is NULL adds nothing."""
    total = pl.col("prior")
    for feature, weight in WEIGHTS.items():
        total = total + weight * pl.col(feature).fill_null(0.0)
    return total.round(6)


def ranked(candidates: pl.DataFrame, rows: pl.DataFrame, absent: Collection[str], missed: int) -> pl.DataFrame:
    """Rank the best candidates of each row by the declared weights: adds rank (1 …), viable, confidence, unknown_score.

    confidence = softmax(score / TEMPERATURE) among the row's viable candidates and the alternative, at most
    HIGHEST_CONFIDENCE, times MISSING_PENALTY per input that should have been there. Viable is a candidate that reaches
    UNKNOWN_SCORE and does not contradict the direction; any other has NULL.

    Args:
        candidates: candidates with their features.
        rows: row, no_cluster.
        absent: inputs that are not there.
        missed: how many inputs other than clusters are configured and not there.
    """
    scored = distinct(candidates, declared_score()).with_columns(
        unknown_score=pl.lit(UNKNOWN_SCORE), viable=(pl.col("score") >= UNKNOWN_SCORE) & ~pl.col("opposed")
    )
    odds = pl.when("viable").then(((pl.col("score") - UNKNOWN_SCORE) / TEMPERATURE).exp())
    penalty = pl.lit(MISSING_PENALTY).pow(missed + pl.col("absent_clustered").cast(pl.Int32))
    return _best(scored, situations(scored, rows, absent), odds, HIGHEST_CONFIDENCE, penalty)


def ranked_by_model(
    candidates: pl.DataFrame, rows: pl.DataFrame, absent: Collection[str], choice: FittedChoice
) -> pl.DataFrame:
    """The same by a learnt choice: every candidate that does not contradict the direction has its probability.

    The first is viable where it is likelier than not, further ones from BESIDE_FROM on beside a viable first. What is
    missing is part of the alternative's score.
    """
    scored = distinct(candidates, choice.score())
    told = situations(scored, rows, absent)
    scored = scored.join(told.select("row", unknown_score=choice.unknown_score()), on="row", maintain_order="left")
    odds = pl.when(~pl.col("opposed")).then((pl.col("score") - pl.col("unknown_score")).exp())
    best = _best(scored, told, odds, 1.0, pl.lit(1.0)).sort("row", "rank")
    is_named = (pl.col("confidence").first().over("row") >= NAMED_FROM).fill_null(value=False)
    likely = pl.col("confidence").fill_null(0.0) >= pl.when(pl.col("rank") == 1).then(NAMED_FROM).otherwise(BESIDE_FROM)
    return best.with_columns(viable=is_named & likely)


def _best(
    scored: pl.DataFrame, situation: pl.DataFrame, odds: pl.Expr, highest: float, penalty: pl.Expr
) -> pl.DataFrame:
    everything = scored.with_columns(odds=odds).with_columns(
        rank=pl.int_range(pl.len()).over("row") + 1, total=1.0 + pl.col("odds").sum().over("row")
    )
    share = (pl.col("odds") / pl.col("total")).clip(upper_bound=highest)
    return (
        everything.filter(pl.col("rank") <= RANKED)
        .join(situation, on="row", how="left", maintain_order="left")
        .with_columns(confidence=(share * penalty).round(6), unknown_share=(1 / pl.col("total")).round(6))
        .drop("odds", "total")
    )
