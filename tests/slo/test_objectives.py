"""Each objective, driven across its limit on a real graph and back, as its check and the log of results tell it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Fault
from mrs_resources.dead_letters import dismiss, letters
from mrs_resources.log_store import EVER
from tests.slo.levels import (
    DAYS,
    WRITER,
    admit_only,
    checks,
    copied,
    result,
    sales,
    states,
    time_passes,
    under,
    value_of,
    worst_of,
)
from tests.world import World


def test_a_feed_that_stops_goes_stale_while_nothing_runs(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    time_passes(world, hours=35)
    assert checks(world)["sales_arrive_on_time"].passed
    time_passes(world, hours=2)
    stale = checks(world)["sales_arrive_on_time"]
    assert not stale.passed
    assert 36 < value_of(stale) < 38
    assert stale.metadata["limit"].value == 36
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    world.tick()
    assert states(world, "sales_arrive_on_time") == ["met", "breached", "met"]


def test_reports_are_late_while_their_file_waits_and_as_long_as_the_window_remembers(
    known: World, tmp_path: Path
) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS - 40, times=1.2), "corrected.csv")
    admit_only(world)
    assert checks(world)["detection_is_fresh"].passed
    time_passes(world, minutes=31)
    waiting = checks(world)["detection_is_fresh"]
    assert not waiting.passed
    assert value_of(waiting) > 30
    assert {row["shown"] for row in worst_of(waiting)} == {"no"}
    world.tick()
    late = checks(world)["detection_is_fresh"]
    assert not late.passed, "they came late, which being there now does not undo"
    assert {row["shown"] for row in worst_of(late)} == {"yes"}
    assert result(world, "detection_is_fresh")["budget_left"] == 0.0
    time_passes(world, days=8)
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    world.tick()
    assert checks(world)["detection_is_fresh"].passed
    assert states(world, "detection_is_fresh") == ["met", "breached", "met"]


@pytest.mark.parametrize(
    ("log", "fresh", "in_time"),
    [
        (CLUSTERED, "clustering_is_fresh", "reports_are_clustered_in_time"),
        (ATTRIBUTED, "attribution_is_fresh", "reports_are_attributed_in_time"),
    ],
    ids=["clusters", "causes"],
)
def test_a_stage_that_is_down_is_late_alone(
    log: Contract, fresh: str, in_time: str, known: World, tmp_path: Path
) -> None:
    failing = copied(known, tmp_path / "home", faults=(Fault(point=log.name, action="raise"),))
    time_passes(failing, days=8)
    failing.send(sales(DAYS - 3, DAYS + 1, times=1.1), "corrected.csv")
    failing.tick()
    told = checks(failing)
    assert told[fresh].passed, "its limit has not passed yet"
    assert not told[in_time].passed
    time_passes(failing, hours=4.5)
    told = checks(failing)
    assert not told[fresh].passed
    assert told["detection_is_fresh"].passed
    mended = under(failing)
    mended.tick()
    assert not checks(mended)[in_time].passed, "an answer after the limit is none in time"
    time_passes(mended, days=8)
    mended.send(sales(DAYS + 1, DAYS + 2, times=3), "next.csv")
    mended.tick()
    told = checks(mended)
    assert told[fresh].passed
    assert told[in_time].passed
    assert states(mended, fresh) == ["met", "breached", "met"]


def test_active_reports_are_covered_again_once_their_causes_are_there(known: World, tmp_path: Path) -> None:
    failing = copied(known, tmp_path / "home", faults=(Fault(point=ATTRIBUTED.name, action="raise"),))
    assert checks(failing)["active_reports_have_a_cause"].passed
    failing.send(sales(DAYS, DAYS + 1, times=2), "next.csv")
    failing.tick()
    uncovered = checks(failing)["active_reports_have_a_cause"]
    assert not uncovered.passed
    assert value_of(uncovered) < 0.8
    mended = under(failing)
    time_passes(mended, hours=5)
    mended.tick()
    assert checks(mended)["active_reports_have_a_cause"].passed
    assert states(mended, "active_reports_have_a_cause") == ["met", "breached", "met"]


def test_more_than_one_row_in_a_hundred_is_too_many_until_they_are_dealt_with(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS, DAYS + 1).with_columns(units=pl.lit("many")), "broken.csv")
    world.tick()
    assert checks(world)["few_rows_are_dead_lettered"].passed, "4 rows of 492"
    world.send(sales(DAYS + 1, DAYS + 2).with_columns(units=pl.lit("many")), "broken-too.csv")
    world.tick()
    dirty = checks(world)["few_rows_are_dead_lettered"]
    assert not dirty.passed
    assert value_of(dirty) == pytest.approx(8 / 496)
    assert sum(row["dead letters"] for row in worst_of(dirty)) == 8
    with world.warehouse.store.transaction() as tx:
        dismiss(tx, letters(tx), "ada", "The till was being tested.", WRITER)
    assert checks(world)["few_rows_are_dead_lettered"].passed
    assert states(world, "few_rows_are_dead_lettered") == ["met", "breached", "met"]


def test_a_file_that_nothing_was_used_of_is_told_until_somebody_saw_it(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(pl.DataFrame({"shop": ["s1"], "amount": [3]}), "strange.csv")
    world.tick()
    assert value_of(checks(world)["every_file_is_used"]) == 1
    with world.warehouse.store.transaction() as tx:
        dismiss(tx, letters(tx, logs=[ARRIVALS]), "ada", "Not ours.", WRITER)
    assert checks(world)["every_file_is_used"].passed
    time_passes(world, days=100)
    assert value_of(checks(world)["every_file_is_used"]) == 0, "silence does not make it unknown"
    assert states(world, "every_file_is_used") == ["met", "breached", "met"]


def test_rows_that_nobody_accounts_for_are_found_and_are_red(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    account = world.live(ARRIVALS).select(list(ARRIVALS.body))
    with world.warehouse.store.transaction() as tx:
        short = account.with_columns(pl.col("rows_accepted") - 3)
        tx.append(ARRIVALS, short, replace(EVER, complete=False), WRITER)
    wrong = checks(world)["every_received_row_is_accounted_for"]
    assert (wrong.passed, wrong.severity.value, value_of(wrong)) == (False, "ERROR", 3)
    assert worst_of(wrong)[0]["file"] == "history.csv"
    with world.warehouse.store.transaction() as tx:
        tx.append(ARRIVALS, account, replace(EVER, complete=False), WRITER)
    assert checks(world)["every_received_row_is_accounted_for"].passed
    assert states(world, "every_received_row_is_accounted_for") == ["met", "breached", "met"]


def test_a_row_that_stands_twice_is_found_by_the_replay_of_its_day(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    twice = f"FROM {CLUSTERED.name} WHERE business_day = (SELECT max(business_day) FROM {CLUSTERED.name})"
    with world.warehouse.store.transaction() as tx:
        tx.connection.execute(f"INSERT INTO {CLUSTERED.name} SELECT * {twice} LIMIT 1")
    world.send(sales(DAYS - 1, times=1.1), "corrected.csv")
    world.tick()
    doubled = checks(world)["every_key_counts_once"]
    assert (doubled.passed, doubled.severity.value) == (False, "ERROR")
    assert worst_of(doubled)[0]["log"] == CLUSTERED.name
    with world.warehouse.store.transaction() as tx:
        rows = f"SELECT max(rowid) {twice} GROUP BY report_id, tick, version HAVING count(*) > 1"
        tx.connection.execute(f"DELETE FROM {CLUSTERED.name} WHERE rowid IN ({rows})")
    world.send(sales(DAYS - 1, times=1.2), "corrected-again.csv")
    world.tick()
    assert checks(world)["every_key_counts_once"].passed
    assert states(world, "every_key_counts_once") == ["met", "breached", "met"]


def test_a_replay_that_failed_is_red_after_an_hour_and_says_which(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home", faults=(Fault(point=SALES_TIMESERIES.name, action="raise"),))
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    with pytest.raises(AssertionError):
        world.tick()
    assert checks(world)["no_partition_left_failed"].passed
    time_passes(world, minutes=61)
    left = checks(world)["no_partition_left_failed"]
    assert (left.passed, left.severity.value, value_of(left)) == (False, "ERROR", 1)
    assert "is planned and not done" in worst_of(left)[0]["why"]
    mended = under(world)
    mended.tick()
    assert checks(mended)["no_partition_left_failed"].passed
    assert states(mended, "no_partition_left_failed") == ["met", "breached", "met"]


def test_a_file_that_no_replay_was_ever_planned_for_is_left_behind_too(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS, DAYS + 2), "next.csv")
    admit_only(world)
    time_passes(world, minutes=61)
    assert value_of(checks(world)["no_partition_left_failed"]) == 2


def test_what_could_be_mended_and_is_not_is_seen(known: World, tmp_path: Path) -> None:
    failing = copied(known, tmp_path / "home", faults=(Fault(point=CLUSTERED.name, action="raise"),))
    failing.send(sales(DAYS, DAYS + 1, times=2), "next.csv")
    failing.tick()
    assert checks(failing)["no_partition_left_degraded_unseen"].passed
    time_passes(failing, hours=6)
    unseen = checks(failing)["no_partition_left_degraded_unseen"]
    assert not unseen.passed
    assert {row["waits for"] for row in worst_of(unseen) if row["log"] == CLUSTERED.name} == {"nothing"}
    mended = under(failing)
    mended.tick()
    assert checks(mended)["no_partition_left_degraded_unseen"].passed
    assert states(mended, "no_partition_left_degraded_unseen") == ["met", "breached", "met"]


def test_an_edit_of_what_was_never_there_is_told_until_it_is_undone(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    said = {"actor": "ada", "user_role": "analyst", "acted_at": "2024-06-01T10:00:00Z"}
    there = {"annotation_id": str(uuid.UUID(int=1)), "report_id": world.live(FINALISED)["report_id"][0]}
    world.send_edit(said | there | {"action": "approve"})
    world.tick()
    assert checks(world)["every_edit_has_its_report"].passed
    nowhere = {"annotation_id": str(uuid.UUID(int=2)), "report_id": "MR-" + "0" * 20}
    world.send_edit(said | nowhere | {"action": "approve"})
    world.tick()
    stray = checks(world)["every_edit_has_its_report"]
    assert not stray.passed
    assert [row["of"] for row in worst_of(stray)] == [nowhere["report_id"]]
    back = {"annotation_id": str(uuid.UUID(int=3)), "report_id": nowhere["report_id"]}
    world.send_edit(said | back | {"action": "undo", "undoes": nowhere["annotation_id"]})
    world.tick()
    assert world.live(USER_EDITS).height == 3
    assert checks(world)["every_edit_has_its_report"].passed
    assert states(world, "every_edit_has_its_report") == ["unknown", "met", "breached", "met"]


def test_half_a_delivery_is_not_as_usual_and_the_other_half_mends_it(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    whole = sales(DAYS, DAYS + 1)
    world.send(whole.head(1), "quarter.csv")
    world.tick()
    unusual = checks(world)["volume_is_as_usual"]
    assert not unusual.passed
    assert worst_of(unusual)[0] | {"day": ""} == {"retailer": "acme", "day": "", "rows": 1, "usual": 4.0, "off": 0.75}
    world.send(whole, "whole.csv")
    world.tick()
    assert checks(world)["volume_is_as_usual"].passed
    assert states(world, "volume_is_as_usual") == ["met", "breached", "met"]


def test_a_column_that_comes_is_told_once_and_is_then_known(known: World, tmp_path: Path) -> None:
    world = copied(known, tmp_path / "home")
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    world.tick()
    assert checks(world)["columns_stay_the_same"].passed
    world.send(sales(DAYS + 1, DAYS + 2).with_columns(till=pl.lit("7")), "wider.csv")
    world.tick()
    drifted = checks(world)["columns_stay_the_same"]
    assert not drifted.passed
    assert worst_of(drifted) == [
        {"retailer": "acme", "feed": "sales", "file": "wider.csv", "gone": "", "added": "till"}
    ]
    world.send(sales(DAYS + 2, DAYS + 3).with_columns(till=pl.lit("7")), "as-wide.csv")
    world.tick()
    assert checks(world)["columns_stay_the_same"].passed
    assert states(world, "columns_stay_the_same") == ["unknown", "met", "breached", "met"]
