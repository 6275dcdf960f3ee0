"""The trained baseline as it is applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mrs_assets.detection.axis import Floats
from mrs_assets.detection.features import FEATURES
from mrs_assets.detection.trusted_pickle import (
    BOOSTED_TREES,
    read_trusted,
    without_fitting,
    write_trusted,
)

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

STRATA = (0.5, 2.0, 8.0, 32.0)
"""Expected units per tick at which the volume strata of the interval meet."""

FACTOR_LIMITS = (0.2, 5.0)
"""How far the model may move the seasonal expectation."""


@dataclass(frozen=True)
class TrainedBaseline:
    """A model of the ratio between what sold and the seasonal expectation.

    Attributes:
        regressor: gradient boosting with Poisson loss.
        features: those of `FEATURES` that it looks at: the ones that told ticks apart at training.
        scales: standard deviations on either side that hold 80 %, one per volume stratum.
    """

    regressor: HistGradientBoostingRegressor
    features: tuple[str, ...]
    scales: tuple[float, ...] = ()

    def factor(self, features: Floats) -> Floats:
        """Ratio to the seasonal expectation, one per row of the feature matrix."""
        chosen = [FEATURES.index(name) for name in self.features]
        return np.clip(self.regressor.predict(features[:, chosen]), *FACTOR_LIMITS)

    def scale(self, expected: Floats) -> Floats:
        """Half-width of the 80 % interval in standard deviations, by expected units."""
        return np.asarray(self.scales)[np.searchsorted(STRATA, expected)]


_PARTS = BOOSTED_TREES | {
    ("mrs_assets.detection.artefact", "TrainedBaseline"),
    ("sklearn._loss._loss", "CyHalfPoissonLoss"),
    ("sklearn._loss.link", "LogLink"),
    ("sklearn._loss.loss", "HalfPoissonLoss"),
    ("sklearn.ensemble._hist_gradient_boosting.gradient_boosting", "HistGradientBoostingRegressor"),
}


def dump(artefact: TrainedBaseline) -> bytes:
    """Turn an artefact into bytes: equal models give equal bytes, on any number of processors."""
    return write_trusted(replace(artefact, regressor=without_fitting(artefact.regressor)))


def load(artefact: bytes) -> TrainedBaseline:
    """Read what `dump` wrote. Only the classes that a baseline consists of are ever created.

    Raises:
        ForeignArtefactError: the bytes are something else.
    """
    return read_trusted(artefact, _PARTS, TrainedBaseline, FEATURES)
