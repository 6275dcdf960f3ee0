"""Clusters: whether shapes on real series find their family, keep it under noise, and are novel when unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure
from sklearn.ensemble import HistGradientBoostingClassifier

from evaluation import asked_causes as asked
from evaluation.journey import NAME
from evaluation.section import Section, Target
from mrs_assets.clustering.backgrounds import QuietTimes, reportable
from mrs_assets.clustering.features import Array, vectors
from mrs_assets.clustering.library import NOVEL, Library, Sample, build_library, library_of, match
from mrs_assets.clustering.shapes import drawn_onto, made_up, variants
from mrs_assets.clustering.teaching import DRAWN, drawn_samples
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Inputs
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.rehearsal.ground import stored
from mrs_assets.rehearsal.reliability import expected_calibration_error, reliability

TAUGHT_SEED = 20_170_101
JITTER_SHARE = 0.1
"""Log-normal deviation with which the expectation of every tick is shaken for the stability."""

FEWEST_WINDOWS = 20
"""Windows of a family that detection would report, under which its share is left out of the means."""

LIBRARIES = 5
"""Libraries taught from other windows, for the stability."""


def measure(seed: int, *, quick: bool = False) -> Sequence[Section]:
    """Teach a library on half of the stores, and ask it about shapes drawn onto the other half."""
    drawn = 150 if quick else DRAWN
    taught = drawn_samples(QuietTimes(*_logs(asked.TAUGHT)), TAUGHT_SEED)
    library = library_of(taught)
    windows = _Windows(seed, drawn)
    found = match(library, windows.vectors)
    built_in = match(build_library(), windows.vectors)
    right = found.family == windows.family
    again = match(library, windows.shaken(seed))
    others = [library_of(_redrawn(taught, seed + n)) for n in range(1 if quick else LIBRARIES)]
    same_elsewhere = np.mean([match(other, windows.vectors).family == found.family for other in others], axis=0)
    stable = _by_family(windows, again.family == found.family)
    held_out = _held_out(taught, windows)
    accuracy, share = _by_family(windows, right), _mean
    known = right | (found.family >= 0)
    confidence = expected_calibration_error(found.confidence[known], right[known], np.ones(int(known.sum())))
    return [
        Section(
            title="Clusters",
            text=_text(windows, library, seed),
            targets=(
                Target(
                    "families found on made-up series of 3 to 300 units, as it was first measured",
                    _made_up(seed), 0.90, 0.95,
                ),
                Target(
                    "families found on real series, mean over families", share(accuracy), 0.90, 0.95,
                    interval=_interval(accuracy, seed),
                    remark="counts of a few units a day do not tell more: see what gradient boosting makes of them",
                ),
                Target(
                    "stability: same family when every expectation is shaken by a tenth", share(stable), 0.95, 0.98,
                    interval=_interval(stable, seed),
                ),
                Target(
                    "stability: same family in libraries taught from other windows",
                    share(_by_family(windows, same_elsewhere)), 0.95, 0.98,
                ),
                Target("calibration error of the match confidence", confidence, 0.05, 0.02, lower_is_better=True),
            ),
            tables={
                "By family": _table(library, windows, found.family, built_in.family, again.family, held_out),
                "Confusion: share of a family's windows that go elsewhere": _confusion(library, windows, found.family),
                "Reliability of the match confidence": reliability(
                    found.confidence[known], right[known], np.ones(int(known.sum()))
                ).with_columns(pl.col(pl.Float64).round(3)),
                "What the same vectors tell gradient boosting (a ceiling, without novelty)": _ceiling(taught, windows),
                "Similarity: share of members at least as similar": _similarity(found.similarity[right]),
            },
            pictures={"Map of the library": _picture(library)},
        )
    ]  # fmt: skip


class _Windows:
    """Shapes drawn onto quiet times of the asked stores, as far as detection would report them."""

    def __init__(self, seed: int, drawn: int) -> None:
        quiet = QuietTimes(*_logs(asked.ASKED))
        self._parts = []
        families, stores = [], []
        for n, (place, family, duration, peak, reach) in enumerate(variants()):
            windows = drawn_onto(quiet.drawn(drawn, seed + n), family, duration, peak, reach, seed + n)
            kept = reportable(windows)
            self._parts.append((windows, kept))
            families += [place] * int(kept.sum())
            stores.append(vectors(windows)[kept])
        self.family = np.array(families)
        self.vectors: Array = np.concatenate(stores)

    def shaken(self, seed: int) -> Array:
        """Vectors of the same windows with every tick's expectation shaken: what was sold is not in doubt."""
        rng = np.random.default_rng(seed)
        return np.concatenate(
            [
                vectors(replace(w, expected=w.expected * rng.lognormal(0, JITTER_SHARE, w.expected.shape)))[kept]
                for w, kept in self._parts
            ]
        )


