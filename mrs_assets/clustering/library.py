"""The cluster library: entries with their scale and thresholds, the 2-D map, and where a vector lies among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from mrs_assets.clustering.features import NAMES, POINTS, Array, vectors
from mrs_assets.clustering.shapes import drawn_onto, made_up, variants
from mrs_assets.contracts.errors import MrsError

NOVEL = "novel"
"""Cluster of a report that is near no entry."""

FORMAT = "cluster-library-1"
WINDOWS_PER_VARIANT = 160
SEED = 20_170_101

OWN_SHARE = 0.95
"""A report is novel beyond the distance within which this share of an entry's own windows lie."""

NARROWNESS = 2.0
"""How much the narrower of two entries at the same distance is preferred: 2 is a Gaussian's normalisation."""

SMALLEST_RADIUS = 0.5
"""Radius of an entry whose own windows are all alike."""

FEWEST_VECTORS = 12
"""Vectors under which a sample is not cut."""

_AMPLITUDE = NAMES.index("log_amplitude")
_LARGEST_DEVIATION = 5.0
_SMALLEST_SCALE = 0.2
_WEIGHTS = dict.fromkeys(NAMES[:POINTS], 4.0 / POINTS) | {
    "log_amplitude": 1.0,
    "log_duration": 2.0,
    "slope": 1.0,
    "deviation": 0.5,
    "zero_share": 1.0,
    "level_before": 0.25,
    "level_after": 0.25,
    "distance_to_double": 1.0,
    "store_share": 1.5,
    "item_share": 1.5,
    "retailer_share": 1.0,
    "parity": 1.0,
}
"""Weight of each feature in the distance: the whole shape counts as four features."""


@dataclass(frozen=True)
class Sample:
    """Vectors of one variant of one family.

    Attributes:
        family, name: cluster id, and what people call it.
        vectors: windows × features.
    """

    family: str
    name: str
    vectors: Array


@dataclass(frozen=True)
class Library:
    """Everything that places a feature vector.

    Attributes:
        families: cluster ids, in order; names: their names.
        entries: entries × features: each variant's median vector.
        scale: entries × features: its robust spread.
        family_of: entry → place in `families`.
        radius: entry → distance beyond which a vector is not one of it.
        softness: distance² over which the match confidence falls by a factor e.
        unit, centre, axes: scale, origin and the two directions of the map.
    """

    families: tuple[str, ...]
    names: tuple[str, ...]
    entries: Array
    scale: Array
    family_of: NDArray[np.int64]
    radius: Array
    softness: float
    unit: Array
    centre: Array
    axes: Array

    @property
    def version(self) -> str:
        """Name by content."""
        return f"cluster-library-{hashlib.sha256(dump(self)).hexdigest()[:12]}"


class ForeignLibraryError(MrsError):
    """The bytes are not a cluster library of ours."""


@dataclass(frozen=True)
class Match:
    """Where vectors lie in the library; -1 as `family` is novel, and every value of an unknown vector is NaN."""

    family: NDArray[np.int64]
    similarity: Array
    confidence: Array
    layout: Array


@lru_cache(maxsize=1)
def build_library() -> Library:
    """Build the library that needs no lessons, from the formulas on made-up series: the same bytes on every call."""
    return library_of(
        [
            Sample(f.id, f.name, vectors(drawn_onto(made_up(WINDOWS_PER_VARIANT, SEED + n), f, d, p, r, SEED + n)))
            for n, (_, f, d, p, r) in enumerate(variants())
        ]
    )


