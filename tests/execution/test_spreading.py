"""Parts computed by workers: the same rows as without, whoever dies; failures come back as they are.

More of it: MRS_WORKER_KILLS=20 pytest tests/execution/test_spreading.py -k killed -s
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from mrs_assets.boundary import pieces
from mrs_assets.boundary.spreading import WorkersCrew
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.errors import StageFailed, WorkersUnreachable
from mrs_assets.contracts.execution import Execution
from mrs_assets.contracts.resilience import Fault
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_resources import workers as workers_module
from mrs_resources.workers import Workers
from tests.backends import OVER_WORKERS
from tests.execution.made import BY, COMPUTED, SCOPE, STORES, compute, every_version, home_with_series

if TYPE_CHECKING:
    from distributed import LocalCluster, Nanny

pytestmark = OVER_WORKERS

KILLS = int(os.environ.get("MRS_WORKER_KILLS", "1"))
"""Workers that are killed, on each storage."""

KILLS_OF_A_RUN = 3
"""One more can be too many: work that four workers died of is given to no fifth."""


@pytest.fixture(scope="module")
def workers(backend: str) -> Iterator[Workers]:
    """Started after the server of the catalogues, if there is one: they know how to get there."""
    started = Workers(Execution(executor="dask", workers=2))
    yield started
    started.close()


@pytest.fixture(autouse=True)
def _worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few thousand rows are enough to be spread, and a month to be cut."""
    monkeypatch.setattr(pieces, "ROWS_WORTH_A_WORKER", 1)


def test_the_rows_are_those_of_one_process(tmp_path: Path, workers: Workers) -> None:
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    homes = {home: home_with_series(home) for home in (alone, spread)}
    compute(*homes[alone])
    warehouse, settings = homes[spread]
    crew = WorkersCrew(workers, warehouse, settings)
    compute(warehouse, settings, crew)
    for log in (log for stage in COMPUTED for log in stage.writes):
        expected = every_version(homes[alone][0], log)
        assert expected.height, log.name
        assert every_version(warehouse, log).equals(expected), log.name
    compute(warehouse, settings, crew)  # and once more, which changes nothing
    for log in (log for stage in COMPUTED for log in stage.writes):
        assert every_version(warehouse, log).height == every_version(homes[alone][0], log).height


def test_it_is_cut_for_every_worker_and_told_as_one(tmp_path: Path, workers: Workers) -> None:
    warehouse, settings = home_with_series(tmp_path)
    crew = WorkersCrew(workers, warehouse, settings)
    run = StageRunner(warehouse.store, warehouse.models, settings, crew=crew).run(BASELINE_STAGE, SCOPE, BY)
    stores = [store for part in run.parts for store in part.stores or ()]
    assert len(run.parts) >= 2
    assert sorted(stores) == sorted(STORES)
    (log,) = BASELINE_STAGE.writes
    assert sum(one.appended for one in run.appended[log.name]) == every_version(warehouse, log).height


def test_workers_that_are_killed_cost_no_row(tmp_path: Path, workers: Workers) -> None:
    random = Random(KILLS)  # noqa: S311 - moments of a test
    slow = Fault(point=BASELINE_STAGE.name, action="delay", seconds=1)
    expected, settings = home_with_series(tmp_path / "alone")
    compute(expected, settings)
    killed: set[int] = set()
    runs = 0
    while len(killed) < KILLS:
        home = tmp_path / f"spread-{(runs := runs + 1)}"
        warehouse, settings = home_with_series(home, faults=[slow])
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(compute, warehouse, settings, WorkersCrew(workers, warehouse, settings))
            for _ in range(min(KILLS_OF_A_RUN, KILLS - len(killed))):
                killed |= _kill_one_that_computes(workers, running, killed)
                time.sleep(random.uniform(0, 3))
            running.result()
        for log in (log for stage in COMPUTED for log in stage.writes):
            assert every_version(warehouse, log).equals(every_version(expected, log)), (home, log.name)
    print(f"{len(killed)} workers killed in {runs} runs")
    at_work = workers.connected().run(os.getpid).values()
    assert len(at_work) == 2
    assert killed.isdisjoint(at_work)


def _nannies(workers: Workers) -> list[Nanny]:
    return list(workers._cluster.workers.values()) if workers._cluster else []


def _kill_one_that_computes(workers: Workers, running: Future[None], dead: set[int]) -> set[int]:
    """The process that was killed; none where the run ends before one computes."""
    while not running.done():
        client, nannies = workers._client, _nannies(workers)
        for nanny in nannies:
            if nanny.pid and nanny.pid not in dead and client and client.processing().get(nanny.worker_address):
                os.kill(nanny.pid, signal.SIGKILL)
                return {nanny.pid}
        time.sleep(0.02)
    return set()


def test_a_stage_that_fails_comes_back_as_the_same_error(tmp_path: Path, workers: Workers) -> None:
    fails = Fault(point=BASELINE_STAGE.name, action="raise")
    told = []
    for name in ("alone", "spread"):
        warehouse, settings = home_with_series(tmp_path / name, faults=[fails])
        crew = WorkersCrew(workers, warehouse, settings) if name == "spread" else None
        with pytest.raises(StageFailed) as caught:
            compute(warehouse, settings, crew, [BASELINE_STAGE])
        told.append((str(caught.value), caught.value.remedy))
        assert every_version(warehouse, BASELINE_STAGE.writes[0]).is_empty()
    assert told[0] == told[1]


def test_workers_of_a_scheduler_that_is_running(tmp_path: Path, workers: Workers) -> None:
    address = cast(str, workers.connected().scheduler_info()["address"])
    theirs = Workers(Execution(executor="dask", scheduler=address))
    try:
        assert theirs.count() == 2
        warehouse, settings = home_with_series(tmp_path)
        compute(warehouse, settings, WorkersCrew(theirs, warehouse, settings), [BASELINE_STAGE])
        assert every_version(warehouse, BASELINE_STAGE.writes[0]).height
    finally:
        theirs.close()


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "ANSWERS_WITHIN", 0.5)
    nobody = Workers(Execution(executor="dask", scheduler="tcp://127.0.0.1:1"))
    with pytest.raises(WorkersUnreachable, match=r"tcp://127\.0\.0\.1:1.*Look at \[execution\]"):
        nobody.count()


def test_workers_that_do_not_come_back_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "ANSWERS_WITHIN", 1)
    few = Workers(Execution(executor="dask", workers=1))
    try:
        client = few.connected()
        _lose(few)
        assert few.run(pow, [(2, 3)]) == [8]
        assert few.connected() is not client
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(few.run, time.sleep, [(60,)])
            while not any(few.connected().processing().values()):
                assert not running.done()
            _lose(few)
            with pytest.raises(WorkersUnreachable, match=r"No worker is left.*Parts that were done are kept"):
                running.result()
        assert few.run(pow, [(2, 3)]) == [8]
    finally:
        few.close()


def _lose(workers: Workers) -> None:
    for nanny in _nannies(workers):
        cast("LocalCluster", workers._cluster).sync(nanny.close)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_work_that_kills_every_worker_fails_and_says_so() -> None:
    few = Workers(Execution(executor="dask", workers=1))
    try:
        with pytest.raises(StageFailed, match=r"4 workers died of the same work.*memory"):
            few.run(_die, [()])
        assert few.run(pow, [(2, 3)]) == [8]
    finally:
        few.close()
