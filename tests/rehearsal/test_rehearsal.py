from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mrs_assets.attribution.fitted import load
from mrs_assets.contracts.calendar import day_start
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.trainable import Lessons
from mrs_assets.rehearsal.attribution_model import ATTRIBUTION_MODEL, learn_attribution
from mrs_assets.rehearsal.ground import ground, stored
from mrs_assets.rehearsal.play import Play, see, truth_of
from mrs_assets.rehearsal.reliability import expected_calibration_error
from mrs_assets.rehearsal.scenario import stage_play
from mrs_assets.rehearsal.verdicts import of_verdicts
from tests.attribution.feeds import START, promoted, uplift, with_promotions
from tests.clustering.world import World, frame_of

RETAILER = Retailer(timezone="America/New_York")
SETTINGS = Settings(home=Path("/nowhere"), retailers={"acme": RETAILER})
FIRST = date(2023, 1, 1)


@pytest.fixture(scope="module")
def series() -> pl.DataFrame:
    """A year of 8 stores × 5 products, Poisson around levels of their own."""
    rng = np.random.default_rng(11)
    rows = []
    for store in range(8):
        for sku in range(5):
            units = rng.poisson(rng.uniform(6, 30), 260)
            for n, sold in enumerate(units.tolist()):
                day = FIRST + timedelta(days=n)
                told = {"store_id": f"s{store}", "sku": f"k{sku}", "business_day": day, "ts": day_start(day, RETAILER)}
                rows.append(told | {"units": sold, "revenue": sold * 2, "coverage": "received", "quality_flags": []})
    frame = pl.DataFrame(rows, schema_overrides={"quality_flags": pl.List(pl.String)})
    return stored(SALES_TIMESERIES, frame.with_columns(retailer=pl.lit("acme")))


def lessons(series: pl.DataFrame) -> Lessons:
    frames = {name: log.empty(stored=True) for name, log in ATTRIBUTION_MODEL.reads.items()}
    return Lessons(SETTINGS, frames | {"series": series})


def test_a_play_is_the_same_for_the_same_seed_and_another_for_another(series: pl.DataFrame) -> None:
    plays = [stage_play(ground(series, "acme", RETAILER), seed) for seed in (1, 1, 2)]
    assert np.array_equal(plays[0].units, plays[1].units, equal_nan=True)
    assert plays[0].feeds == plays[1].feeds
    assert not np.array_equal(plays[0].units, plays[2].units, equal_nan=True)


def test_of_stores_with_more_products_than_can_be_played_on_the_same_best_sellers_are_taken() -> None:
    days = pl.date_range(FIRST, FIRST + timedelta(days=149), eager=True)
    stores = pl.DataFrame({"store_id": [f"s{store}" for store in range(4)]})
    products = pl.DataFrame({"number": range(1_200)})
    rows = stores.join(products, how="cross").join(pl.DataFrame({"business_day": days}), how="cross")
    told = rows.select(
        "store_id",
        "business_day",
        retailer=pl.lit("acme"),
        sku=pl.format("k{}", pl.col("number").cast(pl.String).str.zfill(4)),
        ts=pl.col("business_day").cast(pl.Datetime("us", "UTC")),
        units=1 + pl.col("number") // 100,
        revenue=pl.lit(2.0),
        coverage=pl.lit("received"),
        quality_flags=pl.lit([], dtype=pl.List(pl.String)),
    )
    played = ground(stored(SALES_TIMESERIES, told), "acme", RETAILER)
    assert set(played.stores) == {"s0", "s1", "s2", "s3"}
    assert set(played.skus) == {f"k{number:04d}" for number in range(1_000, 1_200)}


def test_units_change_where_effects_say_and_nowhere_else(series: pl.DataFrame) -> None:
    play = stage_play(ground(series, "acme", RETAILER), 3)
    told = np.zeros_like(play.units)
    for effect in play.effects:
        told[effect.first : effect.first + len(effect.units), effect.series] += effect.units
    assert np.allclose(play.units - play.ground.units, told)
    assert not told[: play.first].any()


