"""The trained classifier: what it decides, that it can be relied on day by day, and what happens without it."""

from __future__ import annotations

import pickle

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.stage import Model
from mrs_assets.detection.axis import Floats
from mrs_assets.detection.baseline_stage import MODEL as BASELINE_NAME
from mrs_assets.detection.classifier_stage import MODEL as CLASSIFIER_NAME
from mrs_assets.detection.classifier_training import train_classifier
from mrs_assets.detection.judgement import dump_classifier, load_classifier
from mrs_assets.detection.trusted_pickle import ForeignArtefactError
from mrs_assets.injection.generator import inject
from tests.detection import lessons
from tests.detection.lessons import DAYS, PER_STORE, SERIES, TAUGHT
from tests.detection.pipeline import Logs, run, scope_of

STORES = [f"store-{number // PER_STORE}" for number in range(SERIES)]
ITEMS = [f"sku-{number % PER_STORE}" for number in range(SERIES)]


def _in_force(*, classifier: bool = True) -> dict[str, Model]:
    baseline, trained, _ = lessons.models()
    judging = {CLASSIFIER_NAME: Model("c1", trained)} if classifier else {}
    return {BASELINE_NAME: Model("b1", baseline), **judging}


def _logs(units: Floats, scopes: list[tuple[int, int]], *, classifier: bool = True, **detection: float) -> Logs:
    chosen = lessons.settings()
    chosen = chosen.model_copy(update={"detection": chosen.detection.model_copy(update=detection)})
    axis = lessons.axis()
    spans = [scope_of(axis, first, last) for first, last in scopes]
    return run(chosen, lessons.rows(units), spans, models=_in_force(classifier=classifier))


def _loud(seed: int) -> Floats:
    return inject(lessons.sales(), STORES, ITEMS, first=TAUGHT, seed=1_000 + seed).units


@hypothesis_settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 500), cuts=st.sets(st.integers(TAUGHT, DAYS - 2), min_size=1, max_size=5))
def test_a_range_says_what_its_days_say_alone(seed: int, cuts: set[int]) -> None:
    units = _loud(seed)
    whole = _logs(units, [(TAUGHT, DAYS - 1)], fdr=0.3)
    begins, ends = [TAUGHT, *(cut + 1 for cut in sorted(cuts))], [*sorted(cuts), DAYS - 1]
    parts = _logs(units, list(zip(begins, ends, strict=True)), fdr=0.3)
    for name, frame in whole.items():
        assert_frame_equal(frame, parts[name], check_exact=True)
    assert whole[CLASSIFIER.name]["classifier_source"].unique().to_list() == ["model"]


def test_what_it_reports_is_mostly_injected_and_the_deviation_alone_reports_more_that_is_not() -> None:
    injection = inject(lessons.sales(), STORES, ITEMS, first=TAUGHT, seed=1_700)
    true = {(STORES[e.series], ITEMS[e.series], "up" if e.sign > 0 else "down") for e in injection.events}

    def reported(*, classifier: bool) -> set[tuple[str, str, str]]:
        rows = _logs(injection.units, [(TAUGHT, DAYS - 1)], classifier=classifier)[DETECTED.name]
        return set(rows.select("store_id", "sku", "direction").unique().iter_rows())

    judged, deviating = reported(classifier=True), reported(classifier=False)
    assert len(judged & true) >= 5
    assert len(judged - true) / len(judged) < 0.25
    assert len(deviating - true) > 2 * len(judged - true)


def test_a_window_that_a_model_judged_says_how_sure_it_is() -> None:
    logs = _logs(_loud(1), [(TAUGHT, DAYS - 1)], fdr=0.3)
    windows, reports = logs[CLASSIFIER.name], logs[DETECTED.name]
    for column in ("anomaly_probability", "p_value", "q_value"):
        assert windows[column].null_count() == 0
        assert windows[column].is_between(0, 1).all()
    assert windows["model_version"].unique().to_list() == ["c1"]
    # The likelier a window is an anomaly, the lower the false-discovery rate at which it is reported.
    ordered = windows.sort("anomaly_probability")
    assert ordered["p_value"].is_sorted(descending=True)
    assert reports["anomaly_probability"].null_count() == 0
    least = (reports["impact_estimate"].cast(pl.Float64).abs() - _half(reports)).clip(0)
    assert np.allclose(reports["severity_score"], least * reports["anomaly_probability"], atol=1e-3)


