"""Says on the rows what they had to do without."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mrs_assets.contracts.contract import Contract


def degrade(contract: Contract, frame: pl.DataFrame, reasons: Sequence[str]) -> pl.DataFrame:
    """Put reasons on every row, and the first reason of a degraded row on its `report_status`."""
    frame = degraded_by(contract.conform(frame), reasons)
    if "report_status" not in contract.body:
        return frame
    suffixed = pl.format("{}_degraded_{}", pl.col("report_status"), pl.col("degraded_reasons").list.first())
    return frame.with_columns(pl.when("is_degraded").then(suffixed).otherwise("report_status").alias("report_status"))


def degraded_by(frame: pl.DataFrame, reasons: Sequence[str]) -> pl.DataFrame:
    """Add reasons to those that the rows have."""
    own = pl.col("degraded_reasons").list.concat(pl.lit(list(reasons), dtype=pl.List(pl.String)))
    frame = frame.with_columns(own.list.unique().list.sort().alias("degraded_reasons"))
    return frame.with_columns((pl.col("degraded_reasons").list.len() > 0).alias("is_degraded"))
