from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.views import MINORITY_EVENTS
from mrs_assets.finalisation.editable import EVENT_FIELDS
from mrs_assets.finalisation.verdict import fold
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from tests.conftest import SteppingClock
from tests.hydration.rows import action, event_id, instant, put, replace_all, row

HYDRATOR = Hydrator(FOLDS)


@pytest.fixture
def tx(store: LogStore) -> Iterator[Transaction]:
    with store.transaction() as transaction:
        yield transaction


def event(tx: Transaction, n: int = 1) -> dict[str, Any]:
    HYDRATOR.refresh(tx)
    found = HYDRATOR.current(tx, MINORITY_EVENTS).filter(report_group_id=event_id(n))
    assert found.height == 1
    return found.row(0, named=True)


def two_reports_in_one_event(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, n=1), row(DETECTED, n=2))
    put(tx, COHORTED, row(COHORTED, n=1), row(COHORTED, n=2))
    put(tx, EVENTS, row(EVENTS, n=1))


def said(tx: Transaction, annotation_id: str, what: str, n: int = 1, **values: Any) -> None:
    put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, annotation_id, what, n, **values))


def test_members_are_counted_as_they_are_now(tx: Transaction) -> None:
    two_reports_in_one_event(tx)
    seen = event(tx)
    assert (seen["live_report_count"], seen["active_report_count"], seen["event_status"]) == (2, 2, "active")
    put(tx, ENDED, row(ENDED, n=2, tick=3))
    seen = event(tx)
    assert (seen["live_report_count"], seen["active_report_count"]) == (2, 1)


def test_an_event_whose_reports_moved_on_is_not_active(tx: Transaction) -> None:
    two_reports_in_one_event(tx)
    put(tx, COHORTED, *(row(COHORTED, n=n, tick=2, report_group_id=event_id(2)) for n in (1, 2)))
    put(tx, EVENTS, row(EVENTS, n=2, tick=2))
    former, current = event(tx, 1), event(tx, 2)
    assert (former["event_status"], former["resolution_reason"]) == ("ended", "superseded")
    assert (former["superseded_by"], former["live_report_count"]) == (event_id(2), 0)
    assert (current["event_status"], current["live_report_count"]) == ("active", 2)


def test_words_about_a_former_event_hold_for_its_successor(tx: Transaction) -> None:
    two_reports_in_one_event(tx)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    put(tx, COHORTED, *(row(COHORTED, n=n, tick=2, report_group_id=event_id(2)) for n in (1, 2)))
    put(tx, EVENTS, row(EVENTS, n=2, tick=2))
    assert [event(tx, n)["final_cause"] for n in (1, 2)] == ["Till fault", "Till fault"]


@pytest.mark.parametrize("left", [8, 2])
def test_a_word_goes_over_to_the_event_that_most_of_its_reports_belong_to_now(tx: Transaction, left: int) -> None:
    """Of the event that gains it and of the one that loses it, nothing else is said."""
    put(tx, DETECTED, *(row(DETECTED, n=n) for n in (1, 2, 3, 4)))
    put(tx, COHORTED, *(row(COHORTED, n=n) for n in (1, 2, 3)), row(COHORTED, n=4, report_group_id=event_id(left)))
    put(tx, EVENTS, *(row(EVENTS, n=n) for n in (1, 2, 3, 8, 9)))
    said(tx, "e1", "reject")
    HYDRATOR.refresh(tx)
    for n, group in ((1, left), (2, left), (3, 9)):
        put(tx, COHORTED, row(COHORTED, n=n, report_group_id=event_id(group)))
    assert [event(tx, n)["final_decision"] for n in (1, left, 9)] == ["rejected", "rejected", None]
    for n in (1, 2):
        put(tx, COHORTED, row(COHORTED, n=n, tick=2, report_group_id=event_id(1 + n)))
    assert [event(tx, n)["final_decision"] for n in (1, left, 9)] == ["rejected", None, "rejected"]
    assert HYDRATOR.refresh(tx, from_scratch=True).changed == 0


def test_an_event_corrected_away_ends_as_data_correction(tx: Transaction) -> None:
    two_reports_in_one_event(tx)
    for contract in (DETECTED, COHORTED, EVENTS):
        replace_all(tx, contract)
    for n in (1, 2):
        put(tx, FINALISED, row(FINALISED, n=n, event_status="ended", report_group_id=event_id(1)))
    seen = event(tx)
    assert (seen["event_status"], seen["resolution_reason"]) == ("ended", "data correction")
    assert (seen["live_report_count"], seen["source_used_status"]) == (0, "finalised")
    assert seen["cohort_name"] == "sku-1 in acme", "what was believed stays readable"


