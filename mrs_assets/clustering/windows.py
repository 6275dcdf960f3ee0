"""From logs to windows: gathers each report's actual and expected units and its footprint at each tick."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from mrs_assets.clustering.features import SHAPE_TICKS, SHARES, Array, Windows, even_share
from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.settings import Retailer

BEFORE_DAYS = 28
"""Days before the window whose level is compared with the expectation."""

LONGEST_LAPSE_DAYS = 28
"""Days between a report's newest anomalous interval and its tick that are looked through."""

LOOK_BACK_DAYS = SHAPE_TICKS + BEFORE_DAYS + LONGEST_LAPSE_DAYS
"""Days before a report's business day that its vector may depend on."""

_UNITS_SCALE = 10**4
_EXPECTED_SCALE = 10**6
_CHUNK_ROWS = 10_000

Whole = NDArray[np.int64]


def tick_number(instant: pl.Expr, retailer: Retailer) -> pl.Expr:
    """Count the interval that begins at an instant: local days, or grains since the epoch."""
    if retailer.grain == "1d":
        return instant.dt.convert_time_zone(retailer.timezone).dt.date().cast(pl.Int64)
    grain_us = retailer.grain_length.total_seconds() * 1_000_000
    return instant.dt.epoch("us") // int(grain_us)


def footprint(
    reports: pl.DataFrame, every_report: pl.DataFrame, series: pl.DataFrame, retailer: Retailer
) -> pl.DataFrame:
    """Find the shares of other series with a report at the same tick in the same direction.

    Args:
        reports: MRDL rows of one retailer.
        every_report: all MRDL rows of the retailer on the same days.
        series: `sales_timeseries_data` rows of the same days. A series counts at a tick where its interval is
            not closed and was expected.
        retailer: its grain and zone.

    Returns:
        One row per report row in the same order: SHARES; NULL without others.
    """
    trading = series.filter(~pl.col("coverage").is_in(["closed", "not_expected"])).select(
        *SERIES, number=tick_number(pl.col("ts"), retailer)
    )
    number = tick_number(pl.col("tick") - pl.duration(microseconds=1), retailer)
    moving = every_report.select(*SERIES, "direction", number=number).unique()
    shares = reports.select(*SERIES, "direction", number=number).with_row_index()
    for name, within in zip(SHARES, (["store_id"], ["sku"], []), strict=True):
        others = trading.group_by("number", *within).agg(there=pl.len().cast(pl.Int64) - 1)
        alike = moving.group_by("number", "direction", *within).agg(alike=pl.len().cast(pl.Int64) - 1)
        shares = (
            shares.join(others, on=["number", *within], how="left")
            .join(alike, on=["number", "direction", *within], how="left")
            .with_columns(pl.when(pl.col("there") > 0).then((pl.col("alike") / pl.col("there")).clip(0, 1)).alias(name))
            .drop("there", "alike")
        )
    return shares.sort("index").select(SHARES)


