"""How far a recomputed day is felt."""

from __future__ import annotations

from datetime import date, timedelta

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.graph import STAGES
from mrs_assets.planning.reach import joined, reach, runs_of

DAY, FRONTIER = date(2024, 5, 1), date(2024, 12, 31)
NEXT = DAY + timedelta(days=1)


def test_a_cluster_is_felt_by_its_own_causes_and_by_the_events_that_remember_it() -> None:
    felt = reach({CLUSTERED.name: [(DAY, NEXT)]}, STAGES, FRONTIER)
    assert felt[CLUSTERED.name] == felt[ATTRIBUTED.name] == [(DAY, NEXT)]
    remembered = next(stage for stage in STAGES if stage.name == COHORTED.name).wants["clustered"].log
    assert remembered is not None
    ahead, behind = timedelta(days=remembered.days_after), timedelta(days=remembered.days_before)
    assert felt[COHORTED.name] == [(DAY - ahead, NEXT + behind)]
    assert set(felt) == {CLUSTERED.name, ATTRIBUTED.name, COHORTED.name}


def test_a_report_remembers_so_detection_runs_to_the_frontier() -> None:
    felt = reach({SALES_TIMESERIES.name: [(DAY, DAY)]}, STAGES, FRONTIER)
    assert felt[DETECTED.name] == [(DAY, FRONTIER)]
    assert felt[CLUSTERED.name] == [(DAY, FRONTIER)]


def test_nothing_is_felt_after_the_frontier() -> None:
    assert reach({COHORTED.name: [(DAY, DAY)]}, STAGES, DAY) == {COHORTED.name: [(DAY, DAY)]}
    assert reach({CLUSTERED.name: [(DAY, DAY)]}, STAGES, DAY)[COHORTED.name][0][1] == DAY


def test_far_apart_days_stay_apart_and_near_ones_join() -> None:
    far = DAY + timedelta(days=30)
    assert joined([(far, far), (DAY, NEXT), (NEXT, NEXT)]) == [(DAY, NEXT), (far, far)]
    assert joined([(DAY, DAY), (NEXT, NEXT)]) == [(DAY, NEXT)]


def test_days_without_rows_do_not_cut_a_stretch_and_other_days_do() -> None:
    later = DAY + timedelta(days=9)
    assert runs_of([DAY, later], present=[DAY, later]) == [(DAY, later)]
    assert runs_of([DAY, later], present=[DAY, NEXT, later]) == [(DAY, DAY), (later, later)]
