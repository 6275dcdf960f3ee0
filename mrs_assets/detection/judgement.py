"""The trained classifier as it is applied: how probable, how extreme and how trustworthy a window is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mrs_assets.detection.axis import Floats
from mrs_assets.detection.trusted_pickle import (
    BOOSTED_TREES,
    read_trusted,
    without_fitting,
    write_trusted,
)
from mrs_assets.detection.window_features import WINDOW_FEATURES, Features

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier

DECIMALS = 4
"""Decimals of raw scores, here and in the tables."""


@dataclass(frozen=True)
class Judgement:
    """What is said of windows, one value each.

    Attributes:
        probability: that the window is an anomaly.
        p_value: chance that a quiet stretch ever scores as high.
        q_value: smallest false-discovery rate at which the window is reported.
    """

    probability: Floats
    p_value: Floats
    q_value: Floats


@dataclass(frozen=True)
class Levels:
    """Scores, rising, and the false-discovery rate of reporting everything from each of them on, falling."""

    scores: tuple[float, ...]
    rates: tuple[float, ...]

    def rate(self, score: Floats) -> Floats:
        """Smallest false-discovery rate at which windows of given scores are reported; 1 where at none."""
        return np.concatenate([[1.0], self.rates])[np.searchsorted(self.scores, score, side="right")]


@dataclass(frozen=True)
class TrainedClassifier:
    """A model of which windows are anomalies, with the tables that were fixed when it was calibrated.

    Attributes:
        members: gradient boosting, each taught with other stores; the raw score is the mean of their log odds.
        features: those of `WINDOW_FEATURES` that they look at.
        habits: product → what its series do when nothing happens, in the order of `ITEM_FEATURES`.
        slope: of the calibrated log odds over the raw score.
        intercept: of the calibrated log odds.
        null_scores: highest raw scores of quiet stretches, rising.
        known: levels of the raw score.
        unknown: levels of `surprise`, for anomalies of a kind that was never shown.
    """

    members: tuple[HistGradientBoostingClassifier, ...]
    features: tuple[str, ...]
    habits: Mapping[str, tuple[float, ...]]
    slope: float
    intercept: float
    null_scores: tuple[float, ...]
    known: Levels
    unknown: Levels

    def score(self, features: Features) -> Floats:
        """Raw score, one per row of the feature matrix."""
        if not len(features):
            return np.zeros(0)
        chosen = features[:, [WINDOW_FEATURES.index(name) for name in self.features]]
        total = np.zeros(len(features))
        for member in self.members:
            total += member.decision_function(chosen)
        return np.round(total / len(self.members), DECIMALS)

    def judge(self, features: Features) -> Judgement:
        """What the tables say of windows."""
        raw = self.score(features)
        quiet = np.asarray(self.null_scores)
        as_high = (len(quiet) - np.searchsorted(quiet, raw, side="left")).astype(np.float64)
        return Judgement(
            probability=probability(raw, self.slope, self.intercept),
            p_value=(1.0 + as_high) / (1.0 + len(quiet)),
            q_value=np.minimum(self.known.rate(raw), self.unknown.rate(surprise(features))),
        )


def probability(raw: Floats, slope: float, intercept: float) -> Floats:
    """Calibrated probability of raw scores (Platt 1999)."""
    return np.asarray(1.0 / (1.0 + np.exp(-(slope * raw + intercept))))


def surprise(features: Features) -> Floats:
    """How far a window stands out of what its own series does otherwise, whatever its shape.

    The score of the scan over the highest score of a single tick of the same direction before the window.
    """
    score, highest = (features[:, WINDOW_FEATURES.index(name)] for name in ("scan_z", "noise_highest_in_direction"))
    return np.round(score.astype(np.float64) / np.maximum(highest.astype(np.float64), 2.0), DECIMALS)


_PARTS = BOOSTED_TREES | {
    ("mrs_assets.detection.judgement", "Levels"),
    ("mrs_assets.detection.judgement", "TrainedClassifier"),
    ("sklearn._loss._loss", "CyHalfBinomialLoss"),
    ("sklearn._loss.link", "LogitLink"),
    ("sklearn._loss.loss", "HalfBinomialLoss"),
    ("sklearn.ensemble._hist_gradient_boosting.gradient_boosting", "HistGradientBoostingClassifier"),
    ("sklearn.preprocessing._label", "LabelEncoder"),
}


def dump_classifier(artefact: TrainedClassifier) -> bytes:
    """Turn an artefact into bytes: equal models give equal bytes."""
    return write_trusted(replace(artefact, members=tuple(without_fitting(member) for member in artefact.members)))


def load_classifier(artefact: bytes) -> TrainedClassifier:
    """Read what `dump_classifier` wrote. Only the classes that a classifier consists of are ever created.

    Raises:
        ForeignArtefactError: the bytes are something else.
    """
    return read_trusted(artefact, _PARTS, TrainedClassifier, WINDOW_FEATURES)
