"""Quiet times of real series, to draw shapes onto, and which of the drawn windows detection could report."""

from __future__ import annotations

import numpy as np
import polars as pl

from mrs_assets.clustering.features import Array, Windows
from mrs_assets.clustering.shapes import BACKGROUND_TICKS, Background

LEAST_EXPECTED = 0.5
"""Expected units a tick under which a series says nothing of a tick."""

LEAST_Z = 4.0
"""Standard deviations from which on a window is reported at all."""

DISPERSION = 1.5
SERIES = ["retailer", "store_id", "sku"]


def quiet_times(series: pl.DataFrame, baseline: pl.DataFrame, count: int, seed: int) -> Background | None:
    """Draw spans of real series with their expectation. Seeded; None where no series is long enough.

    Args:
        series: rows of `sales_timeseries_data`.
        baseline: rows of the baseline log.
        count: how many spans; they may overlap.
        seed: of the draw.
    """
    both = (
        series.filter((pl.col("coverage") == "received") & pl.col("units").is_not_null())
        .select(*SERIES, "ts", actual=pl.col("units").cast(pl.Float64))
        .join(baseline.select(*SERIES, "ts", expected="expected_units").drop_nulls(), on=[*SERIES, "ts"])
    )
    pace = pl.col("expected").mean().over(SERIES)
    long = both.filter((pl.len().over(SERIES) >= BACKGROUND_TICKS) & (pace >= LEAST_EXPECTED)).sort(*SERIES, "ts")
    if long.is_empty():
        return None
    actual, expected = long["actual"].to_numpy(), long["expected"].to_numpy()
    lengths = long.group_by(SERIES, maintain_order=True).len()["len"].to_numpy().astype(np.int64)
    begins = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(lengths), size=count)
    start = begins[chosen] + (rng.random(count) * (lengths[chosen] - BACKGROUND_TICKS + 1)).astype(np.int64)
    place = start[:, None] + np.arange(BACKGROUND_TICKS)
    return Background(actual[place], expected[place])


def reportable(windows: Windows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each window's deviation is one that detection reports."""
    actual, expected = np.nansum(windows.actual, axis=1), np.nansum(windows.expected, axis=1)
    z: Array = (actual - expected) / np.sqrt(DISPERSION * np.maximum(expected, 1e-9))
    return np.asarray(np.abs(z) >= LEAST_Z)
