"""A range of days gives the rows that its days give alone, whatever happened and wherever the range is cut."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Model
from mrs_assets.detection.baseline_stage import BASELINE_STAGE, MODEL
from mrs_assets.detection.training import train_baseline
from tests.detection.pipeline import FIRST, Logs, axis_of, run, scope_of, series_rows, settings_for

DAYS, HISTORY = 250, 150


def _wild_series(seed: int, ticks: int, per_day: int, count: int = 5) -> np.ndarray:
    """Sales with bursts, dips, level shifts, returns, missing and unpriced stretches."""
    rng = np.random.default_rng(seed)
    mean = (
        rng.choice([0.4, 3.0, 20.0, 150.0], count) * (1 + 0.4 * np.sin(np.arange(ticks) * 2 * np.pi / per_day))[:, None]
    )
    for series in range(count):
        for _ in range(rng.integers(2, 9)):
            begin = rng.integers(0, ticks)
            length = rng.integers(1, 12 * per_day if rng.random() < 0.8 else 60 * per_day)
            mean[begin : begin + length, series] *= rng.choice([0.0, 0.3, 0.7, 1.4, 2.0, 4.0, 10.0])
    units = rng.poisson(mean).astype(float)
    units[rng.random(units.shape) < 0.05] = np.nan
    units[rng.random(units.shape) < 0.004] = -3
    for series in range(count):
        begin = rng.integers(0, ticks)
        units[begin : begin + rng.integers(0, 40 * per_day), series] = np.nan
    return units


def _assert_same(whole: Logs, parts: Logs) -> None:
    for name, frame in whole.items():
        assert_frame_equal(frame, parts[name], check_exact=True)


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.sets(st.integers(HISTORY, DAYS - 2), min_size=1, max_size=8),
    gap=st.sampled_from([1, 2, 10]),
    stay=st.sampled_from([0.5, 1.5]),
)
def test_daily_series(seed: int, cuts: set[int], gap: int, stay: float) -> None:
    axis = axis_of(Retailer(timezone="Europe/London", country="GB"), DAYS)
    retailer = Retailer(timezone="Europe/London", country="GB")
    chosen = settings_for(retailer, enter_z=3.0, candidate_z=2.0, expire_ticks=5, gap_ticks=gap, stay_z=stay)
    rng = np.random.default_rng(seed)
    coverage = {
        (int(rng.integers(0, DAYS)), int(rng.integers(0, 5))): str(rng.choice(["closed", "partial", "not_expected"]))
        for _ in range(30)
    }
    series = series_rows(axis, _wild_series(seed, DAYS, 1), price=None if seed % 3 == 0 else 1.99, coverage=coverage)
    whole = run(chosen, series, [scope_of(axis, HISTORY, DAYS - 1)])
    begins = [HISTORY, *(cut + 1 for cut in sorted(cuts))]
    ends = [*sorted(cuts), DAYS - 1]
    parts = run(
        chosen,
        series.sample(fraction=1.0, shuffle=True, seed=seed),
        [scope_of(axis, begin, end) for begin, end in zip(begins, ends, strict=True)],
    )
    _assert_same(whole, parts)
    detected = whole["minority_reports_detected_log"]
    assert detected.height > 0
    assert detected.select("report_id", "tick").is_duplicated().sum() == 0


def test_hourly_series_over_a_change_of_the_clocks() -> None:
    retailer = Retailer(timezone="America/New_York", grain="1h", country="US")
    axis = axis_of(retailer, 160, date(2023, 10, 12))
    chosen = settings_for(retailer, enter_z=3.5, candidate_z=3.0)
    units = _wild_series(11, len(axis), 24, count=3)
    series = series_rows(axis, units)
    whole = run(chosen, series, [scope_of(axis, 148, 155)])
    parts = run(chosen, series, [scope_of(axis, day, day) for day in range(148, 156)])
    assert date(2024, 3, 10) in whole["minority_reports_detected_log"]["business_day"]
    _assert_same(whole, parts)


def test_with_a_trained_model_and_promotions() -> None:
    """Some promotions run for longer than the stage reads back."""
    retailer = Retailer(timezone="Europe/London", country="GB")
    axis = axis_of(retailer, 240)
    rng = np.random.default_rng(1)
    begins = [*range(-160, -100, 2), *rng.integers(-20, 230, 30).tolist()]
    lasts = [500] * 30 + [9] * 30
    mean = np.full((240, 30), 20.0)
    for number, (begin, last) in enumerate(zip(begins, lasts, strict=True)):
        mean[max(begin, 0) : max(begin + min(last, 331) + 1, 0), number % 30] *= 2
    series = series_rows(axis, rng.poisson(mean).astype(float))
    days = [FIRST + timedelta(days=begin) for begin in begins]
    promotions = PROMOTIONS.conform(
        pl.DataFrame(
            {
                "retailer": "acme",
                "business_day": days,
                "promotion_id": [str(number) for number in range(60)],
                "store_id": [f"store-{number % 30 // 3}" for number in range(60)],
                "sku": [f"sku-{number % 3}" for number in range(60)],
                "start_day": days,
                "end_day": [day + timedelta(days=last) for day, last in zip(days, lasts, strict=True)],
            }
        )
    )
    chosen = settings_for(retailer, enter_z=3.0, candidate_z=2.0)
    models = {MODEL: Model("v1", train_baseline(series, promotions, chosen)[0])}
    whole = run(chosen, series, [scope_of(axis, 215, 239)], promotions=promotions, models=models)
    scopes = [scope_of(axis, begin, end) for begin, end in ((215, 215), (216, 229), (230, 239))]
    _assert_same(whole, run(chosen, series, scopes, promotions=promotions, models=models))
    assert whole[BASELINE_STAGE.name]["baseline_source"].unique().to_list() == ["model"]
