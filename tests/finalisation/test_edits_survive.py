"""Edits and corrections on the logs: an edit is carried, agreed with, or shown with both sides; never dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.finalisation.asset_body import finalise_scope
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.verification.comparison import difference, log_content
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from tests.conftest import SteppingClock
from tests.hydration.rows import PROVENANCE, action, instant, put, replace_all, report_id, row

SETTINGS = Settings(home=Path("unused"), retailers={"acme": Retailer(timezone="Europe/London")})
MARCH = Scope(date(2024, 3, 1), date(2024, 3, 31), retailer="acme")
STAGES = (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED)
RAIN = {"proposed_cause": "Rain", "proposed_cause_category": "Weather"}


@pytest.fixture
def tx(store: LogStore) -> Iterator[Transaction]:
    with store.transaction() as transaction:
        yield transaction


def tell(tx: Transaction, n: int = 1, tick: int = 1, **values: dict[str, Any]) -> None:
    for contract in STAGES:
        default = {"impact_estimate": 100} if contract is DETECTED else {}
        put(tx, contract, row(contract, n=n, tick=tick, **default | values.get(contract.stage, {})))


def vanish(tx: Transaction) -> None:
    for contract in STAGES:
        replace_all(tx, contract)


def known_at(tx: Transaction, n: int = 1) -> datetime:
    """What `mrs edit` writes as the belief that an edit is based on."""
    shown = Hydrator(FOLDS).as_of(tx, MINORITY_REPORTS, None).filter(report_id=report_id(n))
    return shown["known_at"][0]


def said(tx: Transaction, annotation: str, what: str, n: int = 1, day: int = 10, **values: Any) -> None:
    values = {"based_on_written_at": known_at(tx, n)} | values
    put(tx, USER_EDITS, action(USER_EDITS, annotation, what, n, acted_at=instant(day), **values))


def record(tx: Transaction, n: int = 1) -> dict[str, Any]:
    finalise_scope(tx, MARCH, SETTINGS, PROVENANCE)
    return tx.live(FINALISED).filter(report_id=report_id(n)).row(0, named=True)


def sides(seen: dict[str, Any]) -> list[tuple[Any, ...]]:
    listed = json.loads(seen["review_sides"]) if seen["review_sides"] else []
    return [(side["annotation_id"], side["field"], side["saw"], side["decided"], side["now"]) for side in listed]


def test_a_cause_of_the_analyst_meets_another_cause_of_the_machine_until_she_speaks_again(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    said(tx, "a2", "add_evidence")
    assert record(tx)["review_state"] is None
    tell(tx, attribution=RAIN)
    seen = record(tx)
    assert (seen["final_cause"], seen["final_decision"], seen["evidence_count"]) == ("Till fault", "edited", 1)
    assert (seen["review_state"], seen["edit_issues"]) == ("needs_review", ["needs_review_final_cause"])
    assert json.loads(seen["review_sides"]) == [
        {
            "acted_at": "2024-03-11T00:00:00+00:00",
            "action": "edit",
            "actor": "lewis",
            "annotation_id": "a1",
            "decided": "Till fault",
            "field": "final_cause",
            "now": "Rain",
            "saw": "Campaign 1",
        }
    ]
    shown = Hydrator(FOLDS).as_of(tx, MINORITY_REPORTS, None).row(0, named=True)
    assert (shown["review_state"], shown["review_sides"]) == ("needs_review", seen["review_sides"])
    said(tx, "a3", "edit", field="final_cause", value="Till fault", day=12)
    seen = record(tx)
    assert (seen["review_state"], seen["review_sides"], seen["edit_issues"]) == (None, None, [])
    assert seen["final_cause"] == "Till fault"


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("undo", {"undoes": "a1"}),
        ("clear", {"field": "final_cause"}),
        ("approve", {"value": "Rain"}),
        ("reject", {}),
    ],
)
def test_a_later_word_resolves_and_an_older_belief_does_not(tx: Transaction, what: str, values: dict[str, Any]) -> None:
    tell(tx)
    before = known_at(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    tell(tx, attribution=RAIN)
    assert record(tx)["review_state"] == "needs_review"
    said(tx, "a2", what, day=12, **values)
    assert (record(tx)["review_state"], record(tx)["review_sides"]) == (None, None)
    if what in ("approve", "reject"):
        said(tx, "a2", what, day=12, based_on_written_at=before, **values)
        assert record(tx)["review_state"] == "needs_review"


def test_who_asks_for_something_in_ignorance_does_not_hide_the_conflict(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    said(tx, "a2", "request_review", day=11)
    assert record(tx)["review_state"] == "requested"
    tell(tx, attribution=RAIN)
    assert record(tx)["review_state"] == "needs_review"
    said(tx, "a3", "defer", day=12)
    seen = record(tx)
    assert (seen["review_state"], sides(seen)) == (
        "deferred",
        [("a1", "final_cause", "Campaign 1", "Till fault", "Rain")],
    )


def test_a_machine_that_comes_round_or_says_nothing_contradicts_nobody(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="final_cause", value="Rain")
    tell(tx, attribution=RAIN)
    assert record(tx)["review_state"] is None
    tell(tx, attribution={"proposed_cause": "unknown", "proposed_cause_category": "unknown", "confidence_score": None})
    assert record(tx)["review_state"] is None
    tell(tx, attribution={"proposed_cause": "Easter", "proposed_cause_category": "Holiday / Calendar"})
    assert record(tx)["review_state"] == "needs_review"


def test_what_the_analyst_did_not_rely_on_leaves_no_trace(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="cluster_name", value="till fault")
    said(tx, "a2", "add_evidence")
    before = record(tx)
    tell(tx, detection={"impact_estimate": 100, "scan_z": 9.0})
    assert record(tx) == before


def test_a_window_moves_under_an_edited_end(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="window_end", value="2024-03-05T00:00:00Z")
    assert record(tx)["review_state"] is None
    tell(tx, detection={"window_end": instant(2)})
    assert sides(record(tx)) == [
        ("a1", "window_end", "goes on", "2024-03-05T00:00:00+00:00", "2024-03-03T00:00:00+00:00")
    ]
    tell(tx, detection={"window_end": instant(4)})
    assert record(tx)["review_state"] is None, "the machine says now what was decided"


@pytest.mark.parametrize(
    ("correction", "field"),
    [
        ({"direction": "down", "impact_estimate": 100}, "direction"),
        ({"impact_estimate": -100}, "impact"),
        ({"impact_estimate": 201}, "impact"),
        ({"impact_estimate": 49}, "impact"),
        ({"impact_estimate": 0}, "impact"),
        ({"impact_estimate": 200}, None),
        ({"impact_estimate": 50}, None),
        ({"impact_estimate": None}, None),
        ({"impact_estimate": 300, "impact_unit": "units"}, None),
    ],
)
def test_a_verdict_rests_on_direction_and_impact(
    tx: Transaction, correction: dict[str, Any], field: str | None
) -> None:
    tell(tx)
    said(tx, "a1", "reject")
    tell(tx, detection=correction)
    seen = record(tx)
    assert [side[1] for side in sides(seen)] == ([field] if field else [])
    assert seen["edit_issues"] == ([f"needs_review_{field}"] if field else [])
    assert seen["final_decision"] == "rejected"


def test_an_anomaly_that_merely_goes_on_is_not_a_correction(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "reject")
    tell(tx, tick=5, detection={"impact_estimate": 900})
    assert record(tx)["review_state"] is None
    tell(tx, tick=1, detection={"impact_estimate": 300})
    assert sides(record(tx)) == [("a1", "impact", "100.0000 money", "rejected", "300.0000 money")]


@pytest.mark.parametrize(("onset", "state"), [(0, None), (3, "needs_review")])
def test_an_edit_moves_to_the_new_identity_and_says_where_it_came_from(
    tx: Transaction, onset: int, state: str | None
) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    said(tx, "a2", "add_evidence")
    record(tx)
    vanish(tx)
    tell(tx, n=2, tick=4, detection={"supersedes": report_id(1), "window_start": instant(onset)})
    moved, closed = record(tx, 2), record(tx, 1)
    assert (moved["final_cause"], moved["evidence_count"], moved["edited_as"]) == ("Till fault", 1, [report_id(1)])
    assert (moved["review_state"], [side[1] for side in sides(moved)]) == (state, ["window"] if state else [])
    assert (closed["resolution_reason"], closed["final_cause"], closed["annotation_id"]) == (
        "data correction",
        "Till fault",
        "a1",
    )
    assert (closed["evidence_count"], closed["edited_as"], closed["review_state"]) == (1, None, None)


def test_edits_stay_on_a_closed_record_and_live_on_when_the_report_does(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "approve", value="Campaign 1")
    said(tx, "a2", "add_evidence")
    said(tx, "a3", "edit", field="window_end", value="2024-03-05T00:00:00Z")
    open_ = record(tx)
    vanish(tx)
    kept = ("final_cause", "final_decision", "annotation_id", "evidence_count", "window_end", "finalized_at")
    closed = record(tx)
    assert (closed["report_status"], closed["resolution_reason"]) == ("ended", "data correction")
    assert {name: closed[name] for name in kept} == {name: open_[name] for name in kept}
    said(tx, "a4", "add_evidence", day=12)
    assert record(tx)["evidence_count"] == 2, "a closed record still takes words"
    tell(tx, attribution=RAIN)
    back = record(tx)
    assert (back["report_status"], back["evidence_count"], back["final_cause"]) == ("finalised", 2, "Campaign 1")
    assert sides(back) == [("a1", "final_cause", "Campaign 1", "Campaign 1", "Rain")]


def test_an_edit_of_a_closed_record_is_compared_with_what_was_last_known(tx: Transaction) -> None:
    tell(tx)
    record(tx)
    vanish(tx)
    record(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    tell(tx)
    assert record(tx)["review_state"] is None
    tell(tx, attribution=RAIN)
    assert sides(record(tx)) == [("a1", "final_cause", "Campaign 1", "Till fault", "Rain")]


def test_without_a_named_belief_the_instant_of_acting_counts_and_never_more_than_was_known(tx: Transaction) -> None:
    tell(tx)
    far_off = datetime.fromisoformat("2031-01-01T00:00:00+00:00")
    entry = action(USER_EDITS, "a1", "edit", field="final_cause", value="Till fault", acted_at=far_off)
    put(tx, USER_EDITS, entry)
    tell(tx, attribution=RAIN)
    assert sides(record(tx)) == [("a1", "final_cause", "Campaign 1", "Till fault", "Rain")]
    put(tx, USER_EDITS, entry | {"acted_at": instant(1)})
    assert record(tx)["review_state"] is None, "nothing is known of what was seen before anything was written"


def test_a_build_without_the_history_is_compared_without_the_review(tx: Transaction, tmp_path: Path) -> None:
    entry = {"field": "final_cause", "value": "Till fault", "based_on_written_at": None}
    with LogStore(tmp_path / "clean", SteppingClock()).transaction() as clean:
        tell(clean, attribution=RAIN)
        put(clean, USER_EDITS, action(USER_EDITS, "a1", "edit", **entry))
        tell(tx)
        said(tx, "a1", "edit", **entry | {"based_on_written_at": known_at(tx)})
        tell(tx, attribution=RAIN)
        states = [record(each)["review_state"] for each in (tx, clean)]
        contents = [log_content(each, FINALISED) for each in (tx, clean)]
    assert states == ["needs_review", None]
    assert difference(FINALISED.name, FINALISED.key, *contents).is_none


def test_a_contested_report_that_vanishes_asks_for_nothing(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    tell(tx, attribution=RAIN)
    assert record(tx)["review_state"] == "needs_review"
    vanish(tx)
    seen = record(tx)
    assert (seen["final_cause"], seen["review_state"], seen["review_sides"]) == ("Till fault", None, None)


def test_a_policy_is_no_person(tx: Transaction) -> None:
    tell(tx)
    said(tx, "a1", "approve", user_role="system", value="Campaign 1")
    tell(tx, attribution=RAIN)
    seen = record(tx)
    assert (seen["review_state"], seen["edit_issues"]) == (None, ["cause_moved_on"])
