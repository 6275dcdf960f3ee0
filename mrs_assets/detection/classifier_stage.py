"""The stage that scores the windows which end at each tick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.stage import Frames, Input, Inputs, Stage
from mrs_assets.detection.axis import Floats, Ints
from mrs_assets.detection.evidence import Evidence, keys_of, read_evidence
from mrs_assets.detection.grid import Grid, as_days, as_instants
from mrs_assets.detection.noise import EIGHTY_PERCENT, variance
from mrs_assets.detection.scan import SCAN_DAYS, best_windows, longest_window, trailing_sums

WINDOWS_AT_ONCE = 20_000
"""Windows whose sums are held in memory at once."""


def compute(inputs: Inputs) -> Frames:
    """At each tick with evidence, the best window upwards and downwards from `candidate_z` on."""
    scope, series, baseline = inputs.scope, inputs["series"], inputs["baseline"]
    wanted = baseline.filter(pl.col("business_day").is_between(scope.first_day, scope.last_day))
    if wanted.is_empty():
        return {CLASSIFIER.name: CLASSIFIER.empty()}
    longest = longest_window(inputs.settings, inputs.retailer)
    evidence = read_evidence(
        series, baseline, retailer=inputs.retailer, scope=scope, days_before=SCAN_DAYS, keys=keys_of(wanted)
    )
    found = _scan(evidence, longest, inputs.settings.detection.candidate_z)
    return {CLASSIFIER.name: _frame(evidence.grid, str(scope.retailer), found, _at_stake(evidence, found, longest))}


@dataclass(frozen=True)
class _Found:
    """Windows: row of the newest tick, series, score and length."""

    row: Ints
    column: Ints
    z: Floats
    ticks: Ints


def _scan(evidence: Evidence, longest: int, candidate_z: float) -> _Found:
    first, parts = evidence.grid.first, []
    for columns in evidence.grid.blocks():
        actual, expected, spread = (
            np.ascontiguousarray(values[:, columns]) for values in (evidence.actual, evidence.expected, evidence.spread)
        )
        counts = evidence.counts[first:, columns]
        for windows in best_windows(actual, expected, spread, first=first, longest=longest):
            at = np.nonzero(counts & (np.abs(windows.z) >= candidate_z))
            parts.append((at[0] + first, at[1] + columns.start, windows.z[at], windows.ticks[at]))
    return _Found(*(np.concatenate([part[n] for part in parts]) for n in range(4)))


def _at_stake(evidence: Evidence, found: _Found, longest: int) -> Floats:
    """Money (units without a price) by which each window surely deviates: the lower 80 % bound."""
    stake = np.zeros(len(found.row))
    for begin in range(0, len(stake), WINDOWS_AT_ONCE):
        part = slice(begin, begin + WINDOWS_AT_ONCE)
        at = (found.ticks[part] - 1, np.arange(len(found.ticks[part])))
        actual, expected, spread = (
            trailing_sums(values, found.row[part], found.column[part], longest)[at]
            for values in (evidence.actual, evidence.expected, evidence.spread)
        )
        stake[part] = np.maximum(np.abs(actual - expected) - EIGHTY_PERCENT * np.sqrt(variance(expected, spread)), 0.0)
    price = evidence.last_price(found.row, found.column, SCAN_DAYS)
    return stake * np.where(np.isnan(price), 1.0, price)


def _frame(grid: Grid, retailer: str, found: _Found, stake: Floats) -> pl.DataFrame:
    axis = grid.axis
    return (
        grid.series[found.column]
        .with_columns(
            retailer=pl.lit(retailer),
            business_day=as_days(axis.day[found.row]),
            tick=as_instants(axis.ends[found.row]),
            window_start=as_instants(axis.ts[found.row - found.ticks + 1]),
            window_end=as_instants(axis.ends[found.row]),
            direction=pl.Series(np.where(found.z > 0, "up", "down"), dtype=pl.String),
            scan_z=pl.Series(found.z),
            severity_score=pl.Series(stake),
            classifier_source=pl.lit("deviation_heuristic"),
        )
        .sort("store_id", "sku", "tick", "window_start")
    )


CLASSIFIER_STAGE = Stage(
    name=CLASSIFIER.name,
    writes=(CLASSIFIER,),
    compute=compute,
    needs={
        "series": Input(SALES_TIMESERIES, days_before=SCAN_DAYS),
        "baseline": Input(BASELINE, days_before=SCAN_DAYS),
    },
    description="How far the windows that end at each tick deviate from the baseline.",
)