def library_of(samples: Sequence[Sample]) -> Library:
    """Make a library out of samples.

    The first half of each sample is cut at its median amplitude: what is weak is noisier than what is strong. An entry
    is the median of such a part; its scale is 1.4826 × MAD; its radius holds OWN_SHARE of the part. The second halves
    set the softness at which the confidences are likeliest. The map is the PCA of the entries in the median scale, each
    axis signed so that its largest loading is positive.
    """
    families = tuple(dict.fromkeys(sample.family for sample in samples))
    names = {sample.family: sample.name for sample in samples}
    halves = [(len(sample.vectors) + 1) // 2 for sample in samples]
    parts = [
        (families.index(sample.family), part)
        for sample, half in zip(samples, halves, strict=True)
        for part in _cut(sample.vectors[:half])
    ]
    taught = [part for _, part in parts]
    family_of = np.array([place for place, _ in parts], dtype=np.int64)
    kept = [sample.vectors[half:] for sample, half in zip(samples, halves, strict=True)]
    entries = np.asarray(np.round(np.stack([_median(part) for part in taught]), 6), dtype=np.float64)
    spreads = [1.4826 * _median(np.abs(part - entry)) for part, entry in zip(taught, entries, strict=True)]
    scale = np.asarray(np.round(np.maximum(np.stack(spreads), _SMALLEST_SCALE), 6), dtype=np.float64)
    own = [_distances(part, entries[n : n + 1], scale[n : n + 1])[0][:, 0] for n, part in enumerate(taught)]
    unit = np.asarray(np.round(np.median(scale, axis=0), 6), dtype=np.float64)
    centre, axes = _map(entries / unit)
    library = Library(
        families=families,
        names=tuple(names[family] for family in families),
        entries=entries,
        scale=scale,
        family_of=family_of,
        radius=np.round(np.maximum(np.array([np.quantile(d, OWN_SHARE) for d in own]), SMALLEST_RADIUS), 6),
        softness=1.0,
        unit=unit,
        centre=centre,
        axes=axes,
    )
    truth = np.repeat([families.index(sample.family) for sample in samples], [len(part) for part in kept])
    return replace(library, softness=_softness(library, np.concatenate(kept), truth))


def _cut(sample: Array) -> list[Array]:
    amplitude = sample[:, _AMPLITUDE]
    weak = amplitude < np.nanmedian(amplitude)
    whole = min(weak.sum(), (~weak).sum()) < FEWEST_VECTORS
    return [sample] if whole else [sample[weak], sample[~weak]]


def match(library: Library, features: Array) -> Match:
    """Nearest entry of each vector.

    similarity = 0.5 ** ((distance / radius)²): 1 at the centroid, 0.5 where a report becomes novel.
    confidence = the nearest family's share of softmax(−distance² / softness) over each family's nearest entry, where
    the narrower of two entries counts as the nearer.
    """
    nearest, relative = _by_family(library, features)
    best = np.argmin(nearest, axis=1)
    rows = np.arange(len(features))
    ratio = relative[rows, best]
    known = np.isfinite(features[:, 0])
    scaled = features / library.unit
    deviation = np.where(np.isfinite(scaled), scaled - library.centre, 0.0)
    layout = np.zeros((len(features), 2))
    for feature in range(deviation.shape[1]):
        layout = layout + deviation[:, feature : feature + 1] * library.axes[:, feature]
    return Match(
        family=np.where(ratio > 1.0, -1, best),
        similarity=np.where(known, 0.5 ** (ratio**2), np.nan),
        confidence=np.where(known, _shares(nearest, library.softness)[rows, best], np.nan),
        layout=np.where(known[:, None], layout, np.nan),
    )


def spaced(library: Library, features: Array) -> Array:
    """Vectors in the map's unit and by the weight of their features; what is not known is as ordinary as can be."""
    scaled = features / library.unit
    ordinary = np.median(library.entries, axis=0) / library.unit
    return np.asarray(np.where(np.isfinite(scaled), scaled, ordinary) * np.sqrt([_WEIGHTS[n] for n in NAMES]))


def _by_family(library: Library, features: Array) -> tuple[Array, Array]:
    """Distance² to each family's nearest entry less its narrowness, and the smallest distance / radius."""
    distance, narrow = _distances(features, library.entries, library.scale)
    nearest = np.full((len(features), len(library.families)), np.inf)
    relative = np.full_like(nearest, np.inf)
    for entry, family in enumerate(library.family_of):
        nearest[:, family] = np.minimum(nearest[:, family], distance[:, entry] ** 2 + narrow[:, entry])
        relative[:, family] = np.minimum(relative[:, family], distance[:, entry] / library.radius[entry])
    return nearest, relative


def _shares(nearest: Array, softness: float) -> Array:
    weight = np.exp(-(nearest - np.min(nearest, axis=1, keepdims=True)) / softness)
    total = np.zeros(len(nearest))
    for family in range(weight.shape[1]):
        total = total + weight[:, family]
    return np.asarray(weight / total[:, None])


def _softness(library: Library, features: Array, truth: NDArray[np.int64]) -> float:
    nearest, _ = _by_family(library, features)
    rows = np.arange(len(features))

    def loss(log_softness: float) -> float:
        share = _shares(nearest, float(np.exp(log_softness)))[rows, truth]
        return float(-np.log(np.maximum(share, 1e-9)).sum())

    return round(float(np.exp(minimize_scalar(loss, bounds=(-4.0, 2.0), method="bounded").x)), 3)


def _median(sample: Array) -> Array:
    # A feature that no window of a variant has (the after of a lasting shift) stays at its neutral value.
    some = np.isfinite(sample).any(axis=0)
    return np.where(some, np.nanmedian(np.where(some, sample, 0.0), axis=0), 0.0)


def _distances(features: Array, entries: Array, scale: Array) -> tuple[Array, Array]:
    """Weighted root-mean-square distance over the known features, each deviation capped; and the narrowness term."""
    weights = np.array([_WEIGHTS[name] for name in NAMES])
    total = np.zeros((len(features), len(entries)))
    narrow = np.zeros_like(total)
    available = np.zeros((len(features), 1))
    for feature, weight in enumerate(weights):
        value = features[:, feature : feature + 1]
        known = np.isfinite(value)
        gap = np.abs(np.where(known, value, 0.0) - entries[None, :, feature]) / scale[None, :, feature]
        total = total + np.where(known, weight * np.minimum(gap, _LARGEST_DEVIATION) ** 2, 0.0)
        narrow = narrow + np.where(known, weight * np.log(scale[None, :, feature]), 0.0)
        available = available + weight * known
    available = np.maximum(available, 1e-9)
    return np.sqrt(total / available), NARROWNESS * narrow / available


def _map(entries: Array) -> tuple[Array, Array]:
    weights = np.sqrt([_WEIGHTS[n] for n in NAMES])
    centre = np.mean(entries, axis=0)
    _, _, directions = np.linalg.svd((entries - centre) * weights, full_matrices=False)
    axes = directions[:2] * weights
    largest = np.argmax(np.abs(np.round(axes, 6)), axis=1)
    signs = np.sign(axes[np.arange(2), largest])
    return np.round(np.asarray(centre), 6), np.round(axes * signs[:, None], 6) + 0.0


_ARRAYS = ("entries", "scale", "family_of", "radius", "unit", "centre", "axes")


def dump(library: Library) -> bytes:
    """Write a library as JSON: equal libraries give equal bytes."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "features": list(NAMES),
        "families": list(library.families),
        "names": list(library.names),
        "softness": library.softness,
        **{name: getattr(library, name).tolist() for name in _ARRAYS},
    }
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False).encode()


def load(artefact: bytes) -> Library:
    """Read what `dump` wrote.

    Raises:
        ForeignLibraryError: the bytes are something else, or of other features than this version's.
    """
    try:
        content = json.loads(artefact)
        if not isinstance(content, dict) or content.get("format") != FORMAT or content["features"] != list(NAMES):
            raise ForeignLibraryError(f"Not a cluster library of format {FORMAT} over this version's features.")
        return _checked(content)
    except (ValueError, KeyError, TypeError) as error:
        raise ForeignLibraryError(f"Not a cluster library: {error}.") from error


def _checked(content: Mapping[str, Any]) -> Library:
    families, names = tuple(map(str, content["families"])), tuple(map(str, content["names"]))
    arrays = {name: np.array(content[name], dtype=np.float64) for name in _ARRAYS}
    count, width = len(content["entries"]), len(NAMES)
    shapes = dict.fromkeys(("entries", "scale"), (count, width)) | dict.fromkeys(("family_of", "radius"), (count,))
    shapes |= {"unit": (width,), "centre": (width,), "axes": (2, width)}
    whole = count > 0 and len(names) == len(families) and all(arrays[n].shape == s for n, s in shapes.items())
    if not whole or not all(np.isfinite(array).all() for array in arrays.values()):
        raise ForeignLibraryError("A cluster library whose parts do not fit together.")
    family_of = arrays.pop("family_of").astype(np.int64)
    softness = float(content["softness"])
    positive = min(softness, *(float(arrays[name].min()) for name in ("scale", "radius", "unit"))) > 0
    if not positive or family_of.min() < 0 or family_of.max() >= len(families):
        raise ForeignLibraryError("A cluster library with a scale or a family that cannot be.")
    return Library(families=families, names=names, family_of=family_of, softness=softness, **arrays)
