"""The trained baseline as it is applied, and its bytes."""

from __future__ import annotations

import io
import pickle
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mrs_assets.contracts.errors import MrsError
from mrs_assets.detection.axis import Floats
from mrs_assets.detection.features import FEATURES

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


class ForeignArtefactError(MrsError):
    """The bytes are not a baseline of ours, or name something that a baseline does not consist of."""


_PARTS = {
    ("mrs_assets.detection.artefact", "TrainedBaseline"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.numeric", "_frombuffer"),
    ("sklearn._loss._loss", "CyHalfPoissonLoss"),
    ("sklearn._loss.link", "Interval"),
    ("sklearn._loss.link", "LogLink"),
    ("sklearn._loss.loss", "HalfPoissonLoss"),
    ("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"),
    ("sklearn.ensemble._hist_gradient_boosting.gradient_boosting", "HistGradientBoostingRegressor"),
    ("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _PARTS:
            raise ForeignArtefactError(f"A baseline artefact does not hold {module}.{name}.")
        return super().find_class(module, name)


def dump(artefact: TrainedBaseline) -> bytes:
    """Turn an artefact into bytes: equal models give equal bytes, on any number of processors.

    What only fitting used (thread count, random generator) is left out, and no object is shared by reference.
    """
    regressor = copy(artefact.regressor)
    regressor._bin_mapper = copy(regressor._bin_mapper)
    regressor._bin_mapper.n_threads = None
    regressor._feature_subsample_rng = None
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=5)
    pickler.fast = True
    pickler.dump(replace(artefact, regressor=regressor))
    return buffer.getvalue()


def load(artefact: bytes) -> TrainedBaseline:
    """Read what `dump` wrote. Only the classes that a baseline consists of are ever created.

    Raises:
        ForeignArtefactError: the bytes are something else.
    """
    try:
        loaded = _Reader(io.BytesIO(artefact)).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise ForeignArtefactError(f"Not a baseline artefact: {error}.") from error
    if not isinstance(loaded, TrainedBaseline) or not set(loaded.features) <= set(FEATURES):
        raise ForeignArtefactError("Not a baseline artefact that this version can apply.")
    return loaded
