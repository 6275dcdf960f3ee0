"""Bytes of trained models: alike for equal models, and read by a reader that creates named classes and nothing else."""

from __future__ import annotations

import io
import pickle
from collections.abc import Collection
from copy import copy
from typing import Any, Protocol, TypeVar

from mrs_assets.contracts.errors import MrsError

Parts = frozenset[tuple[str, str]]
"""Module and name of the classes that an artefact may consist of."""

BOOSTED_TREES: Parts = frozenset(
    {
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("numpy._core.numeric", "_frombuffer"),
        ("sklearn._loss.link", "Interval"),
        ("sklearn.ensemble._hist_gradient_boosting.binning", "_BinMapper"),
        ("sklearn.ensemble._hist_gradient_boosting.predictor", "TreePredictor"),
    }
)
"""What gradient boosting consists of, whatever its loss."""


class ForeignArtefactError(MrsError):
    """The bytes are not a model of ours, or name something that such a model does not consist of."""


def without_fitting(model: Any) -> Any:
    """Leave out of gradient boosting what only fitting used: thread count, random generator."""
    lean = copy(model)
    lean._bin_mapper = copy(model._bin_mapper)
    lean._bin_mapper.n_threads = None
    lean._feature_subsample_rng = None
    return lean


def write_trusted(model: object) -> bytes:
    """Turn a model into bytes; no object is shared by reference, so that equal models give equal bytes."""
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=5)
    pickler.fast = True
    pickler.dump(model)
    return buffer.getvalue()


class _Reader(pickle.Unpickler):
    def __init__(self, artefact: bytes, parts: Parts) -> None:
        super().__init__(io.BytesIO(artefact))
        self._parts = parts

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._parts:
            raise ForeignArtefactError(f"The artefact may not hold {module}.{name}.")
        return super().find_class(module, name)


class Applied(Protocol):
    """A model that names the features it looks at."""

    @property
    def features(self) -> tuple[str, ...]:
        """Their names."""


M = TypeVar("M", bound=Applied)


def read_trusted(artefact: bytes, parts: Parts, kind: type[M], known: Collection[str]) -> M:
    """Read what `write_trusted` wrote; classes other than the parts are never created.

    Args:
        artefact: the bytes.
        parts: what the model may consist of.
        kind: what it is.
        known: features that this version can give it.

    Raises:
        ForeignArtefactError: the bytes are something else.
    """
    try:
        loaded = _Reader(artefact, parts).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ImportError, IndexError, TypeError, ValueError) as error:
        raise ForeignArtefactError(f"Not an artefact: {error}.") from error
    if not isinstance(loaded, kind) or not set(loaded.features) <= set(known):
        raise ForeignArtefactError(f"Not a {kind.__name__} that this version can apply.")
    return loaded