def test_an_event_whose_last_report_a_person_moved_was_not_corrected_away(tx: Transaction) -> None:
    """Its other report was withdrawn, and its record says where it lay last."""
    two_reports_in_one_event(tx)
    put(tx, EVENTS, row(EVENTS, n=2))
    replace_all(tx, DETECTED, row(DETECTED, n=1))
    replace_all(tx, COHORTED, row(COHORTED, n=1))
    by_hand = {"report_group_id": event_id(2), "source_used_group_id": "ui"}
    put(tx, FINALISED, row(FINALISED, n=1, **by_hand), row(FINALISED, n=2, report_group_id=event_id(1)))
    seen = event(tx)
    assert (seen["event_status"], seen["resolution_reason"], seen["live_report_count"]) == ("active", None, 0)
    assert event(tx, 2)["live_report_count"] == 1
    replace_all(tx, DETECTED, row(DETECTED, n=3))
    assert event(tx)["resolution_reason"] == "data correction"


def test_cohorting_out_of_order_does_not_end_an_event(tx: Transaction) -> None:
    two_reports_in_one_event(tx)
    down = {"report_group_id": None, "event_status": None, "is_degraded": True, "degraded_reasons": ["MRCH_down"]}
    put(tx, DETECTED, row(DETECTED, n=1, tick=2), row(DETECTED, n=2, tick=2))
    put(tx, COHORTED, row(COHORTED, n=1, tick=2, **down), row(COHORTED, n=2, tick=2, **down))
    assert event(tx)["event_status"] == "active"


def test_a_verdict_and_its_undoing(tx: Transaction) -> None:
    two_reports_in_one_event(tx)
    machine = event(tx)
    assert (machine["final_cause"], machine["source_used_final"]) == ("Campaign 1", "cohort")
    assert (machine["final_confidence"], machine["final_decision"]) == (0.8, None)
    said(tx, "a1", "approve")
    assert (event(tx)["final_decision"], event(tx)["annotation_id"]) == ("approved", "a1")
    said(tx, "a2", "edit", field="final_cause", value="Till fault", acted_at=instant(11))
    seen = event(tx)
    assert (seen["final_decision"], seen["final_cause"], seen["source_used_final"]) == ("edited", "Till fault", "ui")
    assert (seen["final_confidence"], seen["final_cause_category"]) == (None, None)
    said(tx, "a3", "undo", undoes="a2", acted_at=instant(12))
    assert (event(tx)["final_decision"], event(tx)["final_cause"]) == ("approved", "Campaign 1")
    said(tx, "a4", "undo", undoes="a3", acted_at=instant(13))
    assert event(tx)["final_cause"] == "Till fault"


def test_a_corrected_or_misdirected_word_reaches_the_event_that_it_was_about(tx: Transaction) -> None:
    put(tx, EVENTS, row(EVENTS, n=1), row(EVENTS, n=2))
    said(tx, "a1", "approve", n=1)
    assert event(tx, 1)["final_decision"] == "approved"
    said(tx, "a2", "undo", n=2, undoes="a1")
    assert event(tx, 1)["final_decision"] is None
    said(tx, "a3", "approve", n=1)
    assert event(tx, 1)["final_decision"] == "approved"
    said(tx, "a3", "approve", n=2)
    assert [event(tx, n)["final_decision"] for n in (1, 2)] == [None, "approved"]


_actions = st.lists(
    st.tuples(
        st.sampled_from(["approve", "reject", "edit", "add_evidence", "request_review", "defer", "reopen", "clear"]),
        st.sampled_from(["final_cause", "final_cause_category", "cohort_name", "nonsense", None]),
        st.sampled_from(["Data Error", " Rain ", "", None]),
        st.integers(0, 3),
        st.sampled_from(["analyst", "system"]),
    ),
    max_size=7,
)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_actions, min_size=4, max_size=8))
def test_sql_and_python_read_the_same_verdict(
    stories: list[list[tuple[str, str | None, str | None, int, str]]],
) -> None:
    rows = {
        n: [
            action(
                USER_EVENT_EDITS, f"a{n}-{i}", what, n, field=field, value=value, acted_at=instant(day), user_role=role
            )
            for i, (what, field, value, day, role) in enumerate(actions)
        ]
        for n, actions in enumerate(stories)
    }
    with tempfile.TemporaryDirectory() as home, LogStore(Path(home), SteppingClock()).transaction() as tx:
        put(tx, EVENTS, *(row(EVENTS, n=n) for n in rows))
        put(tx, USER_EVENT_EDITS, *(given_row for given_rows in rows.values() for given_row in given_rows))
        HYDRATOR.refresh(tx)
        shown = {seen["report_group_id"]: seen for seen in HYDRATOR.current(tx, MINORITY_EVENTS).to_dicts()}
    for n, given_rows in rows.items():
        verdict, seen = fold(given_rows, EVENT_FIELDS), shown[event_id(n)]
        named = verdict.fields.get("final_cause") or verdict.approved_cause
        assert seen["final_decision"] == verdict.decision
        assert (seen["annotation_id"], seen["finalized_at"]) == (verdict.decided_by, verdict.decided_at)
        assert (seen["review_state"], seen["evidence_count"]) == (verdict.review_state, verdict.evidence_count)
        assert seen["cohort_name"] == verdict.fields.get("cohort_name", "sku-1 in acme")
        assert seen["final_cause"] == (named or (None if verdict.decision == "rejected" else "Campaign 1"))
