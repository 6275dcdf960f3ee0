"""`[execution]`: what may be said, and what is refused; nothing of it is loaded by who does not ask for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mrs_assets import __version__
from mrs_assets.boundary.pieces import independent
from mrs_assets.boundary.spreading import WorkersCrew, compute_share, crew_of
from mrs_assets.contracts.errors import SettingsMistake
from mrs_assets.contracts.execution import Execution
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import load_settings
from mrs_assets.contracts.storage import ON_FILE
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_resources.home_mark import check_mark, mark_of
from mrs_resources.warehouse import Warehouse
from mrs_resources.workers import Workers
from tests.execution.made import BY, SCOPE, compute, every_version, home_with_series
from tests.world import settings_for

TOML = '[retailers.acme]\ntimezone = "UTC"\n[execution]\n'


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"executor": "celery"}, "executor"),
        ({"executor": "dask", "workers": 0}, "workers"),
        ({"executor": "dask", "workers": 2, "scheduler": "tcp://a:8786"}, "workers"),
        ({"workers": 2}, "executor"),
        ({"scheduler": "tcp://a:8786"}, "executor"),
        ({"executor": "dask", "scheduler": "a:8786"}, "scheduler"),
        ({"executor": "dask", "scheduler": "http://a:8786"}, "scheduler"),
        ({"executor": "dask", "scheduler": "tcp://a:99999"}, "scheduler"),
        ({"executor": "dask", "scheduler": "tcp://a b:1"}, "scheduler"),
        ({"executor": "dask", "nodes": 2}, "nodes"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(said: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        Execution.model_validate(said)


def test_feeds_toml_says_which(tmp_path: Path) -> None:
    (tmp_path / "feeds.toml").write_text(TOML + 'executor = "dask"\nscheduler = "tls://scheduler.example.com:8786"\n')
    assert load_settings({}, tmp_path).execution.scheduler == "tls://scheduler.example.com:8786"
    (tmp_path / "feeds.toml").write_text(TOML + 'scheduler = "tcp://scheduler:8786"\n')
    with pytest.raises(SettingsMistake, match=r'executor = "dask"'):
        load_settings({}, tmp_path)


def test_the_graph_loads_nothing_of_dask(tmp_path: Path) -> None:
    (tmp_path / "feeds.toml").write_text(TOML + 'executor = "dask"\n')
    program = "import sys; from mrs_assets.definitions import *; build_definitions(load_settings()); " + (
        "sys.exit(','.join(m for m in ('dask', 'distributed', 'dagster_dask') if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
    assert not (tmp_path / ".mrs").exists()


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SettingsMistake, match=r"minority-report-system\[workers\]"):
        Workers(Execution(executor="dask", workers=2)).run(pow, [(2, 3), (2, 4)])


def test_nobody_computes_beside_a_process_that_keeps_nothing(tmp_path: Path) -> None:
    settings = settings_for(tmp_path).model_copy(update={"execution": Execution(executor="dask")})
    assert crew_of(Warehouse(tmp_path), settings_for(tmp_path)) is None
    assert crew_of(Warehouse(tmp_path, keeps=False), settings) is None
    assert crew_of(Warehouse(tmp_path), settings) is not None


def test_little_is_computed_here(tmp_path: Path) -> None:
    warehouse, settings = home_with_series(tmp_path)
    workers = Workers(Execution(executor="dask", workers=2))
    compute(warehouse, settings, WorkersCrew(workers, warehouse, settings), [BASELINE_STAGE])
    assert every_version(warehouse, BASELINE_STAGE.writes[0]).height
    assert workers._client is None


@pytest.mark.parametrize("there", [False, True])
def test_a_worker_that_sees_another_home_writes_nothing(tmp_path: Path, there: bool) -> None:
    meant, seen = tmp_path / "meant", tmp_path / "seen"
    mark = mark_of(meant)
    if there:
        mark_of(seen)
    with pytest.raises(SettingsMistake, match="does not see the home"):
        compute_share(seen, ON_FILE, settings_for(seen), mark, __version__, BASELINE_STAGE, [SCOPE], BY, None)
    assert not Warehouse(seen).backend.exists()
    check_mark(meant, mark_of(meant))


def test_a_worker_with_other_code_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsMistake, match=r"has version .* not 0\.0\.0"):
        compute_share(
            tmp_path, ON_FILE, settings_for(tmp_path), mark_of(tmp_path), "0.0.0", BASELINE_STAGE, [SCOPE], BY, None
        )
    assert not Warehouse(tmp_path).backend.exists()


def test_days_of_a_store_stay_in_order_where_a_stage_reads_its_past() -> None:
    def part(first: int, last: int, *stores: str) -> Scope:
        return Scope(SCOPE.days[first], SCOPE.days[last], "acme", stores)

    parts = [part(0, 4, "a"), part(5, 9, "a"), part(0, 4, "b"), part(5, 9, "b")]
    assert independent(DETECTION_STAGE, parts) == [parts[:2], parts[2:]]
    assert independent(BASELINE_STAGE, parts) == [[one] for one in parts]
