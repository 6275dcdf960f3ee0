"""The trained baseline: what it learns, and that its bytes can be trusted."""

from __future__ import annotations

import pickle
from datetime import timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest

from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Model
from mrs_assets.detection.baseline_stage import BASELINE_STAGE, MODEL
from mrs_assets.detection.training import TrainedBaseline, dump, load, train_baseline
from mrs_assets.detection.trusted_pickle import ForeignArtefactError
from tests.detection.pipeline import FIRST, axis_of, run, scope_of, series_rows, settings_for

RETAILER = Retailer(timezone="America/New_York", country="US")
DAYS, SERIES = 260, 40


@cache
def _world() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Series that sell double while promoted, four weeks in five not promoted; and their promotions."""
    rng = np.random.default_rng(0)
    mean = rng.uniform(5, 40, SERIES) * np.ones((DAYS, 1))
    promotions = []
    for series in range(SERIES):
        for begin in range(int(rng.integers(0, 35)), DAYS - 7, 35):
            mean[begin : begin + 7, series] *= 2
            promotions.append((series, begin))
    axis = axis_of(RETAILER, DAYS)
    rows = [
        {
            "retailer": "acme",
            "business_day": FIRST + timedelta(days=begin),
            "promotion_id": f"{series}-{begin}",
            "store_id": f"store-{series // 3}",
            "sku": f"sku-{series % 3}",
            "start_day": FIRST + timedelta(days=begin),
            "end_day": FIRST + timedelta(days=begin + 6),
        }
        for series, begin in promotions
    ]
    return series_rows(axis, rng.poisson(mean).astype(float)), PROMOTIONS.conform(pl.DataFrame(rows))


@cache
def _trained() -> tuple[TrainedBaseline, dict[str, float]]:
    return train_baseline(*_world(), settings_for(RETAILER))


def test_it_beats_the_seasonal_expectation_where_promotions_move_sales() -> None:
    figures = _trained()[1]
    assert figures["deviance_model"] < 0.7 * figures["deviance_seasonal"]
    assert figures["coverage_80"] == pytest.approx(0.8, abs=0.05)


def test_rows_name_the_version_and_promoted_days_are_expected_higher() -> None:
    series, promotions = _world()
    axis = axis_of(RETAILER, DAYS)
    scopes = [scope_of(axis, 200, DAYS - 1)]
    with_model = run(
        settings_for(RETAILER),
        series,
        scopes,
        stages=[BASELINE_STAGE],
        promotions=promotions,
        models={MODEL: Model("v7", _trained()[0])},
    )[BASELINE_STAGE.name]
    assert with_model.select("baseline_source", "model_version").unique().rows() == [("model", "v7")]
    joined = series.join(with_model, on=["store_id", "sku", "ts"])
    error = (joined["units"].cast(pl.Float64) - joined["expected_units"]).abs().mean()
    plain = run(settings_for(RETAILER), series, scopes, stages=[BASELINE_STAGE])[BASELINE_STAGE.name]
    joined = series.join(plain, on=["store_id", "sku", "ts"])
    plain_error = (joined["units"].cast(pl.Float64) - joined["expected_units"]).abs().mean()
    assert isinstance(error, float)
    assert isinstance(plain_error, float)
    assert error < 0.8 * plain_error


def test_without_promotions_the_model_still_answers() -> None:
    axis = axis_of(RETAILER, DAYS)
    rows = run(
        settings_for(RETAILER),
        _world()[0],
        [scope_of(axis, 250, 259)],
        stages=[BASELINE_STAGE],
        models={MODEL: Model("v7", _trained()[0])},
    )[BASELINE_STAGE.name]
    assert rows["expected_units"].null_count() == 0


def test_the_same_rows_train_the_same_bytes_in_any_order() -> None:
    series, promotions = _world()
    shuffled = series.sample(fraction=1.0, shuffle=True, seed=3), promotions.sample(fraction=1.0, shuffle=True, seed=4)
    again, figures = train_baseline(*shuffled, settings_for(RETAILER))
    assert dump(again) == dump(_trained()[0])
    assert figures == _trained()[1]


def test_loading_gives_back_the_model() -> None:
    artefact = dump(_trained()[0])
    loaded = load(artefact)
    assert dump(loaded) == artefact
    features = np.random.default_rng(1).normal(size=(50, 11))
    assert np.array_equal(loaded.factor(features), _trained()[0].factor(features))


@pytest.mark.parametrize("artefact", [b"", b"not a model", pickle.dumps({"a": 1}), pickle.dumps(pickle.Pickler)])
def test_other_bytes_are_refused(artefact: bytes) -> None:
    with pytest.raises(ForeignArtefactError):
        load(artefact)


def test_too_little_history_is_said_not_learnt() -> None:
    series, promotions = _world()
    few = series.filter(pl.col("business_day") < FIRST + timedelta(days=15))
    with pytest.raises(UserMistake, match="enough history"):
        train_baseline(few, promotions, settings_for(RETAILER))