def windows(
    reports: pl.DataFrame, series: pl.DataFrame, baseline: pl.DataFrame, shares: pl.DataFrame, retailer: Retailer
) -> Iterator[Windows]:
    """Gather the windows of MRDL rows of one retailer, in row order, in chunks of bounded size.

    A window reaches from `window_start` to `last_anomalous_at`; only `received` ticks with an expectation are
    known. Sums over the level before and after are exact integer differences, so that they do not depend on
    where the loaded rows begin.
    """
    units, expected, first, place = _dense(reports, series, baseline, retailer)
    rows = reports.select(
        start=tick_number(pl.col("window_start"), retailer),
        end=tick_number(pl.col("last_anomalous_at") - pl.duration(microseconds=1), retailer) + 1,
        tick=tick_number(pl.col("tick") - pl.duration(microseconds=1), retailer) + 1,
    )
    tick, end = rows["tick"].to_numpy(), rows["end"].to_numpy()
    end = np.maximum(np.minimum(end, tick), tick - LONGEST_LAPSE_DAYS * retailer.ticks_per_day)
    start = np.clip(rows["start"].to_numpy(), end - SHAPE_TICKS, end - 1)
    before = start - BEFORE_DAYS * retailer.ticks_per_day
    known = np.isfinite(units) & np.isfinite(expected)
    units_to = _exact_sums(np.where(known, units, 0.0), _UNITS_SCALE)
    expected_to = _exact_sums(np.where(known, expected, 0.0), _EXPECTED_SCALE)
    some = known & (units > 0)
    some_to = _exact_sums(some.astype(float), 1)
    even_to = _exact_sums((some & (np.mod(np.where(some, units, 1.0), 2.0) == 0)).astype(float), 1)
    width = units.shape[1]
    reach = np.arange(SHAPE_TICKS)
    for lower in range(0, reports.height, _CHUNK_ROWS):
        part = slice(lower, lower + _CHUNK_ROWS)
        series_of = place[part]
        at = [np.clip(bound[part] - first, 0, width) for bound in (before, start, end, tick)]
        column = (start[part] - first)[:, None] + reach
        inside = (column < (end[part] - first)[:, None]) & (column >= 0) & (column < width)
        column = np.clip(column, 0, width - 1)

        yield Windows(
            actual=np.where(inside, units[series_of[:, None], column], np.nan),
            expected=np.where(inside, expected[series_of[:, None], column], np.nan),
            length=(end - start)[part],
            actual_before=_difference(units_to, series_of, at[0], at[1]) / _UNITS_SCALE,
            expected_before=_difference(expected_to, series_of, at[0], at[1]) / _EXPECTED_SCALE,
            actual_after=_difference(units_to, series_of, at[2], at[3]) / _UNITS_SCALE,
            expected_after=_difference(expected_to, series_of, at[2], at[3]) / _EXPECTED_SCALE,
            footprint=shares[part].to_numpy().astype(float),
            even_before=even_share(
                _difference(even_to, series_of, at[0], at[1]).astype(float),
                _difference(some_to, series_of, at[0], at[1]).astype(float),
            ),
        )


def _difference(sums: Whole, rows: Whole, lower: Whole, upper: Whole) -> Whole:
    return sums[rows, upper] - sums[rows, lower]


def _exact_sums(values: Array, scale: int) -> Whole:
    whole = np.rint(values * scale).astype(np.int64)
    return np.concatenate([np.zeros((len(whole), 1), dtype=np.int64), np.cumsum(whole, axis=1)], axis=1)


def _dense(
    reports: pl.DataFrame, series: pl.DataFrame, baseline: pl.DataFrame, retailer: Retailer
) -> tuple[Array, Array, int, Whole]:
    """(units, expected, number of the first column, series of each report row): series × ticks, NaN: unknown."""
    ids = reports.select(SERIES).unique().sort(SERIES).with_row_index("place")
    place = reports.select(SERIES).join(ids, on=SERIES, how="left", maintain_order="left")["place"].to_numpy()
    number = tick_number(pl.col("ts"), retailer).alias("number")
    actual = (
        series.filter(coverage="received")
        .join(ids, on=SERIES)
        .select("place", number, value=pl.col("units").cast(pl.Float64))
    )
    forecast = baseline.join(ids, on=SERIES).select("place", number, value=pl.col("expected_units"))
    numbers = np.concatenate([actual["number"].to_numpy(), forecast["number"].to_numpy()])
    first, last = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    width = last - first + 1
    grids = []
    for known in (actual, forecast):
        grid = np.full((ids.height, width), np.nan)
        known = known.drop_nulls().sort("place", "number", "value")  # noqa: PLW2901
        grid[known["place"].to_numpy(), known["number"].to_numpy() - first] = known["value"].to_numpy()
        grids.append(grid)
    return grids[0], grids[1], first, place.astype(np.int64)