@cache
def _logs(which: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Series and baseline of half of the stores; the baseline is the seasonal one, which needs no training."""
    series = asked.half(which)
    days = series["business_day"]
    scope = Scope(days.min(), days.max(), NAME)  # type: ignore[arg-type]
    frames = {"series": series, "promotions": BASELINE_STAGE.wants["promotions"].log.contract.empty(stored=True)}  # type: ignore[union-attr]
    rows = BASELINE_STAGE.compute(Inputs(scope, asked.SETTINGS, frames, unconfigured=frozenset({"promotions"})))
    return series, stored(BASELINE, rows[BASELINE.name])


def _made_up(seed: int) -> float:
    """Accuracy of the built-in library on unseen windows of made-up series, all of them, mean over families."""
    right: dict[int, list[float]] = {}
    for n, (place, family, duration, peak, reach) in enumerate(variants()):
        measured = vectors(drawn_onto(made_up(200, seed + n), family, duration, peak, reach, seed + n))
        right.setdefault(place, []).extend(match(build_library(), measured).family == place)
    return round(float(np.mean([np.mean(shares) for shares in right.values()])), 4)


def _redrawn(samples: Sequence[Sample], seed: int) -> list[Sample]:
    rng = np.random.default_rng(seed)
    return [replace(s, vectors=s.vectors[rng.integers(len(s.vectors), size=len(s.vectors))]) for s in samples]


def _held_out(taught: Sequence[Sample], windows: _Windows) -> dict[str, float | None]:
    """Per family: share called novel by a library that does not know it."""
    found = {}
    for place, family in enumerate(dict.fromkeys(s.family for s in taught)):
        library = library_of([sample for sample in taught if sample.family != family])
        called = match(library, windows.vectors[windows.family == place]).family
        found[family] = _share(called == -1)
    return found


def _by_family(windows: _Windows, value: npt.NDArray[np.generic]) -> list[npt.NDArray[np.float64]]:
    counts = np.bincount(windows.family)
    return [value[windows.family == n].astype(np.float64) for n in np.flatnonzero(counts >= FEWEST_WINDOWS)]


def _mean(parts: Sequence[npt.NDArray[np.float64]]) -> float:
    return round(float(np.mean([part.mean() for part in parts])), 4)


def _interval(parts: Sequence[npt.NDArray[np.float64]], seed: int) -> tuple[float, float]:
    """95 % bootstrap interval: windows are drawn within their family."""
    rng = np.random.default_rng(seed)
    draws = [np.mean([part[rng.integers(len(part), size=len(part))].mean() for part in parts]) for _ in range(200)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return round(float(low), 4), round(float(high), 4)


def _share(value: npt.NDArray[np.bool_]) -> float | None:
    return round(float(np.mean(value)), 3) if len(value) else None


def _table(
    library: Library,
    windows: _Windows,
    found: npt.NDArray[np.int64],
    built_in: npt.NDArray[np.int64],
    again: npt.NDArray[np.int64],
    held_out: dict[str, float | None],
) -> pl.DataFrame:
    rows = []
    for place, (family, name) in enumerate(zip(library.families, library.names, strict=True)):
        mine = windows.family == place
        rows.append(
            {
                "family": name,
                "windows": int(mine.sum()),
                "found": _share(found[mine] == place),
                "found by the built-in library": _share(built_in[mine] == place),
                "called novel": _share(found[mine] == -1),
                "same when shaken": _share(again[mine] == found[mine]),
                "novel to a library without it": held_out[family],
            }
        )
    return pl.DataFrame(rows)


def _confusion(library: Library, windows: _Windows, found: npt.NDArray[np.int64]) -> pl.DataFrame:
    rows = []
    for place, name in enumerate(library.names):
        mine = found[windows.family == place]
        for other in np.unique(mine):
            share = float(np.mean(mine == other))
            if other != place and share >= 0.02:
                rows.append(
                    {
                        "family": name,
                        "taken for": NOVEL if other < 0 else library.names[other],
                        "share": round(share, 3),
                    }
                )
    frame = pl.DataFrame(rows, schema={"family": pl.String, "taken for": pl.String, "share": pl.Float64})
    return frame.sort("share", "family", "taken for", descending=[True, False, False])


def _ceiling(taught: Sequence[Sample], windows: _Windows) -> pl.DataFrame:
    """Accuracy of a classifier that may draw any boundary, on the same lessons and windows."""
    families = list(dict.fromkeys(sample.family for sample in taught))
    lessons = np.concatenate([sample.vectors for sample in taught])
    label = np.repeat([families.index(s.family) for s in taught], [len(s.vectors) for s in taught])
    boosting = HistGradientBoostingClassifier(max_iter=100, random_state=0).fit(lessons, label)
    found = boosting.predict(windows.vectors)
    return pl.DataFrame({"accuracy, mean over families": [_mean(_by_family(windows, found == windows.family))]})


def _similarity(similarity: Array) -> pl.DataFrame:
    edges = (0.5, 0.6, 0.7, 0.8, 0.9)
    return pl.DataFrame({"similarity": edges, "share": [round(float(np.mean(similarity >= e)), 3) for e in edges]})


def _picture(library: Library) -> Figure:
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    place = match(library, library.entries).layout
    for family, name in enumerate(library.names):
        mine = library.family_of == family
        axes.scatter(
            place[mine, 0], place[mine, 1], label=name, s=24, color=f"C{family % 10}", marker="o^"[family // 10]
        )
    axes.set(xlabel="layout_x", ylabel="layout_y")
    axes.legend(fontsize=6, ncols=2)
    axes.grid(alpha=0.3)
    return figure


def _text(windows: _Windows, library: Library, seed: int) -> str:
    return f"""\
The library is taught with shapes drawn onto quiet times of half of the stores (store × product category of Complete
Journey) and asked about shapes drawn onto the other half: {len(windows.family)} windows of {len(library.families)}
families that detection would report (4 standard deviations or more), seed {seed}. What is added is Poisson, what is
taken away leaves by chance, and the noise beneath is that of the real series, seen through the seasonal expectation.
The footprint (how much else moves) is drawn, not measured.

What it does not say: a real anomaly is no formula, and windows are the true ones, not those that detection finds.
Families that are each other's neighbours on purpose (a hump of a few days and a plateau of a few days) are told apart
no better than counts of a few units allow. A family that is left out of the library is often taken for its
neighbour, and not called novel: novelty is for what is like nothing known.
"""
