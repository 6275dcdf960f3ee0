"""The learnt choice as it is applied, and its bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import polars as pl

from mrs_assets.attribution.terms import candidate_terms, unknown_terms
from mrs_assets.contracts.errors import MrsError

FORMAT = "attribution-choice-1"
DECIMALS = 4
"""Decimals of a coefficient: coarser than what the order of additions can change."""


class ForeignArtefactError(MrsError):
    """The bytes are not a choice of ours."""


@dataclass(frozen=True)
class FittedChoice:
    """A conditional logit among a report's candidates and the alternative that it is none of them.

    Attributes:
        candidate: term of `candidate_terms` → coefficient.
        unknown: term of `unknown_terms` → coefficient.
        temperature: divides every score before the softmax.
    """

    candidate: Mapping[str, float]
    unknown: Mapping[str, float]
    temperature: float

    def score(self) -> pl.Expr:
        """Score of a candidate, divided by the temperature."""
        return _sum(candidate_terms(), self.candidate, self.temperature)

    def unknown_score(self) -> pl.Expr:
        """Score of the alternative in a situation, divided by the temperature."""
        return _sum(unknown_terms(), self.unknown, self.temperature)


def _sum(terms: Mapping[str, pl.Expr], coefficients: Mapping[str, float], temperature: float) -> pl.Expr:
    total = pl.lit(0.0)
    for name, term in terms.items():
        if coefficients[name]:
            total = total + coefficients[name] * term
    return (total / temperature).round(6)


def dump(choice: FittedChoice) -> bytes:
    """Write a choice as JSON: equal choices give equal bytes."""
    content = {
        "format": FORMAT,
        "candidate": dict(choice.candidate),
        "unknown": dict(choice.unknown),
        "temperature": choice.temperature,
    }
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False).encode()


def load(artefact: bytes) -> FittedChoice:
    """Read what `dump` wrote.

    Raises:
        ForeignArtefactError: the bytes are something else, or of other terms than this version's.
    """
    try:
        content = json.loads(artefact)
    except ValueError as error:
        raise ForeignArtefactError(f"Not an attribution model: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ForeignArtefactError(f"Not an attribution model: its format is not {FORMAT}.")
    temperature: Any = content.get("temperature")
    if not _is_number(temperature) or temperature <= 0:
        raise ForeignArtefactError("Not an attribution model: its temperature is no positive number.")
    parts = {"candidate": candidate_terms(), "unknown": unknown_terms()}
    for part, terms in parts.items():
        coefficients = content.get(part)
        if not isinstance(coefficients, dict) or set(coefficients) != set(terms):
            raise ForeignArtefactError(f"An attribution model of other terms: {part}.")
        if not all(_is_number(value) for value in coefficients.values()):
            raise ForeignArtefactError(f"An attribution model with a coefficient that is no number: {part}.")
    return FittedChoice(content["candidate"], content["unknown"], float(temperature))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
