"""Training of the baseline: what it learns from, and how its interval is calibrated."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingRegressor

from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.trainable import Learnt, Lessons, Trainable
from mrs_assets.detection.artefact import STRATA, TrainedBaseline, dump, load
from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.baseline_stage import MODEL
from mrs_assets.detection.features import FEATURES
from mrs_assets.detection.noise import variance
from mrs_assets.detection.panel import whole_panel

__all__ = ["BASELINE_MODEL", "TrainedBaseline", "dump", "load", "train_baseline"]

MIN_ROWS = 2_000
"""Ticks with enough history under which there is nothing to learn."""

MOST_ROWS = 400_000
"""Ticks learnt from; more are thinned out to about as many."""

HELD_OUT = 0.2
"""Newest share of the days that the figures and the interval are measured on."""

CAP_SD = 5.0
"""Standard deviations over the seasonal expectation at which units are capped, so that anomalies do not teach."""


@dataclass(frozen=True)
class _Examples:
    features: Floats
    units: Floats
    seasonal: Floats
    dispersion: Floats
    day: Ints

    def only(self, rows: Flags | Ints) -> _Examples:
        return _Examples(
            self.features[rows], self.units[rows], self.seasonal[rows], self.dispersion[rows], self.day[rows]
        )


def train_baseline(
    series: pl.DataFrame, promotions: pl.DataFrame, settings: Settings
) -> tuple[TrainedBaseline, dict[str, float]]:
    """Learn how sales differ from the seasonal expectation. Deterministic: same rows, same artefact.

    Args:
        series: rows of `sales_timeseries_data`, of one or more retailers.
        promotions: rows of `promotions_log`; a retailer without any counts as one that tells none.
        settings: time zones, grains and holidays of the retailers.

    Returns:
        The model, learnt from every day, and figures measured on the newest fifth of the days by a model that
        had not seen them: `deviance_seasonal`, `deviance_model` (Poisson, per tick), `coverage_80`, `rows`.

    Raises:
        UserMistake: no series has enough history.
    """
    share = min(1.0, MOST_ROWS / max(1, series.height))
    parts = [
        _examples(
            series.filter(pl.col("retailer") == name),
            promotions.filter(pl.col("retailer") == name),
            retailer=retailer,
            share=share,
        )
        for name, retailer in sorted(settings.retailers.items())
        if name in series["retailer"]
    ]
    if not parts or sum(len(part.units) for part in parts) < MIN_ROWS:
        raise UserMistake(
            f"Fewer than {MIN_ROWS} ticks have enough history to learn a baseline from.",
            remedy="Nothing was trained; train again when more days have arrived.",
        )
    examples = _Examples(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _Examples.__dataclass_fields__)
    )
    newest = examples.day > np.quantile(examples.day, 1.0 - HELD_OUT)
    past, held_out = examples.only(~newest), examples.only(newest)
    trial = _fit(past)
    scales, metrics = _calibrate(trial, held_out)
    model = replace(_fit(examples), scales=scales)
    return model, {**metrics, "rows": float(len(examples.units))}


def _examples(series: pl.DataFrame, promotions: pl.DataFrame, *, retailer: Retailer, share: float) -> _Examples:
    """Ticks with enough history, thinned out to a share of them by a seeded draw."""
    panel = whole_panel(series, promotions, retailer, series["retailer"][0])
    first = panel.grid.first
    days = np.broadcast_to(panel.grid.axis.day[first:, None], (len(panel.grid.axis) - first, panel.grid.series.height))
    parts = []
    for columns, expectation in panel.expectations():
        units = panel.units[first:, columns]
        drawn = np.random.default_rng(columns.start).random(units.shape) < share
        learn = (expectation.is_seasonal & ~np.isnan(units) & drawn).ravel()
        everything = _Examples(
            features=panel.features(columns, expectation),
            units=units.ravel(),
            seasonal=expectation.expected.ravel(),
            dispersion=expectation.dispersion.ravel(),
            day=days[:, columns].ravel(),
        )
        parts.append(everything.only(learn))
    return _Examples(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _Examples.__dataclass_fields__)
    )


def _fit(examples: _Examples) -> TrainedBaseline:
    telling = np.nanmax(examples.features, axis=0, initial=-np.inf) > np.nanmin(
        examples.features, axis=0, initial=np.inf
    )
    sd = np.sqrt(variance(examples.seasonal, examples.dispersion * examples.seasonal))
    units = np.clip(examples.units, 0.0, examples.seasonal + CAP_SD * sd)
    regressor = HistGradientBoostingRegressor(
        loss="poisson",
        learning_rate=0.25,
        max_iter=20,
        max_leaf_nodes=8,
        min_samples_leaf=200,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=0,
    )
    regressor.fit(examples.features[:, telling], units / examples.seasonal, sample_weight=examples.seasonal)
    names = tuple(name for name, tells in zip(FEATURES, telling, strict=True) if tells)
    return TrainedBaseline(regressor=regressor, features=names)


def _calibrate(model: TrainedBaseline, held_out: _Examples) -> tuple[tuple[float, ...], dict[str, float]]:
    """Conformal half-widths per volume stratum from every other held-out tick; figures from the rest."""
    expected = held_out.seasonal * model.factor(held_out.features)
    away = np.abs(held_out.units - expected) / np.sqrt(variance(expected, held_out.dispersion * expected))
    stratum = np.searchsorted(STRATA, expected)
    odd = np.arange(len(away)) % 2 == 1
    scales = []
    for number in range(len(STRATA) + 1):
        mine = away[odd & (stratum == number)]
        scales.append(_conformal(mine if len(mine) >= 200 else away[odd]))
    covered = away[~odd] <= np.asarray(scales)[stratum[~odd]]
    metrics = {
        "coverage_80": float(covered.mean()),
        "deviance_model": _poisson_deviance(held_out.units, expected),
        "deviance_seasonal": _poisson_deviance(held_out.units, held_out.seasonal),
    }
    return tuple(scales), metrics


def _conformal(away: Floats) -> float:
    """Take the 80 % quantile with the finite-sample correction of split conformal prediction (Vovk 2005)."""
    rank = min(int(np.ceil(0.8 * (len(away) + 1))), len(away))
    return round(float(np.sort(away)[rank - 1]), 6)


def _poisson_deviance(units: Floats, expected: Floats) -> float:
    units = np.maximum(units, 0.0)
    log_ratio = np.log(np.maximum(units, 1e-300) / expected)
    return float(np.mean(2.0 * (np.where(units > 0, units * log_ratio, 0.0) - (units - expected))))


def _learn(lessons: Lessons) -> Learnt:
    model, metrics = train_baseline(lessons["series"], lessons["promotions"], lessons.settings)
    return Learnt(dump(model), metrics)


BASELINE_MODEL = Trainable(
    name=MODEL,
    reads={"series": SALES_TIMESERIES, "promotions": PROMOTIONS},
    learn=_learn,
    description="Trained baseline: expected units from a series' own past, the calendar and promotions.",
)
