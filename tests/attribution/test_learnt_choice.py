from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mrs_assets.attribution.fitted import FittedChoice, ForeignArtefactError, dump, load
from mrs_assets.attribution.fitting import PULL, Examples, fit, shares, temperature
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE, MODEL, MODEL_VERSION
from mrs_assets.attribution.terms import INPUTS, candidate_terms, unknown_terms
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.stage import Model
from tests.attribution.feeds import QUIET, START, promoted, signal, uplift, with_promotions, with_signals
from tests.clustering.world import Logs, World, run

TERMS, SITUATION = list(candidate_terms()), list(unknown_terms())


def drawn(count: int, seed: int) -> Examples:
    """Choices between a promotion that overlaps and one that does not; the first is right where it overlaps enough."""
    rng = np.random.default_rng(seed)
    terms = np.zeros((2 * count, len(TERMS)))
    terms[:, TERMS.index("kind promotion")] = 1.0
    overlap = rng.normal(0.0, 1.5, 2 * count)
    terms[:, TERMS.index("overlap")] = overlap
    odds = np.exp(2.0 * overlap.reshape(count, 2) - 1.0)
    draw = rng.random(count) * (1.0 + odds.sum(axis=1))
    answer = np.where(draw < odds[:, 0], 0, np.where(draw < odds.sum(axis=1), 1, -1))
    return Examples(
        terms=terms,
        owner=np.repeat(np.arange(count), 2),
        situation=np.zeros((count, len(SITUATION))),
        answer=np.where(answer < 0, -1, 2 * np.arange(count) + answer),
        weight=np.ones(count),
    )


def learnt(**changed: float) -> FittedChoice:
    fitted = fit(drawn(400, 1))
    candidate = dict(fitted.candidate) | {"onset": 1.0, "unlocated": -1.0}
    unknown = dict(fitted.unknown) | dict.fromkeys((f"absent {name}" for name in INPUTS), 0.3) | changed
    return FittedChoice(candidate, unknown, 1.0)


def answer(logs: Logs, world: World, choice: FittedChoice | None, **missing: str) -> dict[str, Any]:
    day = world.day(START + 4)
    models = {} if choice is None else {MODEL: Model("learnt-1", choice)}
    rows = run(ATTRIBUTION_STAGE, logs, world.settings(), day, day, models, **missing)[ATTRIBUTED.name]
    return rows.sort("store_id", "sku").to_dicts()[0]


def test_fitting_finds_what_the_choices_were_drawn_from() -> None:
    choice = fit(drawn(3_000, 2))
    assert choice.candidate["overlap"] == pytest.approx(2.0, abs=0.25)
    assert choice.candidate["kind promotion"] == pytest.approx(-1.0, abs=0.25)
    assert temperature(choice, drawn(3_000, 3)) == pytest.approx(1.0, abs=0.15)


def test_what_no_lesson_speaks_of_stays_as_declared() -> None:
    choice = fit(drawn(300, 4))
    assert choice.candidate["evidence stock_out"] == pytest.approx(0.9, abs=1e-3)
    assert all(choice.unknown[f"absent {name}"] >= 0 for name in INPUTS)


def test_shares_of_a_choice_add_up_to_one() -> None:
    asked = drawn(50, 5)
    of_candidates, of_unknown = shares(fit(drawn(300, 6)), asked)
    assert np.bincount(asked.owner, of_candidates) + of_unknown == pytest.approx(1.0)


def test_the_same_lessons_give_the_same_bytes_and_they_are_read_back() -> None:
    once, again = dump(fit(drawn(300, 7))), dump(fit(drawn(300, 7)))
    assert once == again
    assert dump(load(once)) == once


def coefficients(choice: FittedChoice) -> np.typing.NDArray[np.float64]:
    return np.array([*choice.candidate.values(), *choice.unknown.values()])


