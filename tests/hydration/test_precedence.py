from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.views import MINORITY_REPORTS, VIEW_SOURCES, VIEWS, View
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.hydration.precedence import PRECEDENCE
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from tests.hydration.rows import PROVENANCE, event_id, instant, put, replace_all, report_id, row

HYDRATOR = Hydrator(FOLDS)


@pytest.fixture
def tx(store: LogStore) -> Iterator[Transaction]:
    with store.transaction() as transaction:
        yield transaction


def report(tx: Transaction, n: int = 1) -> dict[str, Any]:
    HYDRATOR.refresh(tx)
    found = HYDRATOR.current(tx, MINORITY_REPORTS).filter(report_id=report_id(n))
    assert found.height == 1
    return found.row(0, named=True)


def test_what_nobody_supplies_is_null_and_has_no_source(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED))
    seen = report(tx)
    assert seen["severity_score"] == 1.0
    assert seen["source_used_measures"] == "detected"
    for column in ("window_end", "cluster_name", "proposed_cause", "report_group_id", "final_cause", "final_decision"):
        assert seen[column] is None
    groups = ("window_end", "structure", "shape", "proposed", "group_id", "cohort", "final", "review", "recall")
    assert {seen[f"source_used_{group}"] for group in groups} == {None}
    assert (seen["report_status"], seen["event_status"]) == ("detected", "active")


def test_each_stage_adds_its_fields(tx: Transaction) -> None:
    for contract in (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED, REREVIEW_WORKLIST):
        put(tx, contract, row(contract))
    seen = report(tx)
    assert (seen["cluster_name"], seen["source_used_structure"]) == ("spike", "clustered")
    assert (seen["tsne_x"], seen["layout_x"]) == (0.5, 0.5)
    assert (seen["proposed_cause"], seen["source_used_proposed"]) == ("Campaign 1", "attribution")
    assert (seen["final_cause"], seen["source_used_final"]) == ("Campaign 1", "attribution")
    assert (seen["report_group_id"], seen["source_used_group_id"]) == (event_id(1), "cohort")
    assert (seen["trigger_reason"], seen["rereview_round"]) == ("aged", 1)
    assert seen["report_status"] == "cohorted"


def test_the_latest_tick_wins_whatever_was_written_last(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, tick=3, severity_score=3.0))
    put(tx, DETECTED, row(DETECTED, tick=2, severity_score=2.0))
    put(tx, DETECTED, row(DETECTED, tick=3, severity_score=3.5))
    assert report(tx)["severity_score"] == 3.5


def test_a_retracted_tick_gives_way_to_the_one_before(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, tick=1), row(DETECTED, tick=2))
    replace_all(tx, DETECTED, row(DETECTED, tick=1))
    assert report(tx)["tick"] == instant(1)
    put(tx, DETECTED, row(DETECTED, tick=2))
    assert report(tx)["tick"] == instant(2)


def test_a_closure_ends_the_window(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED))
    put(tx, ENDED, row(ENDED, tick=4))
    seen = report(tx)
    assert (seen["event_status"], seen["resolution_reason"]) == ("ended", "recovered")
    assert (seen["window_end"], seen["source_used_window_end"]) == (instant(4), "detected")


def test_a_rereview_speaks_until_there_is_newer_evidence(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED))
    put(tx, ATTRIBUTED, row(ATTRIBUTED, is_degraded=True, degraded_reasons=["campaigns_down"]))
    put(tx, CLUSTERED, row(CLUSTERED))
    put(tx, REATTRIBUTED, row(REATTRIBUTED, proposed_cause="Rain", proposed_cause_2=None))
    put(tx, RECLUSTERED, row(RECLUSTERED, cluster_name="step"))
    seen = report(tx)
    assert (seen["proposed_cause"], seen["proposed_cause_2"], seen["final_cause"]) == ("Rain", None, "Rain")
    assert (seen["source_used_proposed"], seen["source_used_structure"]) == ("rereview", "rereview")
    assert not seen["is_degraded"], "the degraded attribution was replaced"
    put(tx, ATTRIBUTED, row(ATTRIBUTED, tick=2))
    seen = report(tx)
    assert (seen["proposed_cause"], seen["source_used_proposed"]) == ("Campaign 1", "attribution")
    assert seen["source_used_structure"] == "rereview"


