"""What is expected of a tick, and what is said where little or nothing is known."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.settings import Retailer
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from tests.detection.pipeline import FIRST, axis_of, run, scope_of, series_rows, settings_for

LONDON = Retailer(timezone="Europe/London")
WEEK = np.array([20.0, 18.0, 22.0, 25.0, 40.0, 60.0, 30.0])


def _expected(units: np.ndarray, first: int, last: int | None = None, **given: object) -> pl.DataFrame:
    retailer = given.pop("retailer", LONDON)
    assert isinstance(retailer, Retailer)
    axis = axis_of(retailer, units.shape[0])
    scope = scope_of(axis, first, units.shape[0] - 1 if last is None else last)
    rows = series_rows(axis, units, **given)  # type: ignore[arg-type]
    return run(settings_for(retailer), rows, [scope], stages=[BASELINE_STAGE])[BASELINE_STAGE.name]


def _weekly(days: int, seed: int = 0, count: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(WEEK[np.arange(days) % 7][:, None], (days, count)).astype(float)


def test_each_weekday_is_expected_at_its_own_level() -> None:
    rows = _expected(_weekly(217, count=20), 210)
    by_day = rows.group_by("business_day").agg(pl.col("expected_units").mean()).sort("business_day")
    assert by_day["expected_units"].to_list() == pytest.approx(WEEK.tolist(), rel=0.12)
    assert rows["baseline_source"].unique().to_list() == ["seasonal_heuristic"]


def test_four_in_five_quiet_ticks_lie_in_the_interval() -> None:
    units = _weekly(300, count=30)
    rows = _expected(units, 200)
    sold = pl.Series(units[200:].T.ravel())
    order = rows.with_columns(
        pl.col("sku").str.extract(r"(\d+)").cast(pl.Int64), pl.col("store_id").str.extract(r"(\d+)").cast(pl.Int64)
    )
    lower, upper = (order.sort("store_id", "sku", "ts")[name] for name in ("expected_lower", "expected_upper"))
    assert 0.75 < float(((sold >= lower) & (sold <= upper)).mean() or 0) < 0.9


@pytest.mark.parametrize("times", [6.0, 0.0])
def test_an_anomaly_stays_out_of_what_is_expected_after_it(times: float) -> None:
    quiet = _weekly(220, count=10)
    loud = quiet.copy()
    loud[190:197] = np.round(loud[190:197] * times)
    without, within = _expected(quiet, 197), _expected(loud, 197)
    ratio = within["expected_units"].sum() / without["expected_units"].sum()
    assert ratio == pytest.approx(1.0, abs=0.03)


def test_a_tick_has_no_say_in_what_is_expected_of_it() -> None:
    shifts = np.linspace(1.4, 2.1, 120)
    units = np.round(_weekly(200, count=120))
    units[185:] = np.round(units[185:] * shifts)
    other = units.copy()
    other[199] = np.round(other[199] * 1.5)
    assert_frame_equal(_expected(units, 199), _expected(other, 199))


def test_an_anomaly_that_goes_on_does_not_raise_its_own_expectation() -> None:
    quiet = _weekly(200)
    loud = quiet.copy()
    loud[193:] *= 7
    day = FIRST + timedelta(days=199)
    assert_frame_equal(_expected(quiet, 199), _expected(loud, 199))
    assert _expected(loud, 199)["business_day"].to_list() == [day]


def test_missing_is_not_zero() -> None:
    units = _weekly(200)
    gone = units.copy()
    gone[140:190:2] = np.nan
    zeros = np.nan_to_num(gone)
    expected = [_expected(values, 199)["expected_units"][0] for values in (units, gone, zeros)]
    assert expected[1] == pytest.approx(expected[0], rel=0.12)
    assert expected[2] < 0.9 * expected[0]


@pytest.mark.parametrize("coverage", ["partial", "closed", "not_expected"])
def test_only_received_ticks_teach(coverage: str) -> None:
    units = _weekly(200)
    other = {(day, 0): coverage for day in range(150, 190, 3)}
    changed = units.copy()
    changed[range(150, 190, 3)] = np.nan
    taught = _expected(units, 199, coverage=other)
    assert taught["expected_units"].to_list() == _expected(changed, 199)["expected_units"].to_list()


def test_closed_days_expect_nothing_and_missing_days_something() -> None:
    coverage = {(198, 0): "closed", (199, 0): "missing", (197, 0): "not_expected"}
    rows = _expected(_weekly(200), 197, coverage=coverage)
    assert [value is None for value in rows["expected_units"]] == [True, True, False]
    assert [value is None for value in rows["dispersion"]] == [True, True, False]


def test_a_young_series_is_expected_with_a_wide_interval_and_says_so() -> None:
    units = np.full((200, 1), np.nan)
    units[195:] = 30.0
    rows = _expected(units, 195)
    assert rows["baseline_source"].unique().to_list() == ["insufficient_history"]
    assert rows["expected_units"].to_list() == [None, 30.0, 30.0, 30.0, 30.0]
    old = _expected(np.full((200, 1), 30.0), 199)
    width = [(frame["expected_upper"] - frame["expected_lower"])[-1] for frame in (rows, old)]
    assert width[0] > 2 * width[1]


def test_a_holiday_does_not_shape_the_ordinary_weekday() -> None:
    days = (date(2025, 1, 8) - FIRST).days + 1
    units = _weekly(days)
    units[[(day - FIRST).days for day in (date(2024, 12, 25), date(2024, 12, 26), date(2025, 1, 1))]] = 0
    known = _expected(units, days - 1, retailer=Retailer(timezone="Europe/London", country="GB"))["expected_units"][0]
    clean = _weekly(days)
    assert known == pytest.approx(_expected(clean, days - 1)["expected_units"][0], rel=0.05)


def test_a_correction_in_one_store_leaves_the_others_alone() -> None:
    axis = axis_of(LONDON, 190)
    units = _weekly(190, count=6)
    changed = units.copy()
    changed[160:180, :3] *= 2
    logs = [
        run(settings_for(LONDON), series_rows(axis, values), [scope_of(axis, 150, 189)]) for values in (units, changed)
    ]
    for name in logs[0]:
        other = "store_id"
        assert_frame_equal(*(frames[name].filter(pl.col(other) == "store-1") for frames in logs))
    detected = [frames["minority_reports_detected_log"].height for frames in logs]
    assert detected[0] == 0 < detected[1]
