"""Takes optional inputs away on a staging world and sees it degrade and heal, as `mrs drill` and its schedule do."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from mrs_assets.cli.app import app
from mrs_assets.contracts.errors import MrsError, UnknownName, UserMistake
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.settings import Settings
from mrs_assets.definitions import build_definitions
from mrs_assets.drill.drill import Drill, DrillResult
from mrs_assets.drill.points import POINTS, next_exercise
from mrs_assets.graph import STAGES
from tests.with_history import contents, copied
from tests.world import REPORTS_FROM, World

PROMOTIONS = f"{ATTRIBUTED.name}.promotions"
ISOLATED = [stage.name for stage in STAGES if not stage.critical]


def drilled(world: World, point: str | None, settings: Settings | None = None) -> DrillResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return Drill(settings or world.settings, world.warehouse, instance, build_definitions, asked=point).run()


def shown(world: World) -> list[tuple[object, ...]]:
    return world.query("SELECT * EXCLUDE (known_at, refresh_seq) FROM minority_reports ORDER BY report_id").rows()


@pytest.mark.few(3)
@pytest.mark.parametrize("point", [PROMOTIONS, f"{BASELINE.name}.baseline_model", *ISOLATED])
def test_what_is_taken_away_degrades_and_heals_and_leaves_no_trace(point: str, world: World) -> None:
    before, reports, rows = contents(world), shown(world), world.rows_ever()
    result = drilled(world, point)
    assert [one for one in [*result.degraded, *result.healed] if not one.holds] == []
    assert result.passed
    assert result.restored == []
    assert world.rows_ever() > rows, "a drill that writes nothing has taken nothing away"
    assert all(rows.equals(before[name]) for name, rows in contents(world).items())
    assert shown(world) == reports


def test_the_schedule_s_job_keeps_the_report_and_runs_by_itself_on_staging_only(world: World) -> None:
    dg.Definitions.validate_loadable(world.definitions)
    schedule = world.definitions.resolve_schedule_def("drill")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    production = world.settings.model_copy(update={"environment": "production"})
    elsewhere = build_definitions(production, world.warehouse).resolve_schedule_def("drill")
    assert elsewhere.default_status is dg.DefaultScheduleStatus.STOPPED
    before = contents(world)
    with dg.DagsterInstance.ephemeral() as instance:
        run = world.definitions.resolve_job_def("drill").execute_in_process(instance=instance)
    (output,) = [event.step_output_data for event in run.all_node_events if event.is_successful_output]
    assert str(output.metadata["report"].value).startswith("# Drill passed")
    assert Path(str(output.metadata["file"].value)).parent == world.home / "drills"
    assert all(rows.equals(before[name]) for name, rows in contents(world).items())


def test_where_nothing_can_heal_the_drill_says_so_and_puts_everything_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "feeds.toml").write_text(
        'environment = "staging"\n[retailers.acme]\ntimezone = "Europe/London"\ncountry = "GB"\n'
        f"reports_from = {REPORTS_FROM}\n[feeds.promotions]\n[calendar]\nfirst_day = 2023-01-01\n"
        f'[[faults]]\npoint = "{PROMOTIONS}"\naction = "drop"\n'
    )
    world = copied(world, tmp_path / ".mrs")
    shutil.rmtree(world.home / "drills", ignore_errors=True)
    monkeypatch.chdir(tmp_path)
    before = contents(world)
    ended = CliRunner().invoke(app, ["drill", "--input", PROMOTIONS, "--days", "3"])
    assert ended.exit_code == 1, ended.stderr
    assert all(rows.equals(before[name]) for name, rows in contents(world).items())
    (report,) = (world.home / "drills").iterdir()
    text = report.read_text("utf-8")
    assert text.startswith("# Drill FAILED")
    degraded, healing = text.split("## After it was back")
    assert "**NO**" not in degraded
    failed, restored = healing.split("computed again without any fault")
    for claim in ("Every log says what it said", "The standing list does not name it any more"):
        assert any(claim in line and "**NO**" in line for line in failed.splitlines())
    assert "**NO**" not in restored


def test_every_point_that_is_there_has_its_turn(world: World) -> None:
    with world.warehouse.store.transaction() as tx:
        weeks = [date(2024, 1, 1) + timedelta(weeks=n) for n in range(2 * len(POINTS))]
        turns = [next_exercise(tx, world.settings, week, None, 7).point.name for week in weeks]
    untaught = {"classifier_model", "cluster_library", "attribution_model"}
    absent = {"stores", "campaigns", "contextual_events", *untaught}
    there = [point.name for point in POINTS if point.want not in absent]
    assert sorted(set(turns)) == sorted(there)
    assert turns[: len(there)] == turns[len(there) : 2 * len(there)]


@pytest.mark.parametrize(
    ("point", "error", "words"),
    [
        ("no_such_log.nothing", UnknownName, "No stage wants"),
        (f"{ATTRIBUTED.name}.campaigns", UserMistake, "cannot be taken away"),
    ],
)
def test_what_cannot_be_taken_away_is_refused(point: str, error: type[MrsError], words: str, world: World) -> None:
    with pytest.raises(error, match=words):
        drilled(world, point)


def test_production_is_refused(world: World) -> None:
    rows = world.rows_ever()
    with pytest.raises(UserMistake, match="production"):
        drilled(world, PROMOTIONS, world.settings.model_copy(update={"environment": "production"}))
    assert world.rows_ever() == rows


def test_a_drill_waits_until_nothing_else_does(world: World) -> None:
    broken = world.settings.model_copy(update={"faults": (Fault(point=PROMOTIONS, action="drop"),)})
    with dg.DagsterInstance.ephemeral() as instance:
        drill = Drill(world.settings, world.warehouse, instance, build_definitions, asked=PROMOTIONS)
        drill._compute(broken.faults)
        with pytest.raises(MrsError, match="waits to be computed"):
            Drill(world.settings, world.warehouse, instance, build_definitions)
        drill._compute(())
