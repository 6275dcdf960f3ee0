from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import AutoApproval, Retailer, Settings
from mrs_assets.finalisation.asset_body import EDITS_DOWN, finalise_scope
from mrs_resources.kernel import Appended
from mrs_resources.log_store import LogStore, Transaction
from tests.hydration.rows import PROVENANCE, action, event_id, instant, put, replace_all, report_id, row

SETTINGS = Settings(home=Path("unused"), retailers={"acme": Retailer(timezone="America/New_York")})
MARCH = Scope(date(2024, 3, 1), date(2024, 3, 31), retailer="acme")
LATER = Scope(date(2024, 6, 1), date(2024, 6, 1), retailer="acme")


@pytest.fixture
def tx(store: LogStore) -> Iterator[Transaction]:
    with store.transaction() as transaction:
        yield transaction


def stages(tx: Transaction, n: int = 1, tick: int = 1, **values: dict[str, Any]) -> None:
    for contract in (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED):
        put(tx, contract, row(contract, n=n, tick=tick, **values.get(contract.stage, {})))


def said(tx: Transaction, annotation_id: str, what: str, n: int = 1, **values: Any) -> None:
    put(tx, USER_EDITS, action(USER_EDITS, annotation_id, what, n, **values))


def finalised(tx: Transaction, scope: Scope = MARCH, missing: frozenset[str] = frozenset()) -> Appended:
    return finalise_scope(tx, scope, SETTINGS, PROVENANCE, missing)


def record(tx: Transaction, n: int = 1) -> dict[str, Any]:
    return tx.live(FINALISED).filter(report_id=report_id(n)).row(0, named=True)


def test_the_record_holds_what_every_stage_said(tx: Transaction) -> None:
    stages(tx)
    assert finalised(tx).appended == 1
    seen = record(tx)
    assert (seen["cluster_name"], seen["proposed_cause"], seen["report_group_id"]) == (
        "spike",
        "Campaign 1",
        event_id(1),
    )
    assert (seen["final_cause"], seen["final_confidence"]) == ("Campaign 1", 0.8)
    assert (seen["final_decision"], seen["finalized_at"], seen["window_end"]) == (None, None, None)
    sources = {name: seen[name] for name in seen if name.startswith("source_used_")}
    assert sources == {
        "source_used_group_id": "cohort",
        "source_used_proposed": "attribution",
        "source_used_structure": "clustered",
        "source_used_window_start": "detected",
        "source_used_window_end": None,
        "source_used_final": "attribution",
    }
    assert (seen["report_status"], seen["is_degraded"], seen["refresh_seq"]) == ("finalised", False, 1)
    assert seen["business_day"] == date(2024, 2, 29), "the onset is the evening before in New York"


def test_doing_it_again_writes_nothing(tx: Transaction) -> None:
    stages(tx)
    said(tx, "a1", "approve")
    finalised(tx)
    again = finalised(tx)
    assert (again.changed, again.unchanged) == (0, 1)
    assert finalised(tx, LATER).offered == 0, "nothing touches the later days"


def test_missing_stages_are_named(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED))
    finalised(tx)
    assert record(tx)["degraded_reasons"] == ["MRCL_down", "MRPAL_down"]
    assert record(tx)["report_status"] == "finalised_degraded_MRCL_down"
    stages(tx)
    finalised(tx)
    assert (record(tx)["report_status"], record(tx)["refresh_seq"]) == ("finalised", 2)
    put(tx, DETECTED, row(DETECTED, tick=2))
    finalised(tx)
    assert record(tx)["degraded_reasons"] == ["MRCL_down", "MRPAL_down"], "older rows are stale"
    assert record(tx)["proposed_cause"] == "Campaign 1"


def test_reasons_of_the_caller_and_of_the_rows_add_up(tx: Transaction) -> None:
    stages(tx, attribution={"is_degraded": True, "degraded_reasons": ["campaigns_down"]})
    said(tx, "a1", "approve")
    finalised(tx, missing=frozenset({EDITS_DOWN, "MEEL_down"}))
    seen = record(tx)
    assert seen["degraded_reasons"] == ["MEEL_down", "campaigns_down", "edits_down"]


