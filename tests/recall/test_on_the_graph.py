"""The same on a real graph: runs, sensor, schedule, lineage, and the command line."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from typer.testing import CliRunner

from mrs_assets.cli.app import app
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.recall_asset import TRIGGERS_TAG, recall_asset
from mrs_resources.reader import SnapshotReader
from tests.recall.conftest import DAYS, campaign, days_pass, moved, report_of, reports, rounds, spikes
from tests.recall.test_stories import NOTES, breach, edit
from tests.world import DirectWorld, World, daily_sales, settings_for


@pytest.fixture
def graph(concluded: World, tmp_path: Path) -> World:
    return moved(concluded, tmp_path / "home", World)


def asked_by_the_sensor(world: World) -> tuple[list[dg.RunRequest], str | None]:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, resources={"warehouse": world.warehouse})
        told = world.definitions.resolve_sensor_def("recall").evaluate_tick(context)
        return list(told.run_requests or ()), told.skip_message


def asked_by_the_schedule(world: World) -> tuple[list[dg.RunRequest], str | None]:
    with dg.DagsterInstance.ephemeral() as instance:
        at = world.clock()
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, resources={"warehouse": world.warehouse}
        )
        told = world.definitions.resolve_schedule_def("review_reports_scheduler").evaluate_tick(context)
        return list(told.run_requests or ()), told.skip_message


def test_a_tick_recalls_and_publishes_what_came_of_it(graph: World) -> None:
    asked = report_of(graph, "s3", "tea")
    edit(graph, asked, "request_review", reason=NOTES, reopen_reason="new_evidence", path="reprocess")
    graph.tick()
    shown = SnapshotReader(graph.home, FOLDS).show("reports", where=f"report_id = '{asked['report_id']}'")
    row = shown.row(0, named=True)
    assert (row["rereview_round"], row["trigger_reason"]) == (1, "analyst_request")
    assert (row["source_used_proposed"], row["source_used_recall"]) == ("rereview", "rereview")
    assert graph.live(RECLUSTERED).height == graph.live(REATTRIBUTED).height == 1
    before = graph.rows_ever()
    assert graph.tick().appended == {}
    assert graph.rows_ever() == before


def test_a_run_shows_what_it_looked_at(graph: World) -> None:
    asked = report_of(graph, "s3", "tea")
    silent = graph.settings.recall.model_copy(update={"enabled": False})
    edit(graph, asked, "request_review", reason=NOTES, reopen_reason="new_evidence", path="reprocess")
    World(graph.home, graph.settings.model_copy(update={"recall": silent}), graph.clock).tick()
    with dg.DagsterInstance.ephemeral() as instance:
        resources = {"warehouse": graph.warehouse}
        done = dg.materialize([recall_asset(graph.settings)], instance=instance, resources=resources)
    shown = {event.asset_key.to_user_string(): event for event in done.get_asset_materialization_events()}
    told = shown[REREVIEW_WORKLIST.name].materialization.metadata
    assert told["in_words"].value == "recall: 1 report looked at again, 0 concluded otherwise"
    (row,) = (record.data for record in told["looked_at"].records)
    assert row["report_id"] == asked["report_id"]
    assert (row["trigger_reason"], row["outcome"]) == ("analyst_request", "unchanged")


def test_the_sensor_asks_for_what_happened_and_the_schedule_for_what_is_due(graph: World) -> None:
    assert asked_by_the_sensor(graph) == ([], "Nothing gives a reason to doubt.")
    days_pass(graph, 29)
    assert asked_by_the_sensor(graph)[0] == [], "time that passed is the schedule's"
    (due,), _ = asked_by_the_schedule(graph)
    assert TRIGGERS_TAG not in due.tags
    edit(graph, report_of(graph, "s3", "tea"), "edit", field="final_cause", value="Viral clip")
    silent = graph.settings.recall.model_copy(update={"enabled": False})
    World(graph.home, graph.settings.model_copy(update={"recall": silent}), graph.clock).tick()
    assert asked_by_the_sensor(graph)[0] == [], "it has no sibling"
    edit(graph, report_of(graph, "s1", "eggs"), "edit", 2, field="final_cause", value="Viral clip")
    World(graph.home, graph.settings.model_copy(update={"recall": silent}), graph.clock).tick()
    (happened,), _ = asked_by_the_sensor(graph)
    assert "contradictory_evidence" in happened.tags[TRIGGERS_TAG]
    assert "aged" not in happened.tags[TRIGGERS_TAG]


def test_it_yields_to_a_breached_level_and_to_a_waiting_file(graph: World) -> None:
    with graph.warehouse.store.transaction() as tx:
        breach(tx, "breached")
    days_pass(graph, 29)
    requests, why = asked_by_the_schedule(graph)
    assert requests == []
    assert "is breached" in str(why)
    with graph.warehouse.store.transaction() as tx:
        breach(tx, "met")
    assert len(asked_by_the_schedule(graph)[0]) == 1
    graph.send(campaign("new", 124, 127), "new.json", feed="campaigns")
    graph.warehouse.archive.collect(graph.settings, graph.warehouse.clock)
    assert "wait for admission" in str(asked_by_the_schedule(graph)[1])


def test_a_run_of_the_job_has_a_pool_of_its_own(graph: World) -> None:
    days_pass(graph, 29)
    job = graph.definitions.resolve_job_def("recall")
    with dg.DagsterInstance.ephemeral() as instance:
        ran = job.execute_in_process(instance=instance)
        assert ran.success
        told = instance.get_materialized_partitions(dg.AssetKey(FINALISED.name))
    assert rounds(graph).height > 0
    assert told == set(), "no record came out otherwise"
    assets = graph.definitions.resolve_assets_def(RECLUSTERED.name)
    assert assets.op.pools == {"recall"}


@pytest.mark.parametrize(
    "fault",
    [
        Fault(point="minority_reports_proposed_attribution_log", action="raise"),
        Fault(point="minority_reports_clustered_log", action="corrupt"),
    ],
    ids=lambda fault: fault.action,
)
def test_a_stage_that_fails_concludes_nothing_until_it_is_mended(
    fault: Fault, concluded: World, tmp_path: Path
) -> None:
    """What a stage that fails would say is never put in the place of what was concluded before."""
    home = moved(concluded, tmp_path / "home", environment="staging", faults=[fault])
    days_pass(home, 29)
    home.tick()
    waiting = rounds(home)
    assert waiting.height > 0
    assert waiting["outcome"].null_count() == waiting.height, "nothing was concluded"
    assert set(waiting["waits_for"]) == {"no_answer"}
    assert home.live(REATTRIBUTED).is_empty()
    well = moved(home, tmp_path / "well", faults=[])
    well.tick()
    assert rounds(well)["outcome"].null_count() == 0


def test_an_input_that_came_back_recalls_what_the_recovery_has_not_come_to(tmp_path: Path) -> None:
    declared = settings_for(tmp_path).model_dump() | {"feeds": {"campaigns": ContextFeed()}}
    declared |= {"recovery": {"days_at_once": 1}, "recall": {"low_confidence": 0.0}}
    world = DirectWorld(tmp_path, Settings.model_validate(declared))
    world.send(daily_sales(DAYS, change=spikes))
    world.tick()
    assert rounds(world).is_empty(), "the campaigns are still down"
    world.send(campaign("fair", 124, 127, stores=["s3"], skus=["tea"]), "first.json", feed="campaigns")
    world.tick()
    degraded = reports(world).filter(pl.col("degraded_reasons").list.contains("campaigns_down"))
    assert set(rounds(world)["trigger_reason"]) <= {"input_recovered", "late_context"}
    assert set(degraded["report_id"]) <= set(rounds(world)["report_id"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--reason", "boredom", "--notes", NOTES], "There is no reason"),
        (["--reason", "new_evidence", "--notes", "too short"], "9 characters"),
        (["--reason", "new_evidence", "--notes", NOTES, "--path", "by hand"], "There is no path"),
        (["--reason", "new_evidence", "--notes", NOTES], "There is no MR-0"),
    ],
)
def test_a_mistaken_request_is_told_in_words(
    graph: World, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    _configured(graph, monkeypatch)
    with pytest.raises(UserMistake, match=told):
        CliRunner().invoke(app, ["recall", "ask", "MR-0", *arguments], catch_exceptions=False)


def test_the_dry_run_says_why_and_does_nothing(graph: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _configured(graph, monkeypatch)
    report = str(report_of(graph, "s3", "tea")["report_id"])
    asked = ["recall", "ask", report, "--reason", "new_evidence", "--notes", NOTES, "--actor", "ada"]
    assert CliRunner().invoke(app, asked, catch_exceptions=False).exit_code == 0
    (file,) = (graph.home / "inbox" / "edits" / "acme").iterdir()
    entry = json.loads(file.read_text())
    assert (entry["action"], entry["path"], entry["reopen_reason"]) == ("request_review", "reprocess", "new_evidence")
    file.write_text(json.dumps(entry | {"acted_at": graph.clock().isoformat()}) + "\n")
    graph.settings = graph.settings.model_copy(
        update={"recall": graph.settings.recall.model_copy(update={"enabled": False})}
    )
    World(graph.home, graph.settings, graph.clock).tick()
    before = graph.rows_ever()
    said = CliRunner().invoke(
        app, ["recall", "--dry-run", "--trigger", "analyst_request", "--format", "json"], catch_exceptions=False
    )
    (row,) = json.loads(said.stdout)
    assert (row["report_id"], row["trigger_reason"]) == (report, "analyst_request")
    assert json.loads(row["evidence"])["analyst_request"][0]["reason"] == NOTES
    assert graph.rows_ever() == before
    with pytest.raises(UserMistake, match="There is no trigger"):
        CliRunner().invoke(app, ["recall", "--trigger", "whim"], catch_exceptions=False)


def _configured(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    feeds = world.home / "feeds.toml"
    day = world.settings.retailers["acme"].reports_from
    feeds.write_text(
        f'[retailers.acme]\ntimezone = "Europe/London"\ncountry = "GB"\nreports_from = {day}\n[feeds.campaigns]\n'
    )
    monkeypatch.setenv("MRS_FEEDS", str(feeds))
    monkeypatch.setenv("MRS_HOME", str(world.home))