def test_the_truth_of_a_report_is_what_made_most_of_it(series: pl.DataFrame) -> None:
    play = Play(ground(series, "acme", RETAILER))
    first, base = play.first + 40, play.units
    play.change("social|clip", 0, first, base[first : first + 5, 0] * 6)
    seen = see(play, SETTINGS, {})
    mine = seen.frames["detected"].filter(
        store_id="s0", sku="k0", direction="up", business_day=FIRST + timedelta(days=first + 4)
    )
    truth = seen.truth.join(mine, on=["report_id", "tick"], how="semi")
    assert truth["truth"].to_list() == ["social|clip"]
    others = seen.truth.join(mine, on=["report_id"], how="anti")
    assert set(others["truth"]) <= {"unknown"}
    play.effects.clear()
    assert set(truth_of(mine, play)["truth"]) == {"unknown"}


def test_too_few_series_or_days_are_told_and_nothing_is_learnt(series: pl.DataFrame) -> None:
    with pytest.raises(UserMistake, match="too little to rehearse"):
        learn_attribution(lessons(series.filter(store_id="s1")))
    with pytest.raises(UserMistake, match="too little to rehearse"):
        learn_attribution(lessons(series.filter(pl.col("business_day") > FIRST + timedelta(days=200))))


def test_the_model_is_learnt_from_series_alone_and_twice_the_same(series: pl.DataFrame) -> None:
    shuffled = series.sample(fraction=1.0, shuffle=True, seed=2)
    once, again = (learn_attribution(lessons(rows), plays=9) for rows in (series, shuffled))
    assert once == again
    assert load(once.artefact).temperature > 0
    assert 0 <= once.metrics["first_cause_right"] <= 1
    assert once.metrics["verdicts"] == 0


def verdict(cause: str, category: str = "Marketing / Promotion") -> Lessons:
    world = World(name="acme", retailer=RETAILER)
    logs = with_promotions(uplift(world), promoted(world, START, START + 6))
    last = logs["detected"].sort("tick").row(-1, named=True)
    kept = ("retailer", "business_day", "report_id", "tick", "store_id", "sku", "first_detected_from", "window_start")
    record = {name: last[name] for name in (*kept, "direction", "impact_unit")} | {
        "event_status": "ended",
        "final_decision": "approved",
        "annotation_id": "A1",
        "final_cause": cause,
        "final_cause_category": category,
        "report_status": "finalised",
    }
    frames = {name: log.empty(stored=True) for name, log in ATTRIBUTION_MODEL.reads.items()}
    told = {"finalised": stored(FINALISED, frame_of(FINALISED, [record])), "detected": logs["detected"]}
    told |= {"series": logs["series"], "promotions": logs["promotions"], "clustered": logs["clustered"]}
    return Lessons(SETTINGS, frames | told)


def test_a_confirmed_cause_among_the_candidates_is_the_right_one() -> None:
    (learnt,) = of_verdicts(verdict("Promotion display on PIZZA"))
    assert learnt.answer.tolist() == [0]


def test_a_confirmed_unknown_says_that_it_was_none_of_them() -> None:
    (learnt,) = of_verdicts(verdict("unknown", "unknown"))
    assert learnt.answer.tolist() == [-1]


def test_a_cause_in_a_persons_own_words_teaches_nothing_where_a_candidate_may_be_meant() -> None:
    assert list(of_verdicts(verdict("the pizza week"))) == []
    (learnt,) = of_verdicts(verdict("a burst pipe", "Own Stockout / Operational"))
    assert learnt.answer.tolist() == [-1]


def test_calibration_error_is_none_where_confidence_is_the_share_that_is_right() -> None:
    right = np.array([True] * 8 + [False] * 2)
    sure, unsure = np.full(10, 0.8), np.full(10, 0.3)
    assert expected_calibration_error(sure, right, np.ones(10)) == pytest.approx(0.0, abs=1e-9)
    assert expected_calibration_error(unsure, right, np.ones(10)) == pytest.approx(0.5)