def test_without_edits_the_record_is_the_machines_until_they_are_back(tx: Transaction) -> None:
    stages(tx)
    said(tx, "a1", "approve")
    finalised(tx, missing=frozenset({EDITS_DOWN}))
    seen = record(tx)
    assert (seen["final_decision"], seen["report_status"]) == (None, "finalised_degraded_edits_down")
    finalised(tx)
    assert (record(tx)["final_decision"], record(tx)["is_degraded"]) == ("approved", False)


def test_a_closure_ends_the_record_and_reopening_shows(tx: Transaction) -> None:
    stages(tx)
    put(tx, ENDED, row(ENDED, tick=3))
    finalised(tx)
    assert (record(tx)["report_status"], record(tx)["resolution_reason"]) == ("ended", "recovered")
    assert (record(tx)["window_end"], record(tx)["source_used_window_end"]) == (instant(3), "detected")
    said(tx, "a1", "reopen")
    finalised(tx, LATER)
    assert record(tx)["report_status"] == "reopened"
    said(tx, "a2", "undo", undoes="a1", acted_at=instant(11))
    finalised(tx, LATER)
    assert record(tx)["report_status"] == "ended"


def test_an_edit_is_kept_through_later_ticks_and_undone_on_request(tx: Transaction) -> None:
    stages(tx)
    said(tx, "a1", "edit", field="final_cause", value="Easter")
    finalised(tx, LATER)
    seen = record(tx)
    assert (seen["final_cause"], seen["final_cause_category"]) == ("Easter", "Holiday / Calendar")
    assert (seen["final_confidence"], seen["source_used_final"]) == (None, "ui")
    assert (seen["final_decision"], seen["annotation_id"], seen["finalized_at"]) == ("edited", "a1", instant(10))
    stages(tx, tick=2, attribution={"proposed_cause": "Rain", "proposed_cause_category": "Weather"})
    finalised(tx)
    assert (record(tx)["proposed_cause"], record(tx)["final_cause"]) == ("Rain", "Easter")
    said(tx, "a2", "undo", undoes="a1", acted_at=instant(11))
    finalised(tx, LATER)
    assert (record(tx)["final_cause"], record(tx)["final_decision"]) == ("Rain", None)
    said(tx, "a3", "undo", undoes="a2", acted_at=instant(12))
    finalised(tx, LATER)
    assert record(tx)["final_cause"] == "Easter"


def test_fields_that_a_person_sets_name_their_source(tx: Transaction) -> None:
    stages(tx)
    values = {"window_end": "2024-03-05T00:00:00Z", "cluster_name": "till fault", "report_group_id": event_id(9)}
    for name, value in values.items():
        said(tx, f"a-{name}", "edit", field=name, value=value)
    finalised(tx)
    seen = record(tx)
    assert (seen["window_end"], seen["source_used_window_end"]) == (instant(4), "ui")
    assert (seen["cluster_name"], seen["cluster_id"], seen["source_used_structure"]) == ("till fault", None, "ui")
    assert (seen["report_group_id"], seen["source_used_group_id"]) == (event_id(9), "ui")
    said(tx, "a-start", "edit", field="window_start", value="2024-04-01T00:00:00Z")
    finalised(tx, LATER)
    assert record(tx)["edit_issues"] == ["window_reversed"]
    assert (record(tx)["window_start"], record(tx)["window_end"]) == (instant(0), None)


def test_an_approval_keeps_the_cause_that_was_seen(tx: Transaction) -> None:
    stages(tx)
    said(tx, "a1", "approve", value="Campaign 1")
    finalised(tx)
    assert (record(tx)["final_cause"], record(tx)["edit_issues"]) == ("Campaign 1", [])
    stages(tx, tick=2, attribution={"proposed_cause": "Rain", "proposed_cause_category": "Weather"})
    finalised(tx)
    seen = record(tx)
    assert (seen["final_cause"], seen["proposed_cause"], seen["edit_issues"]) == (
        "Campaign 1",
        "Rain",
        ["cause_moved_on", "needs_review_final_cause"],
    )
    assert (seen["final_decision"], seen["final_confidence"]) == ("approved", None)


def test_a_rejected_proposal_leaves_no_cause(tx: Transaction) -> None:
    stages(tx)
    said(tx, "a1", "reject")
    finalised(tx)
    seen = record(tx)
    assert (seen["final_decision"], seen["final_cause"], seen["final_cause_category"]) == ("rejected", None, None)
    assert (seen["proposed_cause"], seen["source_used_final"]) == ("Campaign 1", "ui")


