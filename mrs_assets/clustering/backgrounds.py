"""Quiet times of real series, to draw shapes onto, and which of the drawn windows detection could report."""

from __future__ import annotations

import numpy as np
import polars as pl

from mrs_assets.clustering.features import Array, Windows
from mrs_assets.clustering.shapes import BACKGROUND_TICKS, Background
from mrs_assets.contracts.columns import RETAILER_SERIES
from mrs_assets.contracts.errors import UserMistake

LEAST_EXPECTED = 0.5
"""Expected units a tick under which a series says nothing of a tick."""

LEAST_Z = 4.0
"""Standard deviations from which on a window is reported at all."""

DISPERSION = 1.5
BUSIER = 6


class QuietTimes:
    """Real series with their expectation, to draw spans from."""

    def __init__(self, series: pl.DataFrame, baseline: pl.DataFrame) -> None:
        """Take rows of `sales_timeseries_data` and of the baseline log.

        Raises:
            UserMistake: no series has an expectation over enough ticks.
        """
        both = (
            series.filter((pl.col("coverage") == "received") & pl.col("units").is_not_null())
            .select(*RETAILER_SERIES, "ts", actual=pl.col("units").cast(pl.Float64))
            .join(
                baseline.select(*RETAILER_SERIES, "ts", expected="expected_units").drop_nulls(),
                on=[*RETAILER_SERIES, "ts"],
            )
        )
        pace = pl.col("expected").mean().over(RETAILER_SERIES)
        long = both.filter((pl.len().over(RETAILER_SERIES) >= BACKGROUND_TICKS) & (pace >= LEAST_EXPECTED)).sort(
            *RETAILER_SERIES, "ts"
        )
        if long.is_empty():
            raise UserMistake(
                "No series has an expectation over enough ticks to draw shapes onto.",
                remedy="Nothing was trained; the built-in library stays. Train again when more days have arrived.",
            )
        self._actual, self._expected = long["actual"].to_numpy(), long["expected"].to_numpy()
        self._lengths = long.group_by(RETAILER_SERIES, maintain_order=True).len()["len"].to_numpy().astype(np.int64)
        self._begins = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])

    def drawn(self, count: int, seed: int) -> Background:
        """Draw spans, seeded; they may overlap. Every second is a sum of BUSIER: what a busier series sells."""
        rng = np.random.default_rng(seed)
        added = np.where(np.arange(count) % 2 == 1, BUSIER, 1)
        chosen = rng.integers(len(self._lengths), size=int(added.sum()))
        room = self._lengths[chosen] - BACKGROUND_TICKS + 1
        start = self._begins[chosen] + (rng.random(len(chosen)) * room).astype(np.int64)
        place = start[:, None] + np.arange(BACKGROUND_TICKS)
        first = np.concatenate([[0], np.cumsum(added)[:-1]])
        return Background(np.add.reduceat(self._actual[place], first), np.add.reduceat(self._expected[place], first))


def reportable(windows: Windows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether each window's deviation is one that detection reports."""
    actual, expected = np.nansum(windows.actual, axis=1), np.nansum(windows.expected, axis=1)
    z: Array = (actual - expected) / np.sqrt(DISPERSION * np.maximum(expected, 1e-9))
    return np.asarray(np.abs(z) >= LEAST_Z)
