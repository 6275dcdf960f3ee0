"""What a reader of the reports sees while an anomaly begins, goes on, pauses, and ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from mrs_assets.contracts.ids import report_id
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Inputs
from mrs_assets.detection.axis import Axis, Floats
from mrs_assets.detection.picture import report_picture
from mrs_assets.detection.scan import longest_window
from mrs_assets.detection.stage import DETECTION_STAGE
from tests.detection.pipeline import FIRST, axis_of, run, scope_of, series_rows, settings_for

LONDON = Retailer(timezone="Europe/London")
HISTORY = 150


def _steady(axis: Axis, mean: float = 30.0, count: int = 1, seed: int = 5) -> Floats:
    return np.random.default_rng(seed).poisson(mean, (len(axis), count)).astype(float)


def _reports(
    units: Floats,
    *,
    retailer: Retailer = LONDON,
    axis: Axis | None = None,
    coverage: dict[tuple[int, int], str] | None = None,
    price: float | None = 2.0,
    from_day: int = HISTORY,
    **limits: float,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    axis = axis or axis_of(retailer, units.shape[0])
    rows = series_rows(axis, units, coverage=coverage, price=price)
    logs = run(settings_for(retailer, **limits), rows, [scope_of(axis, from_day, axis.days - 1)])
    return logs["minority_reports_detected_log"].sort("tick"), logs["minority_event_ended_log"]


def _midnight(day: int) -> datetime:
    return datetime.combine(FIRST + timedelta(days=day), datetime.min.time(), tzinfo=ZoneInfo("Europe/London"))


def test_a_spike_is_one_report_from_its_first_day_to_its_last() -> None:
    units = _steady(axis_of(LONDON, 190))
    units[170:175] += 60
    rows, ended = _reports(units)
    assert rows["report_id"].n_unique() == 1
    assert rows["report_id"][0] == report_id("acme", "store-0", "sku-0", _midnight(170))
    assert rows["first_detected_from"].unique().to_list() == [_midnight(170)]
    assert rows["direction"].unique().to_list() == ["up"]
    assert rows["tick"][0] <= _midnight(172)
    assert rows["tick"].diff().drop_nulls().unique().to_list() == [timedelta(days=1)]
    assert rows["window_end"].to_list() == [None] * (rows.height - 1) + [_midnight(175)]
    assert ended.select("window_end", "resolution_reason", "event_status").rows() == [
        (_midnight(175), "recovered", "ended")
    ]
    assert ended["business_day"].to_list() == [FIRST + timedelta(days=176)]


def test_impact_is_the_uplift_in_money() -> None:
    units = _steady(axis_of(LONDON, 190))
    units[170:175] += 60
    last = _reports(units, price=2.0)[0].tail(1).to_dicts()[0]
    assert last["uplift_units"] == pytest.approx(300, rel=0.12)
    assert float(last["impact_estimate"]) == pytest.approx(2 * last["uplift_units"], rel=1e-4)
    assert last["impact_lower"] < last["impact_estimate"] < last["impact_upper"]
    assert last["severity_score"] == pytest.approx(float(last["impact_lower"]), rel=1e-4)
    assert float(last["attributed_sales_total"]) == 2 * units[170:175].sum()
    assert last["impact_unit"] == "money"


def test_without_a_price_impact_is_in_units() -> None:
    units = _steady(axis_of(LONDON, 190))
    units[170:175] += 60
    last = _reports(units, price=None)[0].tail(1).to_dicts()[0]
    assert last["impact_unit"] == "units"
    assert float(last["impact_estimate"]) == pytest.approx(last["uplift_units"], abs=1e-3)


def test_sales_that_stop_are_a_loss_at_the_price_known_before() -> None:
    units = _steady(axis_of(LONDON, 190))
    units[170:176] = 0
    rows, ended = _reports(units, price=2.0)
    last = rows.tail(1).to_dicts()[0]
    assert last["direction"] == "down"
    assert last["first_detected_from"] == _midnight(170)
    assert last["impact_unit"] == "money"
    assert float(last["impact_estimate"]) == pytest.approx(-360, rel=0.12)
    assert ended["window_end"].to_list() == [_midnight(176)]


@pytest.mark.parametrize("coverage", ["missing", "closed", "partial", "not_expected"])
def test_days_that_nobody_reported_are_no_loss(coverage: str) -> None:
    units = _steady(axis_of(LONDON, 190))
    days = {(day, 0): coverage for day in range(165, 180)}
    assert _reports(units, coverage=days)[0].is_empty()


def test_quiet_series_raise_nothing() -> None:
    units = _steady(axis_of(LONDON, 210), mean=8.0, count=12)
    assert _reports(units)[0].is_empty()


def test_a_silent_store_neither_ends_nor_extends_a_report_until_it_expires() -> None:
    units = _steady(axis_of(LONDON, 200))
    units[170:174] += 80
    units[174:] = np.nan
    rows, ended = _reports(units, expire_ticks=10)
    assert rows["last_anomalous_at"].max() == _midnight(174)
    assert ended.select("resolution_reason", "window_end").rows() == [("expired", _midnight(174))]
    assert rows["tick"].max() == _midnight(184)


def test_days_on_which_the_store_is_closed_do_not_make_a_report_expire() -> None:
    units = _steady(axis_of(LONDON, 200))
    units[170:174] += 80
    closed = {(day, 0): "closed" for day in range(174, 195)}
    ended = _reports(units, coverage=closed, expire_ticks=10)[1]
    assert ended.select("resolution_reason", "window_end").rows() == [("recovered", _midnight(174))]
    assert ended["business_day"].to_list() == [FIRST + timedelta(days=196)]


def test_a_pause_shorter_than_the_gap_keeps_the_report() -> None:
    units = _steady(axis_of(LONDON, 190))
    units[170:174] += 60
    units[175:178] += 60
    rows, ended = _reports(units, gap_ticks=2)
    assert rows["report_id"].n_unique() == 1
    assert ended["window_end"].to_list() == [_midnight(178)]


def test_after_its_end_a_later_anomaly_is_another_report() -> None:
    units = _steady(axis_of(LONDON, 200))
    units[165:170] += 90
    units[174:178] += 60
    rows, ended = _reports(units, gap_ticks=2)
    onsets = rows.group_by("report_id").agg(pl.col("first_detected_from").first()).sort("first_detected_from")
    assert onsets["first_detected_from"].to_list() == [_midnight(165), _midnight(174)]
    assert sorted(ended["window_end"].to_list()) == [_midnight(170), _midnight(178)]


def test_a_fall_right_after_a_rise_is_its_own_report() -> None:
    units = _steady(axis_of(LONDON, 200), mean=60)
    units[165:170] *= 2
    units[170:176] *= 0.1
    rows, _ = _reports(np.round(units))
    spans = rows.group_by("report_id").agg(pl.col("direction").first(), pl.col("first_detected_from").first())
    assert sorted(spans["direction"].to_list()) == ["down", "up"]
    assert spans.filter(pl.col("direction") == "down")["first_detected_from"].to_list() == [_midnight(170)]


@pytest.mark.parametrize("times", [2.5, 0.2])
def test_a_level_that_stays_becomes_what_is_expected(times: float) -> None:
    units = _steady(axis_of(LONDON, 290), mean=40, count=4)
    units[160:] = np.round(units[160:] * times)
    rows, ended = _reports(units)
    assert rows["report_id"].n_unique() == 4
    assert ended.height == 4
    assert rows["tick"].max() <= _midnight(160 + 78)


def test_an_evening_in_an_hourly_series_is_reported_at_the_next_tick() -> None:
    retailer = Retailer(timezone="Europe/London", grain="1h")
    axis = axis_of(retailer, 154)
    hour = axis.minute // 60
    mean = np.where((hour >= 7) & (hour < 22), 25.0, 0.0)[:, None]
    evening = (axis.day_number == 152) & (hour >= 15) & (hour < 21)
    units = np.random.default_rng(1).poisson(mean).astype(float)
    units[evening, 0] *= 4
    units[(axis.day_number == 152) & (hour == 15), 0] /= 1.6
    rows, ended = _reports(units, retailer=retailer, axis=axis)
    local = ZoneInfo("Europe/London")
    at = [datetime(2024, 6, 1, h, tzinfo=local).astimezone(UTC) for h in (15, 17, 21)]
    assert rows["report_id"].n_unique() == 1
    assert rows["first_detected_from"][0] in (at[0], at[0] + timedelta(hours=1))
    assert rows["tick"][0] <= at[1]
    assert rows["tick"].diff().drop_nulls().unique().to_list() == [timedelta(hours=1)]
    assert ended.select("window_end", "resolution_reason").rows() == [(at[2], "recovered")]


def test_the_days_after_the_clocks_change_are_ordinary_days() -> None:
    retailer = Retailer(timezone="Europe/London", grain="1h")
    axis = axis_of(retailer, 160, date(2023, 11, 1))
    hour = axis.minute // 60
    units = np.random.default_rng(2).poisson(np.where((hour >= 8) & (hour < 20), 40.0, 0.5)[:, None]).astype(float)
    assert len(axis) == 160 * 24 - 1
    rows, _ = _reports(units, retailer=retailer, axis=axis, from_day=149)
    assert rows.is_empty()


def test_a_window_reaches_back_no_further_than_the_stage_reads() -> None:
    assert longest_window(settings_for(LONDON, max_window_ticks=500), LONDON) == 60


def test_a_report_whose_evidence_was_taken_back_claims_no_impact() -> None:
    axis = axis_of(LONDON, 185)
    units = _steady(axis)
    units[170:176] += 80
    chosen = settings_for(LONDON, expire_ticks=3)
    rows = series_rows(axis, units)
    past = run(chosen, rows, [scope_of(axis, HISTORY, 175)])["minority_reports_detected_log"]
    inputs = {
        "series": SALES_TIMESERIES.empty(),
        "baseline": BASELINE.empty(),
        "classifier": CLASSIFIER.empty(),
        "past": past,
        "previous": DETECTED.empty(),
        "closed": ENDED.empty(),
    }
    detected = DETECTION_STAGE.compute(Inputs(scope_of(axis, 176, 180), chosen, inputs))[DETECTION_STAGE.name]
    assert detected["report_id"].unique().to_list() == past["report_id"].unique().to_list()
    for column in ("impact_estimate", "uplift_units", "severity_score", "attributed_sales_total"):
        assert detected[column].null_count() == detected.height == 3


def test_pictures_are_the_same_bytes_for_the_same_rows_and_show_the_reports() -> None:
    axis = axis_of(LONDON, 190)
    units = _steady(axis)
    units[170:175] += 60
    series = series_rows(axis, units)
    logs = run(settings_for(LONDON), series, [scope_of(axis, HISTORY, 189)])
    baseline, reports = logs["baseline_sales_model_prediction_log"], logs["minority_reports_detected_log"]
    drawn = report_picture(series, baseline, reports, timezone="Europe/London")
    assert drawn.startswith(b"\x89PNG")
    assert drawn == report_picture(
        series.sample(fraction=1.0, shuffle=True), baseline, reports, timezone="Europe/London"
    )
    assert drawn != report_picture(series, baseline, reports.clear(), timezone="Europe/London")
