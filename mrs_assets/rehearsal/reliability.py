"""Whether a confidence means what it says: reliability in bins, and the expected calibration error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

BINS = 10


def reliability(
    confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], weight: npt.NDArray[np.float64]
) -> pl.DataFrame:
    """Answers by confidence in tenths: from, answers (weight), confidence and right (means); empty tenths left out."""
    frame = pl.DataFrame({"confidence": confidence, "right": right, "weight": weight})
    tenth = (pl.col("confidence") * BINS).floor().clip(0, BINS - 1)
    total = pl.col("weight").sum()
    return (
        frame.group_by((tenth / BINS).alias("from"))
        .agg(
            answers=total,
            confidence=(pl.col("confidence") * pl.col("weight")).sum() / total,
            right=(pl.col("right").cast(pl.Float64) * pl.col("weight")).sum() / total,
        )
        .sort("from")
    )


def expected_calibration_error(
    confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], weight: npt.NDArray[np.float64]
) -> float:
    """Mean distance of confidence and share of right answers over the tenths, by weight (Guo et al. 2017)."""
    table = reliability(confidence, right, weight)
    answers = table["answers"].to_numpy()
    away = np.abs((table["confidence"] - table["right"]).to_numpy())
    return round(float((away * answers).sum() / max(answers.sum(), 1e-9)), 6)