def test_what_a_person_set_goes_before_every_stage(tx: Transaction) -> None:
    for contract in (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED, REATTRIBUTED, RECLUSTERED):
        put(tx, contract, row(contract))
    edited = {
        "window_start": instant(-1),
        "window_end": instant(5),
        "report_group_id": event_id(7),
        "cluster_name": "till fault",
        "final_decision": "edited",
        "final_cause": "Till fault",
        "final_cause_category": "Data Error",
    }
    sources = {f"source_used_{g}": "ui" for g in ("window_start", "window_end", "group_id", "structure", "final")}
    put(tx, FINALISED, row(FINALISED, **edited, **sources))
    seen = report(tx)
    assert {name: seen[name] for name in edited} == edited
    assert {name: seen[name] for name in sources} == sources
    assert seen["proposed_cause"] == "Campaign 1", "the machine's proposal is shown beside the verdict"
    assert seen["source_used_proposed"] == "rereview"


def test_a_stale_record_does_not_shadow_newer_stages(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED))
    put(tx, FINALISED, row(FINALISED, severity_score=1.0, proposed_cause="Old", final_cause="Old"))
    put(tx, DETECTED, row(DETECTED, tick=2, severity_score=2.0))
    put(tx, ATTRIBUTED, row(ATTRIBUTED, tick=2))
    seen = report(tx)
    assert (seen["severity_score"], seen["proposed_cause"], seen["final_cause"]) == (2.0, "Campaign 1", "Campaign 1")


def test_a_withdrawn_report_keeps_its_last_known_values_from_its_record(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, n=1), row(DETECTED, n=2))
    put(
        tx,
        FINALISED,
        row(
            FINALISED,
            severity_score=9.0,
            event_status="ended",
            resolution_reason="data correction",
            report_status="ended",
            report_group_id=event_id(1),
        ),
    )
    replace_all(tx, DETECTED, row(DETECTED, n=2))
    seen = report(tx)
    assert (seen["severity_score"], seen["source_used_measures"]) == (9.0, "finalised")
    assert (seen["event_status"], seen["resolution_reason"]) == ("ended", "data correction")
    assert (seen["report_group_id"], seen["source_used_group_id"]) == (event_id(1), "finalised")


def test_degraded_reasons_are_the_union_of_what_the_row_rests_on(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, is_degraded=True, degraded_reasons=["baseline_down"]))
    put(tx, ATTRIBUTED, row(ATTRIBUTED, is_degraded=True, degraded_reasons=["campaigns_down", "baseline_down"]))
    put(
        tx,
        FINALISED,
        row(
            FINALISED, report_status="finalised_degraded_edits_down", is_degraded=True, degraded_reasons=["edits_down"]
        ),
    )
    seen = report(tx)
    assert seen["degraded_reasons"] == ["baseline_down", "campaigns_down", "edits_down"]
    assert seen["report_status"] == "finalised_degraded_baseline_down"
    put(tx, DETECTED, row(DETECTED))
    put(tx, ATTRIBUTED, row(ATTRIBUTED))
    put(tx, FINALISED, row(FINALISED))
    healed = report(tx)
    assert (healed["is_degraded"], healed["degraded_reasons"], healed["report_status"]) == (False, [], "finalised")


def test_known_at_is_the_newest_row_that_the_report_rests_on(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, n=1))
    before = report(tx)["known_at"]
    put(tx, DETECTED, row(DETECTED, n=2))
    assert report(tx, 1)["known_at"] == before
    put(tx, ATTRIBUTED, row(ATTRIBUTED, n=1))
    assert before < report(tx, 1)["known_at"] < before + timedelta(hours=1)


def test_another_namespace_is_another_world(tx: Transaction) -> None:
    put(tx, DETECTED, row(DETECTED, n=1))
    assert HYDRATOR.refresh(tx)["minority_reports"].rows == 1
    tx.start_run("run-0002", instant(0), PROVENANCE)
    assert HYDRATOR.refresh(tx)["minority_reports"].rows == 0
    put(tx, DETECTED, row(DETECTED, n=2))
    refreshed = HYDRATOR.refresh(tx)
    assert (refreshed.run_id, refreshed["minority_reports"].rows) == ("run-0002", 1)
    assert report(tx, 2)["report_id"] == report_id(2)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_view_comes_out_as_declared(tx: Transaction, view: View) -> None:
    HYDRATOR.refresh(tx)
    assert HYDRATOR.current(tx, view).schema == view.schema
    assert HYDRATOR.as_of(tx, view, None).schema == view.schema
    stored = tx.connection.execute(f"DESCRIBE {view.name}").fetchall()
    assert [name for name, *_ in stored] == list(view.schema)
    assert all(len(view.describe(column)) > 5 for column in view.schema)


def test_every_group_lists_its_sources_in_the_one_order() -> None:
    order = ("replay", "ui", "finalised", "cohort", "rereview", "attribution", "clustered", "detected")
    assert {*order} == {*VIEW_SOURCES}
    assert {*PRECEDENCE} == {group.name for group in MINORITY_REPORTS.groups}
    for sources in PRECEDENCE.values():
        places = [order.index(source.name) for source in sources]
        assert places == sorted(places)
        assert sources
