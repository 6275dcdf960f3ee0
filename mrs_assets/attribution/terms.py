"""The terms of the choice: what a candidate, and the alternative that it is none of them, can be scored by."""

from __future__ import annotations

import polars as pl

from mrs_assets.attribution.kinds import DATED, OBSERVED

SCALES: dict[str, tuple[float, float]] = {
    "overlap": (0.4, 0.3),
    "onset": (0.6, 0.3),
    "prompt": (0.3, 0.4),
    "ending": (0.4, 0.4),
    "reach": (0.3, 0.3),
    "others": (0.2, 0.3),
    "crowd": (0.0, 2.0),
    "footprint": (0.1, 0.2),
    "breadth": (3.0, 2.0),
    "targeted": (0.5, 0.3),
    "sign": (0.5, 0.5),
    "rarity": (1.5, 1.0),
    "lift": (0.0, 0.3),
    "gain": (0.0, 0.3),
    "response": (0.0, 2.0),
    "excess": (0.8, 0.6),
    "evidence": (0.6, 0.3),
    "unlocated": (0.0, 1.0),
}
"""Feature → what counts as ordinary, and its unit. Fixed, so that a coefficient means the same in every version."""

FEATURES = tuple(SCALES)
PRODUCTS = (
    ("overlap", "onset"),
    ("onset", "others"),
    ("overlap", "others"),
    ("rarity", "onset"),
    ("onset", "onset"),
    ("prompt", "response"),
    ("overlap", "response"),
    ("excess", "response"),
    ("excess", "breadth"),
)
"""Pairs of standardised features whose product is a term: timing that agrees, among series that agree."""

CALENDAR_KIND = "public_holiday"

INPUTS = ("promotions", "campaigns", "contextual_events", "stores", "series", "clustered")
"""Inputs whose absence makes the alternative likelier."""


def standardised(feature: str) -> pl.Expr:
    """A feature in its unit from what is ordinary; one that cannot be known counts as ordinary and adds nothing."""
    ordinary, unit = SCALES[feature]
    return ((pl.col(feature) - ordinary) / unit).fill_null(0.0)


def candidate_terms() -> dict[str, pl.Expr]:
    """Term → expression over candidates: their kind, features, pairs of features, and evidence by kind."""
    kind = pl.col("kind")
    terms = {f"kind {name}": _is(name).cast(pl.Float64) for name in (*DATED, *OBSERVED) if name != CALENDAR_KIND}
    dated = kind.is_in(list(DATED)).cast(pl.Float64)
    terms |= {name: standardised(name) * dated for name in FEATURES if name != "evidence"}
    terms |= {f"{left} × {right}": standardised(left) * standardised(right) * dated for left, right in PRODUCTS}
    terms |= {f"evidence {name}": standardised("evidence") * (kind == name).cast(pl.Float64) for name in OBSERVED}
    return terms


def _is(name: str) -> pl.Expr:
    # A holiday is a holiday, whoever tells of it.
    return pl.col("kind").is_in(["holiday", CALENDAR_KIND]) if name == "holiday" else pl.col("kind") == name


def unknown_terms() -> dict[str, pl.Expr]:
    """Term → expression over situations: how many candidates there are, and which inputs are absent."""
    return {
        "candidates": (pl.col("considered") + 1).log(),
        **{f"absent {name}": pl.col(f"absent_{name}").cast(pl.Float64) for name in INPUTS},
    }
