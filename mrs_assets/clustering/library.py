"""The cluster library: centroids, scale, thresholds and the 2-D map, built from the parametric shapes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mrs_assets.clustering.features import NAMES, POINTS, Array, vectors
from mrs_assets.clustering.shapes import FAMILIES, simulate

NOVEL = "novel"
"""Cluster of a report that is near no entry."""

WINDOWS_PER_VARIANT = 48
SEED = 20_170_101

NOVEL_MARGIN = 1.3
"""A report is novel beyond this many times the distance within which 99 % of an entry's own windows lie."""

SOFTNESS = 0.35
"""Squared scaled distance over which the match confidence falls by a factor e."""

_LARGEST_DEVIATION = 5.0
_SMALLEST_SCALE = 0.1
_SMALLEST_SCALES = {"level_before": 0.15, "store_share": 0.15, "item_share": 0.15, "retailer_share": 0.15}
_WEIGHTS = dict.fromkeys(NAMES[:POINTS], 4.0 / POINTS) | {
    "log_amplitude": 1.0,
    "log_duration": 1.0,
    "slope": 1.0,
    "deviation": 0.5,
    "zero_share": 1.0,
    "level_before": 0.25,
    "level_after": 0.25,
    "distance_to_double": 1.0,
    "store_share": 1.5,
    "item_share": 1.5,
    "retailer_share": 1.0,
}
"""Weight of each feature in the distance: the whole shape counts as four features."""


@dataclass(frozen=True)
class Library:
    """Everything that places a feature vector.

    Attributes:
        families: cluster ids, in order; names: their names.
        entries: entries × features: each variant's median vector, in units of `scale`.
        family_of: entry → place in `families`.
        radius: entry → distance beyond which a vector is not one of it.
        scale: robust spread of each feature inside the variants.
        centre, axes: the origin and the two principal directions of the map.
        version: hash of all of the above.
    """

    families: tuple[str, ...]
    names: tuple[str, ...]
    entries: Array
    family_of: NDArray[np.int64]
    radius: Array
    scale: Array
    centre: Array
    axes: Array
    version: str


@dataclass(frozen=True)
class Match:
    """Where vectors lie in the library; -1 as `family` is novel, and every value of an unknown vector is NaN."""

    family: NDArray[np.int64]
    similarity: Array
    confidence: Array
    layout: Array


@lru_cache(maxsize=1)
def build_library() -> Library:
    """Build the library: the same bytes on every call, in about 0.1 s.

    Each variant's centroid is the median of 48 simulated windows; the scale is the median over variants of
    1.4826 × MAD; the map is the PCA of the centroids, each axis signed so that its largest loading is positive.
    """
    samples: list[Array] = []
    family_of: list[int] = []
    for place, family in enumerate(FAMILIES):
        for duration in family.durations:
            for peak in family.peaks:
                for reach in family.reach:
                    windows = simulate(
                        family, duration, peak, reach=reach, count=WINDOWS_PER_VARIANT, seed=SEED + len(samples)
                    )
                    samples.append(vectors(windows))
                    family_of.append(place)
    medians = np.stack([_median(sample) for sample in samples])
    spreads = np.stack([1.4826 * _median(np.abs(s - m)) for s, m in zip(samples, medians, strict=True)])
    floor = np.array([_SMALLEST_SCALES.get(name, _SMALLEST_SCALE) for name in NAMES])
    scale = np.round(np.maximum(np.median(spreads, axis=0), floor), 6)
    entries = np.round(medians / scale, 6)
    own = [_distances(s / scale, e[None, :])[:, 0] for s, e in zip(samples, entries, strict=True)]
    radius = np.round(NOVEL_MARGIN * np.array([np.quantile(d, 0.99) for d in own]), 6)
    centre, axes = _map(entries)
    parts = (entries, np.array(family_of), radius, scale, centre, axes, np.array([f.id for f in FAMILIES]))
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()
    return Library(
        families=tuple(f.id for f in FAMILIES),
        names=tuple(f.name for f in FAMILIES),
        entries=entries,
        family_of=np.array(family_of),
        radius=radius,
        scale=scale,
        centre=centre,
        axes=axes,
        version=f"cluster-library-{digest[:12]}",
    )


def match(library: Library, features: Array) -> Match:
    """Nearest entry of each vector.

    similarity = 0.5 ** ((distance / radius)²): 1 at the centroid, 0.5 where a report becomes novel.
    confidence = the nearest family's share of softmax(−distance² / SOFTNESS) over each family's nearest entry.
    """
    scaled = features / library.scale
    distance = _distances(scaled, library.entries)
    nearest = np.full((len(features), len(library.families)), np.inf)
    relative = np.full_like(nearest, np.inf)
    for entry, family in enumerate(library.family_of):
        nearest[:, family] = np.minimum(nearest[:, family], distance[:, entry])
        relative[:, family] = np.minimum(relative[:, family], distance[:, entry] / library.radius[entry])
    best = np.argmin(nearest, axis=1)
    rows = np.arange(len(features))
    ratio = relative[rows, best]
    weight = np.exp(-(nearest**2 - nearest[rows, best][:, None] ** 2) / SOFTNESS)
    total = np.zeros(len(features))
    for family in range(weight.shape[1]):
        total = total + weight[:, family]
    deviation = np.where(np.isfinite(scaled), scaled - library.centre, 0.0)
    layout = np.zeros((len(features), 2))
    for feature in range(deviation.shape[1]):
        layout = layout + deviation[:, feature : feature + 1] * library.axes[:, feature]
    known = np.isfinite(features[:, 0])
    return Match(
        family=np.where(ratio > 1.0, -1, best),
        similarity=np.where(known, 0.5 ** (ratio**2), np.nan),
        confidence=np.where(known, 1.0 / total, np.nan),
        layout=np.where(known[:, None], layout, np.nan),
    )


def _median(sample: Array) -> Array:
    # A feature that no window of a variant has (the after of a lasting shift) stays at its neutral value.
    some = np.isfinite(sample).any(axis=0)
    return np.where(some, np.nanmedian(np.where(some, sample, 0.0), axis=0), 0.0)


def _distances(scaled: Array, entries: Array) -> Array:
    """Weighted root-mean-square distance over the known features, each deviation capped."""
    weights = np.array([_WEIGHTS[name] for name in NAMES])
    total = np.zeros((len(scaled), len(entries)))
    available = np.zeros((len(scaled), 1))
    for feature, weight in enumerate(weights):
        value = scaled[:, feature : feature + 1]
        known = np.isfinite(value)
        gap = np.minimum(np.abs(np.where(known, value, 0.0) - entries[None, :, feature]), _LARGEST_DEVIATION)
        total = total + np.where(known, weight * gap**2, 0.0)
        available = available + weight * known
    return np.sqrt(total / np.maximum(available, 1e-9))


def _map(entries: Array) -> tuple[Array, Array]:
    centre = np.mean(entries, axis=0)
    _, _, directions = np.linalg.svd((entries - centre) * np.sqrt([_WEIGHTS[n] for n in NAMES]), full_matrices=False)
    axes = directions[:2] * np.sqrt([_WEIGHTS[n] for n in NAMES])
    largest = np.argmax(np.abs(np.round(axes, 6)), axis=1)
    signs = np.sign(axes[np.arange(2), largest])
    return np.round(np.asarray(centre), 6), np.round(axes * signs[:, None], 6) + 0.0