def test_fitting_ends_far_closer_to_the_optimum_than_it_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the order of additions, and so the number of threads, would decide a last digit, and a model's name."""
    monkeypatch.setattr("mrs_assets.attribution.fitting.DECIMALS", 14)
    lessons = drawn(1_000, 8)
    lessons.terms[:] += np.random.default_rng(8).lognormal(size=lessons.terms.shape)
    declared = fit(replace(lessons, weight=0 * lessons.weight))
    fitted = fit(lessons)
    of_candidates, of_unknown = shares(fitted, lessons)
    named = lessons.answer >= 0
    of_candidates[lessons.answer[named]] -= 1.0
    slope = np.concatenate([lessons.terms.T @ of_candidates, lessons.situation.T @ (of_unknown - ~named)])
    assert np.abs(slope + PULL * (coefficients(fitted) - coefficients(declared))).max() < 1e-9


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"\x80\x04.",
        b"[]",
        b'{"format": "something else"}',
        dump(learnt()).replace(b'"overlap"', b'"overlop"'),
        dump(learnt()).replace(b'"temperature": 1.0', b'"temperature": 0'),
        dump(learnt()).replace(b'"onset": 1.0', b'"onset": NaN'),
        dump(learnt()).replace(b'"onset": 1.0', b'"onset": "much"'),
    ],
    ids=["empty", "a pickle", "a list", "another format", "other terms", "no temperature", "not a number", "a text"],
)
def test_bytes_that_are_no_choice_of_ours_are_refused(foreign: bytes) -> None:
    with pytest.raises(ForeignArtefactError):
        load(foreign)


def test_with_a_model_the_promotion_at_the_time_beats_its_decoys() -> None:
    world = World(retailer=QUIET)
    logs = with_promotions(
        uplift(world),
        promoted(world, START, START + 6),
        promoted(world, START - 30, START - 24, promotion_id="P2", mechanic="mailer"),
        promoted(world, START, START + 6, store="s2", promotion_id="P3", mechanic="coupon"),
    )
    row = answer(logs, world, learnt())
    assert row["proposed_cause"] == "Promotion display on PIZZA"
    assert row["model_version"] == "learnt-1"
    evidence = json.loads(row["supporting_evidence"])
    assert evidence["candidates"][0]["why"].startswith("Begins with the window and shares")
    assert evidence["unknown_share"] + evidence["candidates"][0]["confidence"] == pytest.approx(1.0, abs=0.01)


def test_with_a_model_and_without_the_cause_in_any_feed_the_answer_is_unknown() -> None:
    world = World(retailer=QUIET)
    logs = with_promotions(uplift(world), promoted(world, START - 30, START - 24))
    assert answer(logs, world, learnt())["proposed_cause"] == "unknown"


def test_an_absent_input_makes_the_answer_less_sure_whoever_is_to_blame() -> None:
    world = World(retailer=QUIET)
    logs = with_promotions(uplift(world), promoted(world, START, START + 6))
    whole = answer(logs, world, learnt())["confidence_score"]
    for state in ("missing", "unconfigured"):
        assert answer(logs, world, learnt(), campaigns=state)["confidence_score"] < whole


def test_a_candidate_that_contradicts_the_direction_is_not_proposed() -> None:
    world = World(retailer=QUIET)
    logs = with_signals(uplift(world), signal(world, START, START + 5, direction="down"))
    row = answer(logs, world, learnt())
    assert row["proposed_cause"] == "unknown"
    told = json.loads(row["supporting_evidence"])["candidates"][0]
    assert told["why"].endswith("but it would move sales the other way.")
    assert told["confidence"] is None


def test_without_a_model_the_declared_weights_speak_and_the_rows_name_them() -> None:
    world = World(retailer=QUIET)
    logs = with_promotions(uplift(world), promoted(world, START, START + 6))
    row = answer(logs, world, None)
    assert row["model_version"] == MODEL_VERSION
    assert row["proposed_cause"] == "Promotion display on PIZZA"
    assert answer(logs, world, None, **{MODEL: "missing"})["confidence_score"] == row["confidence_score"]
