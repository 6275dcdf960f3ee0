"""Pictures of how well detection works: precision against recall, reliability, and recall by kind of anomaly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from matplotlib.figure import Figure as Picture

from evaluation.scoring import Figure, Floats

BLUE, ORANGE = "#1f4e79", "#c55a11"


def precision_recall_picture(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Picture:
    """One line per way of deciding: (recall of strong events, precision) as its limit moves."""
    picture = Picture(figsize=(6, 4), layout="constrained")
    axes = picture.subplots()
    for (name, points), marker in zip(curves.items(), "os^v", strict=False):
        axes.plot(*zip(*points, strict=True), marker=marker, label=name)
    axes.set(xlabel="recall of strong events", ylabel="precision of reports", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(loc="lower left")
    axes.grid(alpha=0.3)
    return picture


def reliability_picture(said: Floats, true: Floats) -> Picture:
    """Share of windows that are injected anomalies, by the probability that the classifier gave them."""
    picture = Picture(figsize=(5, 4), layout="constrained")
    axes = picture.subplots()
    place = np.minimum((said * 10).astype(np.int64), 9)
    count = np.bincount(place, minlength=10)
    shown = count >= 20
    means = [np.bincount(place, weights=values, minlength=10)[shown] / count[shown] for values in (said, true)]
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot(*means, marker="o", color=BLUE)
    axes.set(xlabel="probability given", ylabel="share of windows on an injected anomaly", xlim=(0, 1), ylim=(0, 1))
    axes.grid(alpha=0.3)
    return picture


def recall_picture(families: Sequence[str], taught: Sequence[Figure], left_out: Sequence[Figure]) -> Picture:
    """Recall of strong events of each kind, when the classifier was taught with it and when not."""
    picture = Picture(figsize=(7, 4), layout="constrained")
    axes = picture.subplots()
    at = np.arange(len(families))
    for offset, figures, name, colour in ((-0.2, taught, "taught", BLUE), (0.2, left_out, "left out", ORANGE)):
        values = np.nan_to_num([figure.value for figure in figures])
        low, high = (
            [max(0.0, d) for d in np.nan_to_num(ends)]
            for ends in (
                [figure.value - figure.low for figure in figures],
                [figure.high - figure.value for figure in figures],
            )
        )
        axes.barh(at + offset, values, height=0.38, xerr=[low, high], label=name, color=colour, error_kw={"lw": 1})
    axes.set_yticks(at, [family.replace("_", " ") for family in families])
    axes.invert_yaxis()
    axes.set(xlabel="recall of strong events", xlim=(0, 1))
    axes.legend()
    return picture


def coverage_table(quiet: pl.DataFrame, edges: Sequence[float]) -> pl.DataFrame:
    """Share of quiet ticks inside the 80 % interval by expected units.

    Args:
        quiet: units, expected_units, expected_lower, expected_upper of ticks without anything injected.
        edges: expected units at which the strata meet.
    """
    known = quiet.drop_nulls()
    stratum = np.searchsorted(np.asarray(edges), known["expected_units"].to_numpy())
    names = [
        "under " + str(edges[0]),
        *(f"{a}–{b}" for a, b in pairwise(edges)),
        f"{edges[-1]} and over",
    ]
    inside = known.select(pl.col("units").is_between("expected_lower", "expected_upper")).to_series()
    return (
        pl.DataFrame({"stratum": stratum, "inside": inside})
        .group_by("stratum")
        .agg(ticks=pl.len(), coverage=pl.col("inside").mean())
        .sort("stratum")
        .with_columns(expected_units=pl.col("stratum").map_elements(lambda n: names[n], return_dtype=pl.String))
        .select("expected_units", "ticks", "coverage")
    )
