"""Tills count three days twice; the retailer re-sends; what was never real ends, and the word about it stays."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.replays import REPLAY_CERTIFICATES, REPLAY_PARTS, SUPERSEDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Replays
from mrs_assets.graph import STAGES
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.planning.ledger import approve
from mrs_assets.verification.comparison import COMPARED, difference, log_content
from mrs_resources.reader import SnapshotReader
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

DAYS = 120
WEEKEND = [FIRST_DAY + timedelta(days=n) for n in (116, 117, 118)]
SKUS = ("milk", "bread", "eggs", "tea")
DOUBLED = ("s1", "s2")


def twice(store: str, _sku: str, day: date, units: float) -> float:
    return 2 * units if store in DOUBLED and day in WEEKEND else units


def resent() -> pl.DataFrame:
    right = daily_sales(DAYS)
    return right.filter(pl.col("ts").is_in(WEEKEND) & pl.col("store_id").is_in(DOUBLED))


class Weekend:
    """The story up to Sunday evening, with what the analyst found and when it was."""

    def __init__(self, home: Path, of: type[World] = DirectWorld, **limits: Any) -> None:
        settings = settings_for(home).model_copy(update={"replays": Replays(**limits)})
        self.world = of(home, settings)
        self.world.send(daily_sales(DAYS, change=twice))
        self.world.tick()
        self.report = str(self.world.live(DETECTED).filter(store_id="s1")["report_id"].sort()[0])
        self.annotation = str(uuid.uuid5(uuid.NAMESPACE_URL, self.report))
        said = {"action": "add_evidence", "evidence_url": "https://tills.example/log", "reason": "till log"}
        who = {"actor": "lewis", "user_role": "analyst", "acted_at": "2024-05-20T10:00:00Z"}
        self.world.send_edit({"annotation_id": self.annotation, "report_id": self.report, **said, **who})
        self.world.tick()
        self.sunday: datetime = self.world.clock()
        self.before = self.shown("reports")

    def shown(self, name: str, **asked: Any) -> pl.DataFrame:
        return SnapshotReader(self.world.home, FOLDS).show(name, **asked)


@pytest.fixture(scope="module")
def monday(tmp_path_factory: pytest.TempPathFactory) -> Weekend:
    """The retailer has re-sent the weekend."""
    weekend = Weekend(tmp_path_factory.mktemp("monday"), World)
    weekend.world.send(resent(), "again.csv")
    weekend.world.tick()
    return weekend


def test_sunday_s_uplift_was_an_event_with_a_data_error_among_its_causes(monday: Weekend) -> None:
    reports = monday.before.filter(pl.col("store_id").is_in(DOUBLED))
    assert reports.height >= 6
    assert (reports["event_status"] == "active").all()
    told = reports.filter(pl.col("proposed_cause_category") == "Data Error")
    assert told.height >= reports.height / 2
    assert told["confidence_score"].max() < 0.9
    assert monday.shown("events", as_of=monday.sunday).filter(event_status="active").height >= 1


def test_only_the_stores_and_days_that_read_the_correction_are_computed(monday: Weekend) -> None:
    plan = monday.world.live(REPLAY_PARTS).sort("written_at")["plan_id"][-1]
    parts = monday.world.live(REPLAY_PARTS).filter(plan_id=plan)
    of_stores = parts.filter(pl.col("asset").is_in([s.name for s in STAGES if s.span == "store"]))
    assert set(of_stores["stores"].explode()) == set(DOUBLED)
    assert parts["first_day"].min() == WEEKEND[0]


def test_reports_that_were_never_real_end_with_their_trail(monday: Weekend) -> None:
    live = monday.world.live(DETECTED)
    gone = monday.before.join(live, on="report_id", how="anti")
    assert gone.height >= 6
    ids = gone["report_id"].to_list()
    for log in (ENDED, FINALISED):
        told = monday.world.live(log).filter(pl.col("report_id").is_in(ids))
        assert told.height == gone.height
        assert set(told["event_status"]) == {"ended"}
        assert set(told["resolution_reason"]) == {CORRECTED}
    shown = monday.shown("reports").filter(pl.col("report_id").is_in(ids))
    assert set(shown["resolution_reason"]) == {CORRECTED}
    with monday.world.warehouse.store.transaction() as tx:
        history = tx.history(DETECTED).filter(pl.col("report_id").is_in(ids))
    assert set(history.filter(~pl.col("is_retracted"))["report_id"]) == set(ids), "every earlier row stays"


def test_the_event_closes_and_says_why(monday: Weekend) -> None:
    was = monday.shown("events", as_of=monday.sunday).filter(event_status="active")["report_group_id"]
    closed = monday.shown("events").filter(pl.col("report_group_id").is_in(was.implode()))
    assert set(closed["event_status"]) == {"ended"}
    assert set(closed["resolution_reason"]) == {CORRECTED}
    told = monday.world.live(EVENTS).filter(pl.col("report_group_id").is_in(was.implode()))
    assert set(told["resolution_reason"]) == {CORRECTED}


def test_models_see_the_corrected_series(monday: Weekend) -> None:
    series = monday.world.live(SALES_TIMESERIES).filter(pl.col("business_day").is_in(WEEKEND))
    assert float(series["units"].sum()) == daily_sales(DAYS).filter(pl.col("ts").is_in(WEEKEND))["units"].sum()


def test_sunday_s_belief_can_still_be_read(monday: Weekend) -> None:
    assert monday.shown("reports", as_of=monday.sunday).equals(monday.before)


def test_the_evidence_stays_with_the_closed_report(monday: Weekend) -> None:
    assert monday.annotation in monday.world.live(USER_EDITS)["annotation_id"]
    closed = monday.shown("reports").filter(report_id=monday.report)
    assert closed["evidence_count"].to_list() == [1]


def test_it_is_what_a_build_from_the_final_files_says(monday: Weekend, tmp_path: Path) -> None:
    clean = DirectWorld(tmp_path, settings_for(tmp_path))
    clean.send(daily_sales(DAYS))
    clean.tick()
    for log in COMPARED:
        if log.stage in ("feeds",):
            continue
        found = []
        for world in (clean, monday.world):
            with world.warehouse.store.transaction() as tx:
                found.append(log_content(tx, log))
        change = difference(log.name, log.key, *found)
        assert change.is_none, change


def test_the_replay_is_certified(monday: Weekend) -> None:
    certificate = monday.world.live(REPLAY_CERTIFICATES).filter(pl.col("sample").list.len() > 0)
    assert certificate["sample_differences"].sum() == 0
    assert (certificate["rows_computed"] > 0).all()


def test_the_same_files_again_change_nothing(monday: Weekend) -> None:
    before = monday.world.rows_ever()
    monday.world.send(resent(), "once more.csv")
    result = monday.world.tick()
    assert result.plans == []
    assert monday.world.rows_ever() == before


def test_a_correction_of_the_correction_raises_the_same_reports_again(tmp_path: Path) -> None:
    weekend = Weekend(tmp_path)
    weekend.world.send(resent(), "again.csv")
    weekend.world.tick()
    weekend.world.send(
        daily_sales(DAYS, change=twice).filter(pl.col("ts").is_in(WEEKEND) & pl.col("store_id").is_in(DOUBLED)),
        "after all.csv",
    )
    weekend.world.tick()
    told = ["report_id", "event_status", "resolution_reason", "impact_estimate", "evidence_count", "report_status"]
    assert weekend.shown("reports").select(told).equals(weekend.before.select(told))
    closed = weekend.world.live(ENDED).filter(resolution_reason=CORRECTED)
    assert closed.is_empty()
    assert weekend.world.live(EVENTS).filter(resolution_reason=CORRECTED).is_empty()


def test_a_large_correction_waits_for_a_person_and_says_so(tmp_path: Path) -> None:
    weekend = Weekend(tmp_path, hold_above_reports=2)
    world = weekend.world
    world.send(resent(), "again.csv")
    with_plans = world.tick()
    (plan,) = with_plans.held
    assert plan.touched is not None
    waiting = weekend.shown("reports").filter(pl.col("report_status") == "superseded")
    assert waiting.height == plan.touched.reports
    assert waiting["is_degraded"].all()
    assert waiting["degraded_reasons"].to_list() == [["sales_restated"]] * waiting.height
    assert world.tick().held[0].plan_id == plan.plan_id
    with world.warehouse.store.transaction() as tx:
        assert not approve(tx, "plan-unknown", "gordon")
        assert approve(tx, plan.plan_id, "gordon")
    unchanged = {log.name: world.live(log) for log in (CLUSTERED, ATTRIBUTED)}
    assert world.tick().held == []
    assert world.live(SUPERSEDED).is_empty()
    assert weekend.shown("reports").filter(pl.col("report_status") == "superseded").is_empty()
    for name, rows in unchanged.items():
        log = CLUSTERED if name == CLUSTERED.name else ATTRIBUTED
        stood = world.live(log).join(rows, on=[*log.key, "version"], how="semi")
        assert stood.height == world.live(log).join(rows, on=list(log.key), how="semi").height
