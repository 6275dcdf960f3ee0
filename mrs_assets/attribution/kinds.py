"""The kinds of cause there are: category, reach in time, prior, and the weights of the choice among them.

Nothing here is fitted: each number is a declared judgement with its reasoning in docs/explanation/causes.md.
"""

from __future__ import annotations

from dataclasses import dataclass

UNKNOWN = "unknown"
UNKNOWN_CONFIDENCE = 0.05
"""Confidence of a row for which no candidate is viable."""

UNKNOWN_SCORE = 4.6
"""Score of the alternative that the cause is none of the candidates. A candidate below it is not viable, nor is one
that contradicts the direction."""

TEMPERATURE = 1.5
"""Divides every score before the softmax: above 1 because features of one candidate overlap in what they say."""

HIGHEST_CONFIDENCE = 0.87
"""Of the answers of which the declared weights are surest, this share was right where the truth was known."""

MISSING_PENALTY = 0.9
"""Factor on the confidence for each input that should have been there: a better candidate may be hidden in it."""


@dataclass(frozen=True)
class Kind:
    """One kind of cause.

    Attributes:
        name: kind of the candidates.
        category: one of CAUSE_CATEGORIES.
        lead_days: how long before its start the effect may begin.
        lag_days: how long after its end an effect may still begin.
        eve_days: how long before its start counts as part of it.
        decay_days: distance of onset and start at which the onset counts 1/e.
        planned: known before it starts, so that it may explain what comes ahead of it.
        prior: log-odds before any feature is looked at.
        sign: the direction it moves sales where its own row does not say.
    """

    name: str
    category: str
    lead_days: float
    lag_days: float
    decay_days: float
    eve_days: float = 0.0
    planned: bool = False
    prior: float = 0.0
    sign: str | None = None


DATED = {
    kind.name: kind
    for kind in (
        Kind("promotion", "Marketing / Promotion", 1, 2, 3, planned=True, sign="up"),
        Kind("campaign", "Marketing / Promotion", 0, 7, 7, planned=True, prior=-0.5, sign="up"),
        Kind("public_holiday", "Holiday / Calendar", 10, 3, 3, eve_days=4, planned=True, prior=0.5),
        Kind("holiday", "Holiday / Calendar", 10, 3, 3, eve_days=4, prior=0.5),
        Kind("weather", "Weather", 2, 2, 2),
        Kind("competitor", "Competitor Stockout", 0, 3, 3, sign="up"),
        Kind("social", "Social / Viral", 1, 7, 4),
        Kind("operational", "Own Stockout / Operational", 0, 1, 2, prior=0.5),
        Kind("price", "Price", 0, 3, 3),
        Kind("other", UNKNOWN, 0, 1, 2, prior=-0.5),
    )
}
"""Kinds with a start and an end: from feeds and the calendar."""

OBSERVED = {
    kind.name: kind
    for kind in (
        Kind("quality_flag", "Data Error", 0, 0, 1, prior=1.0),
        Kind("doubled_sales", "Data Error", 0, 0, 1, sign="up"),
        Kind("doubled_store", "Data Error", 0, 0, 1, prior=0.5, sign="up"),
        Kind("missing_sales", "Data Error", 0, 0, 1, prior=1.0, sign="down"),
        Kind("store_disruption", "Own Stockout / Operational", 0, 0, 1, prior=0.5, sign="down"),
        Kind("stock_out", "Own Stockout / Operational", 0, 0, 1, prior=0.5, sign="down"),
        Kind("price_change", "Price", 0, 0, 1, prior=0.5),
    )
}
"""Kinds read from the report's own window."""

LONGEST_LEAD_DAYS = max(kind.lead_days for kind in DATED.values())
LONGEST_LAG_DAYS = max(kind.lag_days for kind in DATED.values())

WEIGHTS = {
    "overlap": 2.0,
    "onset": 1.5,
    "reach": 2.0,
    "footprint": 0.5,
    "targeted": 0.5,
    "sign": 1.0,
    "rarity": 0.5,
    "evidence": 4.5,
    "unlocated": -1.0,
}
"""Weight of each feature in a candidate's score. A feature that cannot be known adds nothing."""
