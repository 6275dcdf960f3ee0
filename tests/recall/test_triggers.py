"""Triggers that need facts which take long to come about: each on facts made by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from mrs_assets.contracts.logs.rereview import TRIGGERS as NAMES
from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import FIRED
from mrs_assets.recall.table import TRIGGERS, all_fired
from tests.recall.made import NOW, facts, frame, report, report_id

BEGIN = datetime(2025, 3, 1, tzinfo=UTC)


def ids(fired: pl.DataFrame) -> set[str]:
    return set(fired["report_id"])


def test_every_trigger_of_the_table_is_a_reason_of_the_contract() -> None:
    assert set(TRIGGERS) | {"schema_drift"} == set(NAMES)


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_trigger_is_silent_without_facts_and_about_what_was_concluded_just_now(name: str) -> None:
    assert TRIGGERS[name](facts()).equals(pl.DataFrame(schema=FIRED))
    assert TRIGGERS[name](facts(report(1), report(2))).is_empty()


def doubtful() -> Facts:
    """Facts that most triggers fire on."""
    old = {"considered_at": NOW - timedelta(days=40)}
    rows = [report(n, **old, report_group_id="ME-1", proposed_cause=f"Cause {n % 2}") for n in range(1, 6)]
    rows += [report(7, **old, reasons=["campaigns_down"]), report(8, **old, cause_version="choice-0")]
    rows += [report(9, considered_at=NOW - timedelta(days=200)), report(10, **old, confidence_score=None)]
    down = frame("down", {"retailer": "acme", "reason": "campaigns_down", "from_day": date(9999, 12, 31)})
    return facts(*rows, down=down)


def test_the_order_of_rows_makes_no_difference() -> None:
    known = doubtful()
    shuffled = {name: rows.sample(fraction=1, shuffle=True, seed=3) for name, rows in known.frames.items()}
    again = all_fired(Facts(known.now, known.settings, shuffled, known.in_force, known.code))
    assert all_fired(known).equals(again)
    assert set(again["trigger_reason"]) >= {"model_update", "input_recovered", "aged", "contradictory_evidence"}


def test_members_that_name_different_causes_are_looked_at_once_they_had_time() -> None:
    together = {"report_group_id": "ME-1"}
    rows = [report(1, **together), report(2, **together, proposed_cause="Campaign"), report(3)]
    assert TRIGGERS["contradictory_evidence"](facts(*rows)).is_empty()
    later = facts(*rows, now=NOW + timedelta(days=7))
    assert ids(TRIGGERS["contradictory_evidence"](later)) == {report_id(1), report_id(2)}
    unsure = [row | {"confidence_score": 0.4} for row in rows]
    assert TRIGGERS["contradictory_evidence"](facts(*unsure, now=later.now)).is_empty()


@pytest.mark.parametrize(
    ("from_day", "expected"), [(date.max, {1}), (date(2025, 3, 5), {1}), (date(2025, 3, 1), set())]
)
def test_an_input_that_is_there_again_for_the_day_recalls(from_day: date, expected: set[int]) -> None:
    rows = [report(1, reasons=["campaigns_down"]), report(2, reasons=["MRCL_down"]), report(3)]
    down = frame("down", {"retailer": "acme", "reason": "campaigns_down", "from_day": from_day})
    assert ids(TRIGGERS["input_recovered"](facts(*rows, down=down))) == {report_id(n) for n in expected}


def sold(n: int, inside: float, after: float) -> list[dict[str, Any]]:
    """Ten units a day before the window, others within and after it."""
    units = [10.0] * 35 + [inside] * 4 + [after] * 35
    first = BEGIN - timedelta(days=35)
    return [{"report_id": report_id(n), "ts": first + timedelta(days=d), "units": u} for d, u in enumerate(units)]


@pytest.mark.parametrize(
    ("after", "contradicts"),
    [(10.0, False), (12.0, False), (40.0, True)],
    ids=["as before", "a little more", "a new level"],
)
def test_what_was_sold_afterwards_contradicts_an_uplift(after: float, *, contradicts: bool) -> None:
    """Reported: 20 units on each of 4 days where 10 were expected. A level that stays is no uplift."""
    settled = {"considered_at": NOW - timedelta(days=36)}
    known = facts(report(1, **settled), report(2), series=frame("series", *sold(1, 20.0, after), *sold(2, 20.0, 40.0)))
    assert ids(TRIGGERS["settled_evidence"](known)) == ({report_id(1)} if contradicts else set())


def test_one_side_alone_settles_nothing() -> None:
    rows = [row for row in sold(1, 20.0, 40.0) if row["ts"] < BEGIN + timedelta(days=8)]
    known = facts(report(1, considered_at=NOW - timedelta(days=36)), series=frame("series", *rows))
    assert TRIGGERS["settled_evidence"](known).is_empty()


def test_confidence_that_people_bear_out_recalls_nobody() -> None:
    decided = [report(n, final_decision="approved", person_cause="Rain", annotation_id=f"a{n}") for n in range(1, 6)]
    assert TRIGGERS["confidence_drift"](facts(*decided, report(6))).is_empty()
    wrong = [row | {"final_decision": "rejected", "person_cause": None} for row in decided]
    other = report(7, cluster_id="step", proposed_cause_category="Price")
    assert ids(TRIGGERS["confidence_drift"](facts(*wrong, report(6), other))) == {report_id(6)}
    assert TRIGGERS["confidence_drift"](facts(*wrong[:4], report(6))).is_empty(), "too few to say"
