"""Fitting of the choice: a penalised conditional logit, and its temperature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import minimize, minimize_scalar, root

from mrs_assets.attribution.fitted import DECIMALS, FittedChoice
from mrs_assets.attribution.kinds import DATED, OBSERVED, TEMPERATURE, UNKNOWN_SCORE, WEIGHTS
from mrs_assets.attribution.scoring import declared_score, distinct, situations
from mrs_assets.attribution.terms import CALENDAR_KIND, SCALES, candidate_terms, unknown_terms

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PULL = 3.0
"""Strength with which a coefficient is pulled towards what is declared, in reports: what no lesson speaks of stays."""

ABSENCE = 0.15
"""What an absent input adds to the alternative where no lesson says how much."""


@dataclass(frozen=True)
class Examples:
    """Choices whose answer is known.

    Attributes:
        terms: candidates × candidate terms.
        owner: choice of each candidate, rising.
        situation: choices × unknown terms.
        answer: place of the true candidate, or −1 for the alternative.
        weight: of each choice.
    """

    terms: Floats
    owner: Ints
    situation: Floats
    answer: Ints
    weight: Floats


def examples(candidates: pl.DataFrame, rows: pl.DataFrame, absent: Sequence[str], truth: pl.DataFrame) -> Examples:
    """Choices out of candidates with their features.

    Args:
        candidates: of `considered`.
        rows: row, no_cluster.
        absent: inputs that are not there.
        truth: row, truth (the candidate's `key`), weight; a key of no candidate counts as the alternative.
    """
    possible = distinct(candidates, declared_score()).filter(~pl.col("opposed"))
    told = situations(distinct(candidates, declared_score()), rows, absent).join(truth, on="row").sort("row")
    numbered = told.select("row", "truth", "weight").with_row_index("choice")
    of_choice = possible.join(numbered, on="row").sort("choice", "kind", "candidate_id", "cause")
    matching = of_choice.with_row_index("place").filter(key() == pl.col("truth"))
    answer = numbered.join(matching.select("choice", "place"), on="choice", how="left").sort("choice")
    return Examples(
        terms=of_choice.select(**candidate_terms()).to_numpy().astype(np.float64),
        owner=of_choice["choice"].to_numpy().astype(np.int64),
        situation=told.select(**unknown_terms()).to_numpy().astype(np.float64),
        answer=answer["place"].cast(pl.Int64).fill_null(-1).to_numpy(),
        weight=told["weight"].to_numpy().astype(np.float64),
    )


def key() -> pl.Expr:
    """What a candidate is known by: its kind and its identity in its feed."""
    return pl.format("{}|{}", "kind", "candidate_id")


def together(parts: Sequence[Examples]) -> Examples:
    """Several sets of choices as one."""
    choices = np.cumsum([0, *(len(part.weight) for part in parts)])
    places = np.cumsum([0, *(len(part.owner) for part in parts)])
    return Examples(
        terms=np.concatenate([part.terms for part in parts]),
        owner=np.concatenate([part.owner + start for part, start in zip(parts, choices[:-1], strict=True)]),
        situation=np.concatenate([part.situation for part in parts]),
        answer=np.concatenate(
            [np.where(part.answer < 0, -1, part.answer + start) for part, start in zip(parts, places[:-1], strict=True)]
        ),
        weight=np.concatenate([part.weight for part in parts]),
    )


def fit(lessons: Examples) -> FittedChoice:
    """Fit coefficients by penalised maximum likelihood (L-BFGS-B), temperature 1.

    An absent input never makes the answer surer: its coefficient is not negative. Where the search stops depends on
    the order of additions, and so on the number of threads. From there the root of the slope is found, which the
    penalty makes unique, far closer than a coefficient is rounded; where that fails, the search's own end stands.
    """
    names, alternatives = list(candidate_terms()), list(unknown_terms())
    start = np.array([*(_declared()[name] for name in names), *(_ordinary(name) for name in alternatives)])
    free: list[tuple[float | None, float | None]] = [(None, None)] * len(names)
    bounds = free + [(0.0, None) if name.startswith("absent ") else (None, None) for name in alternatives]

    def loss(coefficients: Floats) -> tuple[float, Floats]:
        value, slope = _likelihood(lessons, coefficients[: len(names)], coefficients[len(names) :])
        away = coefficients - start
        return value + 0.5 * PULL * float(away @ away), slope + PULL * away

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 3_000, "ftol": 1e-13})
    inside = np.array([low is None or value > low for value, (low, _) in zip(found.x, bounds, strict=True)])

    def slope_inside(values: Floats) -> Floats:
        return loss(_replaced(found.x, inside, values))[1][inside]

    ends = (root(slope_inside, found.x[inside], tol=1e-13).x, found.x[inside])
    nearest = min(ends, key=lambda values: float(np.abs(slope_inside(values)).max(initial=0.0)))
    coefficients = np.round(_replaced(found.x, inside, nearest), DECIMALS) + 0.0
    return FittedChoice(
        candidate=dict(zip(names, coefficients[: len(names)].tolist(), strict=True)),
        unknown=dict(zip(alternatives, coefficients[len(names) :].tolist(), strict=True)),
        temperature=1.0,
    )


def _replaced(coefficients: Floats, which: npt.NDArray[np.bool_], values: Floats) -> Floats:
    replaced = coefficients.copy()
    replaced[which] = values
    return replaced


def temperature(choice: FittedChoice, held_out: Examples) -> float:
    """Find the temperature at which held-out answers are likeliest."""
    score = held_out.terms @ np.array(list(choice.candidate.values()))
    alternative = held_out.situation @ np.array(list(choice.unknown.values()))

    def loss(log_temperature: float) -> float:
        divided = np.exp(-log_temperature)
        return _loss(held_out, score * divided, alternative * divided)[0]

    best = minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(best.x)), DECIMALS)


def shares(choice: FittedChoice, asked: Examples) -> tuple[Floats, Floats]:
    """Probabilities of the candidates, and of the alternative per choice."""
    score = asked.terms @ np.array(list(choice.candidate.values())) / choice.temperature
    alternative = asked.situation @ np.array(list(choice.unknown.values())) / choice.temperature
    _, of_candidate, of_unknown = _loss(asked, score, alternative)
    return of_candidate, of_unknown


def _likelihood(lessons: Examples, candidate: Floats, unknown: Floats) -> tuple[float, Floats]:
    value, share, rest = _loss(lessons, lessons.terms @ candidate, lessons.situation @ unknown)
    named = lessons.answer >= 0
    chosen = np.zeros(len(share))
    chosen[lessons.answer[named]] = 1.0
    each = lessons.weight[lessons.owner]
    slope = lessons.terms.T @ ((share - chosen) * each)
    alternative = lessons.situation.T @ ((rest - ~named) * lessons.weight)
    return value, np.concatenate([slope, alternative])


def _loss(lessons: Examples, score: Floats, alternative: Floats) -> tuple[float, Floats, Floats]:
    """Weighted negative log likelihood, and the shares of candidates and alternatives."""
    highest = alternative.copy()
    np.maximum.at(highest, lessons.owner, score)
    odds = np.exp(score - highest[lessons.owner])
    rest = np.exp(alternative - highest)
    total = rest + np.bincount(lessons.owner, odds, minlength=len(rest))
    named = lessons.answer >= 0
    reached = np.where(named, score[np.maximum(lessons.answer, 0)] if len(score) else 0.0, alternative)
    value = float((lessons.weight * (highest + np.log(total) - reached)).sum())
    return value, odds / total[lessons.owner], rest / total


def _declared() -> dict[str, float]:
    """Express the declared weights in the learnt choice's terms: where learning starts, and is pulled towards."""
    found = dict.fromkeys(candidate_terms(), 0.0)
    dated = {name: weight for name, weight in WEIGHTS.items() if name != "evidence"}
    for name, weight in dated.items():
        found[name] = weight * SCALES[name][1] / TEMPERATURE
    ordinary = sum(weight * SCALES[name][0] for name, weight in dated.items())
    for kind in DATED.values():
        if kind.name != CALENDAR_KIND:
            found[f"kind {kind.name}"] = (kind.prior + ordinary - UNKNOWN_SCORE) / TEMPERATURE
    middle, unit = SCALES["evidence"]
    for kind in OBSERVED.values():
        agrees = WEIGHTS["sign"] + WEIGHTS["reach"] * SCALES["reach"][0]
        found[f"kind {kind.name}"] = (kind.prior + agrees + WEIGHTS["evidence"] * middle - UNKNOWN_SCORE) / TEMPERATURE
        found[f"evidence {kind.name}"] = WEIGHTS["evidence"] * unit / TEMPERATURE
    return found


def _ordinary(name: str) -> float:
    return ABSENCE if name.startswith("absent ") else 0.0


def is_right(choice: FittedChoice, asked: Examples) -> tuple[npt.NDArray[np.bool_], Floats, npt.NDArray[np.bool_]]:
    """Per choice: whether the likeliest answer is the true one, its probability, and whether it is the alternative."""
    of_candidate, of_unknown = shares(choice, asked)
    best = of_unknown.copy()
    np.maximum.at(best, asked.owner, of_candidate)
    unknown = of_unknown >= best
    leading = of_candidate >= best[asked.owner]
    place = np.full(len(best), -1)
    place[asked.owner[leading][::-1]] = np.flatnonzero(leading)[::-1]
    answer = np.where(unknown, -1, place)
    return answer == asked.answer, best, unknown
