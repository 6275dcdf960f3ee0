"""Reports without answers, rows that stand twice, edits of nothing, and days that wait."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path

import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Fault
from tests.slo.levels import DAYS, alerts, checks, copied, sales, time_passes, under, value_of, worst_of
from tests.slo.stories.story import Acts, Story
from tests.world import World


def active_reports_are_covered_again_once_their_causes_are_there(known: World, home: Path) -> Acts:
    world = copied(known, home)
    world.send(sales(DAYS, DAYS + 1, times=3), "next.csv")
    world.tick()
    covered = yield world
    assert value_of(covered) == 1
    losing = under(world, faults=(Fault(point=ATTRIBUTED.name, action="corrupt"),))
    losing.send(sales(DAYS + 1, DAYS + 2, times=3), "after-next.csv")
    losing.tick()
    uncovered = yield losing
    assert value_of(uncovered) == 3 / 4
    assert [row["without"] for row in worst_of(uncovered)] == [1]
    down = under(world, faults=(Fault(point=ATTRIBUTED.name, action="raise"),))
    down.send(sales(DAYS + 1, DAYS + 2, times=4), "corrected.csv")
    down.tick()
    yield down
    mended = under(world)
    time_passes(mended, hours=5)
    mended.tick()
    yield mended


def an_answer_after_the_limit_is_none_in_time(log: Contract, in_time: str, known: World, home: Path) -> Acts:
    world = copied(known, home)
    yield world
    failing = under(world, faults=(Fault(point=log.name, action="raise"),))
    failing.send(sales(DAYS, DAYS + 1, times=3), "next.csv")
    failing.tick()
    yield failing
    failing.send(sales(DAYS + 1, DAYS + 3, times=3), "after-next.csv")
    failing.tick()
    yield failing
    time_passes(failing, hours=4.5)
    mended = under(failing)
    mended.tick()
    assert not checks(mended)[in_time].passed
    time_passes(mended, minutes=mended.settings.alerts.hold_down_minutes)
    checks(mended)
    newest = [note for note in alerts(mended) if note.fingerprint == f"slo:{in_time}:acme"][-1]
    assert (newest.tells, newest.parent_id) == (True, None), "what outlives its parent is told then"
    time_passes(mended, days=8)
    mended.send(sales(DAYS + 3, DAYS + 4, times=4), "after-that.csv")
    mended.tick()
    yield mended


def a_row_that_stands_twice_is_found_by_the_replay_of_its_day(known: World, home: Path) -> Acts:
    world = copied(known, home)
    twice = f"FROM {CLUSTERED.name} WHERE business_day = (SELECT max(business_day) FROM {CLUSTERED.name})"
    times = 1.0

    def replayed() -> None:
        nonlocal times
        times += 0.1
        world.send(sales(DAYS - 1, times=times), f"corrected-{times:.1f}.csv")
        world.tick()

    def doubled() -> None:
        with world.warehouse.store.transaction() as tx:
            tx.connection.execute(f"INSERT INTO {CLUSTERED.name} SELECT * {twice} LIMIT 1")
        replayed()

    yield world
    doubled()
    wrong = yield world
    assert worst_of(wrong)[0]["log"] == CLUSTERED.name
    doubled()
    yield world
    with world.warehouse.store.transaction() as tx:
        first = f"SELECT min(rowid) {twice} GROUP BY report_id, tick, version"
        tx.connection.execute(f"DELETE {twice} AND rowid NOT IN ({first})")
    replayed()
    yield world


def a_replay_that_failed_is_red_after_an_hour_and_says_which(known: World, home: Path) -> Acts:
    world = copied(known, home, faults=(Fault(point=SALES_TIMESERIES.name, action="raise"),))
    world.send(sales(DAYS, DAYS + 1), "next.csv")
    with pytest.raises(AssertionError):
        world.tick()
    yield world
    time_passes(world, minutes=61)
    left = yield world
    assert value_of(left) == 1
    assert "is planned and not done" in worst_of(left)[0]["why"]
    world.send(sales(DAYS + 1, DAYS + 2), "after-next.csv")
    with pytest.raises(AssertionError):
        world.tick()
    time_passes(world, minutes=61)
    yield world
    mended = under(world)
    mended.tick()
    yield mended


def what_could_be_mended_and_is_not_is_seen(known: World, home: Path) -> Acts:
    failing = copied(known, home, faults=(Fault(point=CLUSTERED.name, action="raise"),))
    failing.send(sales(DAYS, DAYS + 1, times=2), "next.csv")
    failing.tick()
    yield failing
    time_passes(failing, hours=6)
    unseen = yield failing
    assert {row["waits for"] for row in worst_of(unseen) if row["log"] == CLUSTERED.name} == {"nothing"}
    both = under(failing, faults=tuple(Fault(point=log.name, action="raise") for log in (CLUSTERED, ATTRIBUTED)))
    both.send(sales(DAYS + 1, DAYS + 2, times=2), "after-next.csv")
    both.tick()
    time_passes(both, hours=6)
    yield both
    mended = under(failing)
    mended.tick()
    yield mended


def an_edit_of_what_was_never_there_is_told_until_it_is_undone(known: World, home: Path) -> Acts:
    world = copied(known, home)
    sent = 0

    def edited(report: str, **what: str) -> str:
        nonlocal sent
        sent += 1
        edit = {"annotation_id": str(uuid.UUID(int=sent)), "report_id": report, "actor": "ada"}
        world.send_edit(edit | {"user_role": "analyst", "acted_at": "2024-06-01T10:00:00Z"} | what)
        world.tick()
        return edit["annotation_id"]

    edited(world.live(FINALISED)["report_id"][0], action="approve")
    yield world
    nowhere, neither = "MR-" + "0" * 20, "MR-" + "1" * 20
    stray = edited(nowhere, action="approve")
    told = yield world
    assert [row["of"] for row in worst_of(told)] == [nowhere]
    strayed = edited(neither, action="approve")
    yield world
    edited(nowhere, action="undo", undoes=stray)
    edited(neither, action="undo", undoes=strayed)
    assert world.live(USER_EDITS).height == 5
    yield world


def a_recalled_report_waits_while_nobody_can_look_at_it(known: World, home: Path) -> Acts:
    failing = copied(known, home, faults=(Fault(point=ATTRIBUTED.name, action="raise"),))
    asked = {"report_id": failing.live(FINALISED)["report_id"][0], "action": "request_review", "path": "reprocess"}
    asked |= {"annotation_id": str(uuid.UUID(int=1)), "actor": "ada", "user_role": "analyst"}
    asked |= {"acted_at": "2024-06-01T10:00:00Z", "reopen_reason": "new_evidence"}
    failing.send_edit(asked | {"reason": "There was a fair in the next street, and nobody told the planners of it."})
    failing.tick()
    yield failing
    time_passes(failing, days=15)
    late = yield failing
    assert [row["report"] for row in worst_of(late)] == [asked["report_id"]]
    assert value_of(late) == pytest.approx(15 * 24, abs=1)
    time_passes(failing, days=6)
    yield failing
    mended = under(failing)
    mended.tick()
    yield mended


STORIES = {
    "active_reports_have_a_cause": Story(
        active_reports_are_covered_again_once_their_causes_are_there, explained_by="missing:MRPAL_down:acme"
    ),
    "reports_are_clustered_in_time": Story(
        partial(an_answer_after_the_limit_is_none_in_time, CLUSTERED, "reports_are_clustered_in_time"),
        explained_by="missing:MRCL_down:acme",
    ),
    "reports_are_attributed_in_time": Story(
        partial(an_answer_after_the_limit_is_none_in_time, ATTRIBUTED, "reports_are_attributed_in_time"),
        explained_by="missing:MRPAL_down:acme",
    ),
    "every_key_counts_once": Story(a_row_that_stands_twice_is_found_by_the_replay_of_its_day),
    "no_partition_left_failed": Story(a_replay_that_failed_is_red_after_an_hour_and_says_which),
    "no_partition_left_degraded_unseen": Story(what_could_be_mended_and_is_not_is_seen),
    "every_edit_has_its_report": Story(an_edit_of_what_was_never_there_is_told_until_it_is_undone),
    "recalled_reports_are_looked_at_in_time": Story(a_recalled_report_waits_while_nobody_can_look_at_it),
}
