"""Measures of drift, as pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BINS = 10
SMALLEST_SHARE = 1e-4
"""Share that an empty bin counts as, so that its logarithm exists."""


@dataclass(frozen=True)
class Distribution:
    """How values were distributed.

    Attributes:
        edges: upper ends of all bins but the last, rising; a value on an edge is below it.
        shares: share of the values in each bin; the last one is that of values that are not there.
        rows: number of values, those that are not there included.
    """

    edges: tuple[float, ...]
    shares: tuple[float, ...]
    rows: int


def distribution(values: Floats) -> Distribution:
    """Deciles of values, NaN where one is not there; equal deciles make one bin."""
    known = values[~np.isnan(values)]
    inner = np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf") if len(known) else np.empty(0)
    edges = tuple(float(edge) for edge in np.unique(inner.round(6)))
    return Distribution(edges, shares_in(edges, values), len(values))


def shares_in(edges: Sequence[float], values: Floats) -> tuple[float, ...]:
    """Share of values in each bin between edges, and of those that are not there as the last."""
    known = values[~np.isnan(values)].round(6)
    counts = np.bincount(np.searchsorted(np.asarray(edges), known, side="left"), minlength=len(edges) + 1)
    total = max(len(values), 1)
    return (*(round(float(count) / total, 6) for count in counts), round((len(values) - len(known)) / total, 6))


def population_stability_index(reference: Distribution, values: Floats) -> float:
    """Population stability index of values against their reference: 0 where the shares are the same.

    Σ (p − q) ln(p / q) over the bins, p now and q then: the symmetric Kullback-Leibler divergence (Jeffreys 1946; as
    an index with its rule of thumb in Siddiqi 2006, Credit Risk Scorecards: under .10 stable, over .25 shifted).
    """
    now = np.maximum(shares_in(reference.edges, values), SMALLEST_SHARE)
    then = np.maximum(reference.shares, SMALLEST_SHARE)
    return float(np.sum((now - then) * np.log(now / then)))


def standardised(actual: Floats, expected: Floats, variance: Floats) -> Floats:
    """Residuals in standard deviations: (actual − expected) / sd; NaN where one is not known or nothing varies."""
    spread = np.sqrt(np.where(variance > 0, variance, np.nan))
    return (actual - expected) / spread


def share_outside(actual: Floats, lower: Floats, upper: Floats) -> float:
    """Share of values outside of their interval, of those that have one; NaN where none has."""
    known = ~(np.isnan(actual) | np.isnan(lower) | np.isnan(upper))
    if not known.any():
        return float("nan")
    return float(np.mean((actual[known] < lower[known]) | (actual[known] > upper[known])))
