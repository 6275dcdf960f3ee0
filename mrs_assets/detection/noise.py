"""How far sales may lie from their expectation by chance: variance, signed root deviance, interval."""

from __future__ import annotations

import numpy as np

from mrs_assets.detection.axis import Floats

RELATIVE_BASELINE_ERROR = 0.10
"""Standard error of the expectation itself, as a share of it; docs/explanation/detection.md."""

PRIOR_DISPERSION = 1.5
"""Quasi-Poisson dispersion of a series that nothing is known about: the median of grocery categories."""

PRIOR_UNITS = 20.0
"""Weight of the prior dispersion, in expected units."""

EIGHTY_PERCENT = 1.2816
"""Standard normal quantile that leaves 10 % on either side."""

SMALLEST_EXPECTATION = 1e-6
_NEVER = 1e-300


def variance(expected: Floats, spread: Floats) -> Floats:
    """Variance of a window's units around its expectation.

    Args:
        expected: expected units of the window.
        spread: sum of dispersion × expected units over the window's ticks.
    """
    error = RELATIVE_BASELINE_ERROR * expected
    return spread + error * error


def signed_root_deviance(actual: Floats, expected: Floats, spread: Floats) -> Floats:
    """Count the standard deviations by which a window's units differ from its expectation; positive: more was sold.

    The signed root of the Poisson deviance 2 (Y log(Y/E) − (Y − E)), scaled by the window's variance over its
    expectation (quasi-Poisson, McCullagh and Nelder 1989, ch. 9). 0 where nothing was expected or known.
    """
    anything = expected > 0
    expected = np.maximum(expected, SMALLEST_EXPECTATION)
    excess = np.where(anything, actual - expected, 0.0)
    log_ratio = np.log(np.maximum(actual, _NEVER) / expected)
    deviance = 2.0 * (np.where(anything & (actual > 0), actual * log_ratio, 0.0) - excess)
    scaled = np.maximum(deviance, 0.0) * expected / np.maximum(variance(expected, spread), SMALLEST_EXPECTATION)
    return np.copysign(np.sqrt(scaled), excess)


def interval(expected: Floats, dispersion: Floats, scale: Floats | float) -> tuple[Floats, Floats]:
    """80 % interval of one tick's units: lower (never negative) and upper end.

    Args:
        expected: expected units.
        dispersion: variance per unit of expectation.
        scale: standard deviations on either side.
    """
    half = scale * np.sqrt(variance(expected, dispersion * expected))
    return np.maximum(expected - half, 0.0), expected + half
