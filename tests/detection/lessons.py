"""A small retailer whose history both models are learnt from, once for all tests."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.detection.artefact import TrainedBaseline
from mrs_assets.detection.axis import Axis, Floats
from mrs_assets.detection.classifier_training import train_classifier
from mrs_assets.detection.judgement import TrainedClassifier
from mrs_assets.detection.training import train_baseline
from tests.detection.pipeline import axis_of, scope_of, series_rows, settings_for

RETAILER = Retailer(timezone="Europe/London", country="GB")
DAYS, TAUGHT, SERIES, PER_STORE = 260, 225, 60, 10
"""Days altogether and days that are learnt from; series and series per store."""


def settings() -> Settings:
    return settings_for(RETAILER)


def axis() -> Axis:
    return axis_of(RETAILER, DAYS)


@cache
def sales() -> Floats:
    """Ordinary weeks with the tails that ordinary weeks have: bulk purchases, and a busy day now and then."""
    rng = np.random.default_rng(7)
    mean = rng.uniform(2, 40, SERIES) * (1 + 0.3 * np.sin(np.arange(DAYS) * 2 * np.pi / 7))[:, None]
    units = rng.poisson(mean * rng.gamma(12, 1 / 12, mean.shape)).astype(float)
    bulk = rng.random(mean.shape) < 0.03
    units += np.where(bulk, rng.poisson(mean * rng.uniform(1.0, 5.0, mean.shape)), 0)
    units[rng.random(mean.shape) < 0.01] = np.nan
    return units


def rows(units: Floats | None = None) -> pl.DataFrame:
    return series_rows(axis(), sales() if units is None else units, per_store=PER_STORE)


@cache
def models() -> tuple[TrainedBaseline, TrainedClassifier, dict[str, float]]:
    past = rows().filter(pl.col("business_day") <= scope_of(axis(), 0, TAUGHT - 1).last_day)
    baseline = train_baseline(past, PROMOTIONS.empty(), settings())[0]
    return baseline, *train_classifier(past, PROMOTIONS.empty(), settings(), baseline)
