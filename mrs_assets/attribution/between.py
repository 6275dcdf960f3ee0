"""Exact sums of what series sold over spans of time."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mrs_assets.contracts.columns import SERIES

SUMS = ("sold", "ticks")
UNIT = 10**4
"""Counted parts of a unit: sums of whole numbers do not depend on their order."""

_MICRO = pl.duration(microseconds=1)


class Sold:
    """What was received of some series: units and ticks, to be added up over any span by any of SERIES."""

    def __init__(self, series: pl.DataFrame) -> None:
        """Take rows of `sales_timeseries_data`."""
        self.ticks = series.filter((pl.col("coverage") == "received") & pl.col("units").is_not_null()).select(
            *SERIES,
            "ts",
            sold=(pl.col("units").cast(pl.Float64) * UNIT).round().cast(pl.Int64),
            ticks=pl.lit(1, dtype=pl.Int64),
        )
        self._running: dict[tuple[str, ...], pl.DataFrame] = {}

    def between(self, spans: pl.DataFrame, by: Sequence[str], lower: str, upper: str) -> pl.DataFrame:
        """SUMS of the ticks that begin in [lower, upper), one row per span in the same order.

        Args:
            spans: rows with `by` and the two bounds.
            by: columns of SERIES that the sums are of; none for all series together.
            lower: name of the lower bound.
            upper: name of the upper bound.
        """
        if spans.is_empty():
            return pl.DataFrame(schema=dict.fromkeys(SUMS, pl.Int64))
        numbered = spans.with_row_index("span")
        bounds = [
            numbered.select("span", *by, ts=pl.col(bound) - _MICRO)
            .sort("ts", "span")
            .join_asof(self._sums(by), on="ts", by=list(by) or None, strategy="backward", check_sortedness=False)
            .sort("span")
            .select(pl.col(SUMS).fill_null(0))
            for bound in (lower, upper)
        ]
        return bounds[1] - bounds[0]

    def _sums(self, by: Sequence[str]) -> pl.DataFrame:
        if tuple(by) not in self._running:
            whole = tuple(by) == SERIES
            summed = self.ticks if whole else self.ticks.group_by(*by, "ts").agg(pl.col(SUMS).sum())
            sums = [pl.col(name).cum_sum().over(by) if by else pl.col(name).cum_sum() for name in SUMS]
            self._running[tuple(by)] = summed.sort("ts").select(*by, "ts", *sums)
        return self._running[tuple(by)]
