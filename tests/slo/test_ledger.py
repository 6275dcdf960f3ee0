"""The ledger and the log of results: what they hold, when they grow, and that they do not where nothing changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl

from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.resilience import Fault
from mrs_assets.definitions import build_definitions
from mrs_assets.slo.facts import Facts
from mrs_assets.slo.judging import judge
from mrs_assets.slo.objectives import OBJECTIVES
from mrs_assets.slo_watch.facts import read_facts
from mrs_assets.slo_watch.run import look
from mrs_resources.reader import SnapshotReader
from tests.slo.levels import (
    DAYS,
    WRITER,
    admit_only,
    checks,
    copied,
    sales,
    states,
    time_passes,
    under,
    world_at,
)
from tests.world import FIRST_DAY, World, settings_for

LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
NOTHING_LATE = {"alerts_are_delivered_in_time"}
"""What is met where nothing was ever to be delivered."""


def test_a_second_look_and_one_five_minutes_later_append_nothing(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    before = world.rows_ever()
    checks(world)
    time_passes(world, minutes=5)
    told = checks(world)
    world.tick()
    assert world.rows_ever() == before
    later = told["sales_arrive_on_time"].metadata["value"].value
    assert isinstance(later, float)
    assert later > world.live(SLO_RESULTS).filter(objective="sales_arrive_on_time")["value"][0]


def test_a_clock_that_was_put_back_changes_nothing(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    before = world.rows_ever()
    time_passes(world, hours=-6)
    checks(world)
    assert world.rows_ever() == before


def test_what_is_missed_by_more_is_a_version_and_another_five_minutes_are_none(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")

    def kept() -> list[float]:
        checks(world)
        with world.warehouse.store.transaction() as tx:
            history = tx.history(SLO_RESULTS).filter(objective="sales_arrive_on_time", state="breached")
        return history["missed_with"].to_list()

    time_passes(world, hours=37)
    assert kept() == [40]
    before = world.rows_ever()
    time_passes(world, minutes=5)
    assert kept() == [40]
    assert world.rows_ever() == before
    time_passes(world, hours=10)
    assert kept() == [40, 50]


def test_an_empty_home_knows_nothing_guesses_nothing_and_writes_nothing(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    told = checks(world)
    assert {name for name, check in told.items() if check.metadata["state"].value != "unknown"} == NOTHING_LATE
    assert {name for name, check in told.items() if "value" in check.metadata} == NOTHING_LATE
    assert len(told) == len(OBJECTIVES)
    assert world.rows_ever() == 0


def test_a_home_without_a_single_report_has_no_coverage_to_miss(tmp_path: Path) -> None:
    world = world_at(tmp_path)
    world.send(sales(0, 20), "young.csv")
    world.tick()
    told = checks(world)
    assert world.live(DETECTED).is_empty()
    for name in ("active_reports_have_a_cause", "reports_are_clustered_in_time", "reports_are_attributed_in_time"):
        assert told[name].metadata["state"].value == "unknown"
        assert told[name].passed
    assert told["detection_is_fresh"].metadata["state"].value == "met"


def test_each_partition_says_what_it_holds_and_when_it_was_shown(known: World) -> None:
    levels = known.live(SLO).filter(pl.col("business_day") == LAST_DAY)
    of = {row["log"]: row for row in levels.to_dicts()}
    assert of[UNIFIED_SALES.name]["rows_live"] == 4
    assert of[SALES_TIMESERIES.name]["rows_by_status"] == '{"received":4}'
    reports = known.live(DETECTED).filter(pl.col("business_day") == LAST_DAY).height
    assert of[CLUSTERED.name]["reports"] == of[CLUSTERED.name]["reports_in_time"] == reports > 0
    for row in of.values():
        assert row["rows_unreconciled"] == 0
        if row["log"] in (SALES_TIMESERIES.name, DETECTED.name):
            assert row["available_at"] < row["written_to"] <= row["hydrated_at"]


def test_only_partitions_that_changed_are_counted_again(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    admit_only(world)
    with world.warehouse.store.transaction() as tx:
        looked = look(tx, world.settings, WRITER)
    assert looked.ledger is not None
    assert looked.ledger.days[0] > LAST_DAY
    assert looked.ledger.offered < 20


def test_a_day_that_waits_is_not_shown_and_what_follows_is_not_judged(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    admit_only(world)
    checks(world)
    waiting = world.live(SLO).filter(pl.col("business_day") > LAST_DAY, log=DETECTED.name).row(0, named=True)
    assert (waiting["hydrated_at"], waiting["rows_unreconciled"]) == (None, None)
    world.tick()
    shown = world.live(SLO).filter(pl.col("business_day") > LAST_DAY, log=DETECTED.name).row(0, named=True)
    assert shown["hydrated_at"] > shown["available_at"] == waiting["available_at"]
    assert shown["rows_unreconciled"] == 0


def test_a_ledger_that_is_begun_late_says_when_days_were_shown_and_not_when_it_looked(
    known: World, tmp_path: Path
) -> None:
    world = copied(known, tmp_path / "home")
    before = world.live(SLO).select("log", "business_day", "hydrated_at").sort(pl.all())
    with world.warehouse.store.transaction() as tx:
        tx.connection.execute(f"DELETE FROM {SLO.name}")
    time_passes(world, days=100)
    checks(world)
    after = world.live(SLO).select("log", "business_day", "hydrated_at").sort(pl.all())
    late = before.join(after, on=["log", "business_day"]).select(pl.col("hydrated_at_right") - pl.col("hydrated_at"))
    assert late["hydrated_at_right"].max() < timedelta(minutes=1)  # type: ignore[operator]


def test_a_row_that_is_taken_back_came_when_it_was_taken_back(known: World, tmp_path: Path) -> None:
    declared = settings_for(tmp_path).retailers["acme"].model_dump() | {"resends": "store_days"}
    world = copied(known, tmp_path / "home", retailers={"acme": declared})
    time_passes(world, days=20)
    last = sales(DAYS - 1)
    world.send(last.filter(pl.col("sku") != "milk"), "without-milk.csv")
    world.tick()
    assert world.live(UNIFIED_SALES).filter(pl.col("business_day") == LAST_DAY).height == 2
    lag = (
        world.live(SLO)
        .filter(pl.col("business_day") == LAST_DAY, log=DETECTED.name)
        .select(pl.col("hydrated_at") - pl.col("available_at"))
    )
    assert lag["hydrated_at"][0] < timedelta(minutes=10)


def test_a_correction_of_one_day_does_not_make_the_days_after_it_late(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    time_passes(world, days=20)
    world.send(sales(DAYS - 5, DAYS - 4, times=4), "corrected.csv")
    done = world.tick()
    assert done.appended[DETECTED.name] > 0
    lags = world.live(SLO).filter(log=DETECTED.name).select(late=pl.col("hydrated_at") - pl.col("available_at"))
    assert lags["late"].max() < timedelta(minutes=10)  # type: ignore[operator]


def test_readers_see_the_levels_of_the_state_that_they_see(known: World) -> None:
    reader = SnapshotReader(known.home, ())
    assert reader.show(SLO_RESULTS.name, live=True).height == len(OBJECTIVES)
    assert reader.show(SLO.name, live=True).height == known.live(SLO).height


def test_a_reset_begins_with_nothing_to_promise(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    with world.warehouse.store.transaction() as tx:
        tx.start_run("run-0002", tx.now, WRITER)
    told = checks(world)
    assert {name for name, check in told.items() if check.metadata["state"].value != "unknown"} == NOTHING_LATE
    assert world.live(SLO).is_empty()


def test_a_new_limit_ends_or_begins_a_breach_at_the_next_look(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    time_passes(world, hours=30)
    assert checks(under(world, slo={"sales_hours": 24}))["sales_arrive_on_time"].passed is False
    assert checks(under(world, slo={"sales_hours": 48}))["sales_arrive_on_time"].passed is True
    assert states(world, "sales_arrive_on_time") == ["met", "breached", "met"]


def test_a_breach_of_intraday_data_burns_by_the_hour_and_daily_data_by_the_day(known: World) -> None:
    with known.warehouse.store.transaction() as tx:
        facts = read_facts(tx, known.settings)
    pending = facts["levels"].with_columns(hydrated_at=pl.lit(None, dtype=pl.Datetime("us", "UTC")))
    hourly = known.settings.model_copy(
        update={"retailers": {"acme": known.settings.retailers["acme"].model_copy(update={"grain": "1h"})}}
    )
    now = facts.now + timedelta(hours=3)
    breached = facts["results"].with_columns(state=pl.lit("breached"), since=pl.lit(now - timedelta(minutes=62)))
    frames = {**facts.frames, "levels": pending, "results": breached}
    (of_time,) = [j for j in judge(Facts(now, hourly, frames)) if j.objective.name == "detection_is_fresh"]
    assert of_time.budget is not None
    assert (of_time.state, of_time.budget.burn) == ("breached", "fast")
    assert "5 min" in of_time.budget.rates
    (of_days,) = [j for j in judge(Facts(now, known.settings, frames)) if j.objective.name == "detection_is_fresh"]
    assert of_days.budget is not None
    assert (of_days.budget.burn, of_days.budget.left) == ("fast", 0.0)
    assert "2 d" in of_days.budget.rates


def test_the_schedule_judges_publishes_and_never_queues_behind_itself(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    time_passes(world, hours=40)
    definitions = build_definitions(world.settings, world.warehouse)
    schedule = definitions.resolve_schedule_def("service_levels")
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    job = definitions.resolve_job_def("service_levels")
    with dg.DagsterInstance.local_temp() as instance:

        def asked_in(days: int) -> list[dg.RunRequest]:
            at = datetime.now(UTC) + timedelta(days=days)  # runs are stamped by the instance's clock
            return schedule.evaluate_tick(dg.build_schedule_context(instance, at)).run_requests or []

        assert len(asked_in(0)) == 1
        ran = job.execute_in_process(instance=instance)
        assert ran.success
        assert len(asked_in(6)) == 1
        assert instance.get_runs_count() == 1
        assert len(asked_in(8)) == 1
        assert instance.get_runs_count() == 0, "old looks do not fill the instance up"
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
        assert asked_in(8) == []
        assert instance.get_runs_count() == 1
    shown = SnapshotReader(world.home, ()).show(SLO_RESULTS.name, live=True)
    assert shown.filter(objective="sales_arrive_on_time")["state"].to_list() == ["breached"]


def test_a_replay_that_failed_half_way_does_not_look_like_rows_that_are_lost(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home", faults=(Fault(point=DETECTED.name, action="raise"),))
    world.send(sales(DAYS - 2, times=1.5), "corrected.csv")
    try:
        world.tick()
    except AssertionError:
        told = checks(world)
    assert told["every_key_counts_once"].passed
    assert told["reports_are_clustered_in_time"].passed
