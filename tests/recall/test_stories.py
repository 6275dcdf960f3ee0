"""Each trigger on real rows: the right reports are recalled and no other; what was believed before stays readable."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER
from tests.recall.conftest import (
    DAYS,
    campaign,
    day,
    days_pass,
    moved,
    recalled,
    report_of,
    reports,
    rounds,
    spikes,
    versions,
)
from tests.world import DirectWorld, World, daily_sales

NOTES = "The store manager says that a school nearby had its fair on these days; please look at it again."


def edit(world: World, report: dict[str, object], action: str, n: int = 1, **said: Any) -> str:
    annotation = str(uuid.UUID(int=n))
    entry = {"annotation_id": annotation, "report_id": report["report_id"], "action": action, "actor": "ada"}
    entry |= {"user_role": "analyst", "acted_at": world.clock().isoformat()}
    world.send_edit(entry | said)
    return annotation


def fair_comes_late(world: World) -> None:
    """A campaign comes late, together with a correction that is held: nothing is replayed before a person says so."""
    world.send(campaign("fair", 124, 127, stores=["s3"], skus=["tea"]), "late.json", feed="campaigns")
    corrected = daily_sales(DAYS, change=spikes).filter(store_id="s1", sku="milk", ts=day(117))
    world.send(corrected.with_columns(pl.col("units") + 1), "corrected.csv")


def test_nothing_is_recalled_of_what_was_concluded_just_now(past: World) -> None:
    assert past.tick().appended == {}
    assert rounds(past).is_empty()


def test_an_analyst_asks_for_one_report(past: World) -> None:
    asked, before, was = report_of(past, "s3", "tea"), past.clock(), versions(past, CLUSTERED, ATTRIBUTED)
    annotation = edit(past, asked, "request_review", reason=NOTES, reopen_reason="new_evidence", path="reprocess")
    past.tick()
    (item,) = rounds(past).to_dicts()
    assert (item["report_id"], item["round"], item["trigger_reason"]) == (asked["report_id"], 1, "analyst_request")
    (evidence,) = json.loads(item["evidence"])["analyst_request"]
    assert (evidence["annotation_id"], evidence["actor"], evidence["reason"]) == (annotation, "ada", NOTES)
    now = report_of(past, "s3", "tea")
    assert (now["source_used_proposed"], now["rereview_round"]) == ("rereview", 1)
    then = reports(past, before).filter(report_id=asked["report_id"]).row(0, named=True)
    assert (then["source_used_proposed"], then["rereview_round"]) == ("attribution", None)
    assert versions(past, CLUSTERED, ATTRIBUTED) == was, "the originals stand"
    assert past.tick().appended == {}, "asked once, answered once"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"reason": "too short", "reopen_reason": "new_evidence", "path": "reprocess"}, "too_few_notes"),
        ({"reason": NOTES, "reopen_reason": "new_evidence"}, "recall_without_protocol"),
        ({"reason": NOTES, "reopen_reason": "boredom", "path": "reprocess"}, "unknown_choice_reopen_reason"),
    ],
)
def test_a_request_outside_of_the_protocol_is_a_dead_letter(past: World, said: dict[str, str], code: str) -> None:
    edit(past, report_of(past, "s3", "tea"), "reopen", **said)
    past.tick()
    assert rounds(past).is_empty()
    letters = past.query("SELECT error_code FROM user_edits_log_errors")["error_code"].to_list()
    assert len(letters) == 1
    assert code.split("_choice", maxsplit=1)[0].split("_", maxsplit=1)[0] in letters[0]


def test_a_reopening_that_a_person_works_on_is_not_recalled(past: World) -> None:
    asked = report_of(past, "s3", "tea")
    edit(past, asked, "approve", 1)
    past.tick()
    edit(past, asked, "reopen", 2, reason=NOTES, reopen_reason="regulatory_request", path="manual")
    past.tick()
    assert rounds(past).is_empty()
    assert report_of(past, "s3", "tea")["report_status"] == "reopened"


def test_a_late_campaign_recalls_what_it_overlaps(past: World, tmp_path: Any) -> None:
    held = moved(past, tmp_path / "held", replays={"hold_above_reports": 0})
    before, was = held.clock(), versions(held, ATTRIBUTED, CLUSTERED)
    days_pass(held, 21)
    fair_comes_late(held)
    held.send(campaign("elsewhere", 124, 127, stores=["s2"], skus=["milk"]), "other.json", feed="campaigns")
    held.send(campaign("another-time", 40, 44), "old.json", feed="campaigns")
    assert len(held.tick().held) == 1, "its replay waits for a person"
    assert recalled(held) == {("s3", "tea")}
    (item,) = rounds(held).to_dicts()
    assert (item["trigger_reason"], item["outcome"]) == ("late_context", "changed")
    assert "late_context" in json.loads(item["evidence"])
    now = report_of(held, "s3", "tea")
    assert (now["proposed_cause"], now["source_used_proposed"]) == ("Campaign fair", "rereview")
    assert versions(held, ATTRIBUTED, CLUSTERED) == was, "the originals stand"
    then = reports(held, before).filter(report_id=now["report_id"]).row(0, named=True)
    assert then["proposed_cause"] == "unknown"
    assert held.tick().appended == {}


def test_what_a_replay_answered_is_not_recalled(past: World) -> None:
    past.send(campaign("fair", 124, 127, stores=["s3"], skus=["tea"]), "late.json", feed="campaigns")
    past.tick()
    assert report_of(past, "s3", "tea")["source_used_proposed"] == "attribution"
    assert rounds(past).is_empty()


def test_old_and_unsure_conclusions_are_looked_at_once(past: World) -> None:
    days_pass(past, 29)
    past.tick()
    unsure = {("s1", "milk"), ("s3", "tea")}
    assert unsure <= recalled(past)
    assert all(row["trigger_reason"] == "low_confidence" for row in rounds(past).to_dicts())
    assert ("s1", "eggs") not in recalled(past), "the campaign explains it"
    days_pass(past, 29)
    assert past.tick().appended.get("minority_reports_rereview_worklist") is None, "it came out as it was"
    days_pass(past, 160)
    past.tick()
    aged = rounds(past).filter(pl.col("trigger_reason") == "aged")
    assert ("s1", "eggs") in {(row["store_id"], row["sku"]) for row in aged.to_dicts()}


def test_a_verdict_on_a_sibling_recalls_the_other_members(past: World) -> None:
    one, other = report_of(past, "s1", "eggs"), report_of(past, "s2", "eggs")
    assert one["report_group_id"] == other["report_group_id"]
    edit(past, one, "edit", field="final_cause", value="Viral clip")
    past.tick()
    assert recalled(past) == {("s2", "eggs")}
    (item,) = rounds(past).to_dicts()
    assert item["trigger_reason"] == "contradictory_evidence"
    assert json.loads(item["evidence"])["contradictory_evidence"][0]["says"] == "Viral clip"


def test_verdicts_that_contradict_confidence_recall_the_like(past: World, tmp_path: Any) -> None:
    strict = moved(past, tmp_path / "strict", recall={"least_verdicts": 1})
    edit(strict, report_of(strict, "s1", "eggs"), "reject")
    strict.tick()
    drifted = rounds(strict).filter(pl.col("trigger_reason") == "confidence_drift")
    found = {(row["store_id"], row["sku"]) for row in drifted.to_dicts()}
    category = report_of(strict, "s2", "eggs")["proposed_cause_category"]
    alike = reports(strict).filter(
        (pl.col("proposed_cause_category") == category)
        | (pl.col("cluster_id") == report_of(strict, "s1", "eggs")["cluster_id"]),
        pl.col("final_decision").is_null(),
    )
    assert found == {(row["store_id"], row["sku"]) for row in alike.to_dicts()} != set()


def test_a_persons_word_stands_and_both_sides_are_shown(past: World, tmp_path: Any) -> None:
    held = moved(past, tmp_path / "held", replays={"hold_above_reports": 0})
    edit(held, report_of(held, "s3", "tea"), "approve", value="unknown")
    held.tick()
    decided = report_of(held, "s3", "tea")
    assert (decided["final_decision"], decided["review_state"]) == ("approved", None)
    fair_comes_late(held)
    held.tick()
    (item,) = rounds(held).to_dicts()
    assert item["contradicts_verdict"] is True
    now = report_of(held, "s3", "tea")
    assert (now["final_decision"], now["final_cause"]) == ("approved", "unknown")
    assert now["proposed_cause"] == "Campaign fair"
    assert now["review_state"] == "needs_review"
    (side,) = json.loads(str(now["review_sides"]))
    assert (side["decided"], side["now"], side["field"]) == ("unknown", "Campaign fair", "final_cause")


def test_an_original_that_is_written_anew_speaks_again(past: World, tmp_path: Any) -> None:
    held = moved(past, tmp_path / "held", replays={"hold_above_reports": 0})
    fair_comes_late(held)
    held.tick()
    assert report_of(held, "s3", "tea")["source_used_proposed"] == "rereview"
    free = DirectWorld(held.home, held.settings.model_copy(update={"replays": past.settings.replays}), held.clock)
    free.tick()
    now = report_of(free, "s3", "tea")
    assert (now["proposed_cause"], now["source_used_proposed"]) == ("Campaign fair", "attribution")
    assert free.live(REATTRIBUTED).height == 1, "what the re-review said stays in its log"


def test_a_degraded_main_path_recalls_nothing_and_the_backlog_drains_by_priority(past: World, tmp_path: Any) -> None:
    slow = moved(past, tmp_path / "slow", recall={"most_per_run": 1})
    days_pass(slow, 29)
    with slow.warehouse.store.transaction() as tx:
        breach(tx, "breached")
    slow.tick()
    assert rounds(slow).is_empty(), "neither queued nor reviewed"
    with slow.warehouse.store.transaction() as tx:
        breach(tx, "met")
    done: list[str] = []
    due = None
    while slow.tick().appended.get(REATTRIBUTED.name):
        due = due or rounds(slow).sort("priority", descending=True)["report_id"].to_list()
        closed = rounds(slow).filter(pl.col("outcome").is_not_null())["report_id"].to_list()
        done += [report for report in closed if report not in done]
    assert due
    assert len(due) > 1
    assert done == due


def breach(tx: Any, state: str) -> None:

    row = tx.live(SLO_RESULTS).filter(objective="every_key_counts_once").head(1).select(SLO_RESULTS.body.names())
    row = row.with_columns(state=pl.lit(state), severity=pl.lit("error"), objective=pl.lit("made_up_for_this"))
    tx.append(SLO_RESULTS, row, replace(EVER, complete=False), Provenance("test", "1"))