def test_a_withdrawn_report_ends_as_data_correction(tx: Transaction) -> None:
    stages(tx, n=1)
    stages(tx, n=2)
    said(tx, "a1", "approve")
    finalised(tx)
    for contract in (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED):
        replace_all(tx, contract, row(contract, n=2))
    assert finalised(tx).appended == 1
    seen = record(tx)
    assert (seen["report_status"], seen["event_status"], seen["resolution_reason"]) == (
        "ended",
        "ended",
        "data correction",
    )
    assert (seen["proposed_cause"], seen["report_group_id"], seen["final_decision"]) == (
        "Campaign 1",
        event_id(1),
        "approved",
    )
    assert not seen["is_degraded"]
    assert finalised(tx).changed == 0
    stages(tx, n=1)
    finalised(tx)
    assert (record(tx)["report_status"], record(tx)["resolution_reason"]) == ("finalised", None)


def test_an_edit_follows_a_report_that_a_correction_replaced(tx: Transaction) -> None:
    stages(tx, n=1)
    said(tx, "a1", "edit", field="final_cause", value="Till fault")
    finalised(tx)
    for contract in (CLUSTERED, ATTRIBUTED, COHORTED):
        replace_all(tx, contract, row(contract, n=2))
    replace_all(tx, DETECTED, row(DETECTED, n=2, supersedes=report_id(1)))
    finalised(tx)
    assert (record(tx, 2)["final_cause"], record(tx, 2)["annotation_id"]) == ("Till fault", "a1")
    assert record(tx, 1)["resolution_reason"] == "data correction"


def test_a_misdirected_undo_reaches_the_report_of_what_it_takes_back(tx: Transaction) -> None:
    stages(tx, n=1)
    stages(tx, n=2)
    said(tx, "a1", "approve", n=1)
    finalised(tx)
    said(tx, "a2", "undo", n=2, undoes="a1")
    finalised(tx, LATER)
    assert record(tx, 1)["final_decision"] is None


def test_an_edit_of_a_report_that_never_was_invents_nothing(tx: Transaction) -> None:
    stages(tx, n=1)
    said(tx, "a1", "approve", n=99)
    finalised(tx)
    assert tx.live(FINALISED)["report_id"].to_list() == [report_id(1)]
    assert tx.live(USER_EDITS).height == 1


def test_a_word_about_an_event_reaches_its_reports(tx: Transaction) -> None:
    stages(tx, n=1)
    stages(tx, n=2)
    stages(tx, n=3, cohorting={"report_group_id": event_id(2)})
    put(tx, EVENTS, row(EVENTS, n=1), row(EVENTS, n=2))
    finalised(tx)
    put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e1", "edit", field="final_cause", value="Till fault"))
    assert finalised(tx, LATER).appended == 2
    assert [record(tx, n)["final_cause"] for n in (1, 2, 3)] == ["Till fault", "Till fault", "Campaign 1"]
    said(tx, "a1", "edit", n=2, field="final_cause", value="Rain")
    finalised(tx, LATER)
    assert [record(tx, n)["final_cause"] for n in (1, 2)] == ["Till fault", "Rain"]
    for n in (1, 2):
        put(tx, COHORTED, row(COHORTED, n=n, tick=2, report_group_id=event_id(5)))
        put(tx, DETECTED, row(DETECTED, n=n, tick=2))
    finalised(tx)
    assert record(tx, 1)["final_cause"] == "Till fault", "the word follows the reports into their new event"
    put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e2", "undo", undoes="e1", acted_at=instant(12)))
    finalised(tx, LATER)
    assert record(tx, 1)["final_cause"] == "Campaign 1"