def _half(reports: pl.DataFrame) -> pl.Series:
    lower, upper = (reports[name].cast(pl.Float64) for name in ("impact_lower", "impact_upper"))
    return (upper - lower) / 2


def test_without_it_the_same_windows_are_judged_by_their_deviation() -> None:
    units = _loud(2)
    with_model, without = (
        _logs(units, [(TAUGHT, DAYS - 1)], classifier=classifier)[CLASSIFIER.name] for classifier in (True, False)
    )
    key = list(CLASSIFIER.key)
    assert_frame_equal(with_model.select(*key, "scan_z"), without.select(*key, "scan_z"))
    assert without["classifier_source"].unique().to_list() == ["deviation_heuristic"]
    for column in ("anomaly_probability", "p_value", "q_value", "model_version"):
        assert without[column].null_count() == without.height


def test_days_that_the_rows_show_to_be_sent_twice_need_no_model() -> None:
    units = lessons.sales().copy()
    day, series = DAYS - 5, 12
    units[day, series] = 2 * np.nanmean(units[:, series]) + 8 * np.nanstd(units[:, series])
    rows = lessons.rows(units)
    own = (pl.col("store_id") == STORES[series]) & (pl.col("sku") == ITEMS[series])
    on_the_day = own & (pl.col("business_day") == lessons.axis().business_day(day))
    flags = pl.when(on_the_day).then(pl.lit(["repeated_block"])).otherwise(pl.col("quality_flags"))
    strict = lessons.settings()
    strict = strict.model_copy(update={"detection": strict.detection.model_copy(update={"fdr": 1e-6})})
    scope = [scope_of(lessons.axis(), day, day)]
    plain, doubted = (
        run(strict, frame, scope, models=_in_force())[DETECTED.name].filter(own)
        for frame in (rows, rows.with_columns(quality_flags=flags))
    )
    assert plain.height == 0
    assert doubted["direction"].to_list() == ["up"]


def test_another_store_has_no_say() -> None:
    units = _loud(3)
    other = units.copy()
    own = np.array([store != "store-0" for store in STORES])
    other[:, own] = _loud(4)[:, own] * 2
    for name, frame in _logs(units, [(TAUGHT, DAYS - 1)], fdr=0.3).items():
        twin = _logs(other, [(TAUGHT, DAYS - 1)], fdr=0.3)[name]
        assert_frame_equal(frame.filter(store_id="store-0"), twin.filter(store_id="store-0"), check_exact=True)


def test_the_same_rows_train_the_same_bytes_in_any_order() -> None:
    past = lessons.rows().filter(pl.col("business_day") <= scope_of(lessons.axis(), 0, TAUGHT - 1).last_day)
    baseline, trained, figures = lessons.models()
    shuffled = past.sample(fraction=1.0, shuffle=True, seed=5)
    again, same = train_classifier(shuffled, PROMOTIONS.empty(), lessons.settings(), baseline)
    assert dump_classifier(again) == dump_classifier(trained)
    assert same == figures
    assert dump_classifier(load_classifier(dump_classifier(trained))) == dump_classifier(trained)


@pytest.mark.parametrize("artefact", [b"", b"not a model", pickle.dumps([1]), pickle.dumps(pickle.Pickler)])
def test_other_bytes_are_refused(artefact: bytes) -> None:
    with pytest.raises(ForeignArtefactError):
        load_classifier(artefact)


def test_a_history_without_deviations_is_said_not_learnt() -> None:
    few = lessons.rows().filter((pl.col("store_id") == "store-0") & (pl.col("sku") == "sku-1"))
    with pytest.raises(UserMistake, match="Too few windows"):
        train_classifier(few, PROMOTIONS.empty(), lessons.settings(), None)
    strangers = few.with_columns(retailer=pl.lit("nobody we know"))
    with pytest.raises(UserMistake, match="Too few windows"):
        train_classifier(strangers, PROMOTIONS.empty(), lessons.settings(), None)
