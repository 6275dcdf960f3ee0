"""What stands behind an answer, as JSON: the candidates with their features, and what could change it."""

from __future__ import annotations

import json
from collections.abc import Collection

import polars as pl

from mrs_assets.attribution.terms import FEATURES
from mrs_assets.attribution.words import sentence

COULD_SHOW = {
    "promotions": "promotions of the product or the store",
    "campaigns": "marketing campaigns",
    "contextual_events": "weather, competitors, social media, operations and outside prices",
    "stores": "whether regional causes reach the store",
    "series": "price changes, data quality, stock-outs and how much else moves",
    "clustered": "whether sales look recorded twice",
    "public_holidays": "public holidays",
}
"""Input → what it could show that is not seen without it, where its name does not say so."""


def states(inputs: Collection[str], missing: Collection[str], unconfigured: Collection[str]) -> dict[str, str]:
    """Input name → `present`, `missing` or `not_configured`, sorted by name."""
    return {
        name: "missing" if name in missing else "not_configured" if name in unconfigured else "present"
        for name in sorted(inputs)
    }


def snapshot(states_of_inputs: dict[str, str]) -> str:
    """Write the states as JSON."""
    return json.dumps(states_of_inputs, sort_keys=True, separators=(",", ":"))


def evidence(ranked: pl.DataFrame, rows: pl.DataFrame, states_of_inputs: dict[str, str]) -> pl.DataFrame:
    """Write row, supporting_evidence: one JSON text per row of `rows`, also where there is no candidate.

    Args:
        ranked: the best candidates of each row.
        rows: row, began_at.
        states_of_inputs: input → `present`, `missing` or `not_configured`.

    Returns:
        The text holds the candidates with `why` and their features; how many there were; what the alternative scores
        and its share of the probability; and `would_change`: which absent input could show what.
    """
    would_change = json.dumps(
        [
            {"input": name, "state": state, "could_show": COULD_SHOW.get(name, f"what {name} tells of")}
            for name, state in states_of_inputs.items()
            if state != "present"
        ],
        separators=(",", ":"),
    )
    instants = [pl.col(c).dt.to_string("%Y-%m-%dT%H:%M:%SZ").alias(c) for c in ("starts_at", "ends_at")]
    # -0.0 would be written unlike 0.0, and which of the two comes out depends on how many rows are computed at once.
    features = pl.struct(
        pl.when(pl.col(f).round(4) == 0).then(0.0).otherwise(pl.col(f).round(4)).alias(f) for f in FEATURES
    ).alias("features")
    candidate = pl.struct(
        "candidate_id", "kind", "cause", *instants, "why", features, "score", "viable", "confidence"
    ).struct.json_encode()
    once = ("considered", "unknown_score", "unknown_share")
    texts = (
        ranked.join(rows.select("row", "began_at"), on="row")
        .with_columns(why=sentence())
        .sort("row", "rank")
        .select("row", *once, text=candidate)
        .group_by("row", maintain_order=True)
        .agg(pl.col("text").str.join(","), *(pl.col(name).first() for name in once))
    )
    joined = rows.select("row").join(texts, on="row", how="left").sort("row")
    return joined.select(
        "row",
        supporting_evidence=pl.concat_str(
            pl.lit('{"candidates":['),
            pl.col("text").fill_null(""),
            pl.lit('],"considered":'),
            pl.col("considered").fill_null(0).cast(pl.String),
            pl.lit(',"unknown_score":'),
            pl.col("unknown_score").cast(pl.String).fill_null("null"),
            pl.lit(',"unknown_share":'),
            pl.col("unknown_share").fill_null(1.0).cast(pl.String),
            pl.lit(f',"would_change":{would_change}}}'),
        ),
    )