@pytest.mark.parametrize(("left", "gained"), [(8, 9), (2, 9)])
def test_a_word_leaves_reports_beside_which_no_member_of_its_event_is_left(
    tx: Transaction, left: int, gained: int
) -> None:
    """Nothing is said of the reports that were there before: neither of those that lose it, nor of those that gain."""
    for n in (1, 2, 3):
        stages(tx, n=n)
    stages(tx, n=4, cohorting={"report_group_id": event_id(left)})
    stages(tx, n=5, cohorting={"report_group_id": event_id(gained)})
    put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e1", "approve"))
    for n, group in ((1, left), (2, left), (3, gained)):
        put(tx, COHORTED, row(COHORTED, n=n, report_group_id=event_id(group)))
    finalised(tx)
    assert [record(tx, n)["final_decision"] for n in (4, 5)] == ["approved", None]
    for n in (1, 2):
        put(tx, COHORTED, row(COHORTED, n=n, tick=2, report_group_id=event_id(1 + n)))
    assert finalised(tx, LATER).changed > 0
    assert [record(tx, n)["final_decision"] for n in (4, 5)] == [None, "approved"]


def test_a_word_leaves_reports_beside_which_its_own_vanish(tx: Transaction) -> None:
    """Detection takes the members back; cohorting has not spoken since."""
    for n in (1, 2):
        stages(tx, n=n)
    stages(tx, n=3, cohorting={"report_group_id": event_id(8)})
    put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e1", "approve"))
    put(tx, COHORTED, *(row(COHORTED, n=n, report_group_id=event_id(8)) for n in (1, 2)))
    finalised(tx)
    assert record(tx, 3)["final_decision"] == "approved"
    replace_all(tx, DETECTED, row(DETECTED, n=3))
    finalised(tx, LATER)
    assert record(tx, 3)["final_decision"] is None


def test_a_day_at_a_time_equals_all_days_at_once(tx: Transaction, tmp_path: Path) -> None:
    other = LogStore(tmp_path / "other")
    with other.transaction() as at_once:
        for day in (1, 2, 3):
            for each in (tx, at_once):
                stages(each, n=day, tick=day)
                stages(each, n=1, tick=day)
            finalised(tx, Scope(date(2024, 3, day), date(2024, 3, day), retailer="acme"))
        finalised(at_once)
        hashes = [each.live(FINALISED).select("report_id", "row_hash") for each in (tx, at_once)]
    assert hashes[0].equals(hashes[1])


def _policy(**values: Any) -> Settings:
    return SETTINGS.model_copy(update={"auto_approval": AutoApproval(enabled=True, **values)})


def _ended_and_small(tx: Transaction) -> None:
    stages(tx, detection={"impact_estimate": 12})
    put(tx, ENDED, row(ENDED))


def test_the_policy_is_off_by_default(tx: Transaction) -> None:
    _ended_and_small(tx)
    finalised(tx)
    assert tx.live(USER_EDITS).height == 0
    assert record(tx)["final_decision"] is None


def test_the_policy_approves_once_what_is_sure_and_small(tx: Transaction) -> None:
    _ended_and_small(tx)
    for _ in range(2):
        finalise_scope(tx, MARCH, _policy(min_confidence=0.7), PROVENANCE)
    seen = record(tx)
    assert (seen["final_decision"], seen["final_cause"]) == ("auto_approved", "Campaign 1")
    assert tx.history(USER_EDITS).select("actor", "user_role", "value").rows() == [
        ("policy:auto_approval", "system", "Campaign 1")
    ]
    assert seen["finalized_at"] == instant(1), "the tick of the report, not the time of the computation"


def test_the_policy_leaves_people_alone(tx: Transaction) -> None:
    _ended_and_small(tx)
    policy = _policy(min_confidence=0.7)
    finalise_scope(tx, MARCH, policy, PROVENANCE)
    approval = tx.live(USER_EDITS)["annotation_id"][0]
    said(tx, "a1", "undo", undoes=approval)
    finalise_scope(tx, LATER, policy, PROVENANCE)
    assert record(tx)["final_decision"] is None
    put(tx, ATTRIBUTED, row(ATTRIBUTED, proposed_cause="Rain", proposed_cause_category="Weather"))
    finalise_scope(tx, MARCH, policy, PROVENANCE)
    assert record(tx)["final_decision"] is None
    assert tx.live(USER_EDITS).filter(pl.col("user_role") == "system").height == 1


@pytest.mark.parametrize("policy", [{"min_confidence": 0.81}, {"min_confidence": 0.7, "max_impact": 11.99}])
def test_the_policy_keeps_its_limits(tx: Transaction, policy: dict[str, float]) -> None:
    _ended_and_small(tx)
    finalise_scope(tx, MARCH, _policy(**policy), PROVENANCE)
    assert record(tx)["final_decision"] is None
