"""Upkeep of a lake loses no history, waits its turn, and removes only what is proven to be nobody's."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.errors import ContractBroken
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.storage import Storage
from mrs_assets.definitions import build_definitions
from mrs_resources.lake_backend import LakeBackend
from mrs_resources.lake_upkeep import BY_MONTH, Upkeep, keep_up
from mrs_resources.warehouse import Warehouse
from tests.backends import ON_A_LAKE
from tests.storage.lakes import FEW, content, lake, warehouse_in, write_logs
from tests.world import settings_for

pytestmark = [*ON_A_LAKE, pytest.mark.usefixtures("postgres")]

SOON = timedelta(hours=25)
"""After what was replaced may go."""


def kept_up(warehouse: Warehouse, later: timedelta = SOON) -> Upkeep:
    assert isinstance(warehouse.backend, LakeBackend)
    return keep_up(warehouse.backend, warehouse.storage, datetime.now(UTC) + later)


def files_of(home: Path) -> set[Path]:
    return {*(home / "lake").rglob("*.parquet")}


def test_every_version_and_every_past_instant_stay(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path, lake("kept_up"))
    instants = []
    for variant in range(4):
        write_logs(warehouse.store, rows=5, variant=variant, logs=FEW)
        instants.append(warehouse.clock())
    before = content(warehouse.store)
    with warehouse.store.looking() as tx:
        pasts = [tx.live(UNIFIED_SALES, as_of=instant) for instant in instants]
    first, second = kept_up(warehouse), kept_up(warehouse)
    assert first.laid_out == len({log.name for log in FEW} & {*BY_MONTH})
    assert first.flushed > 0
    assert first.expired > 0
    assert (second.laid_out, second.flushed, second.merged) == (0, 0, 0)
    found = content(warehouse.store)
    for name, rows in before.items():
        assert_frame_equal(found[name], rows)
    with warehouse.store.looking() as tx:
        for instant, past in zip(instants, pasts, strict=True):
            assert_frame_equal(tx.live(UNIFIED_SALES, as_of=instant), past)
    write_logs(warehouse.store, rows=6, variant=4, logs=FEW)
    assert content(warehouse.store)[UNIFIED_SALES.name].height > before[UNIFIED_SALES.name].height


def test_files_become_few_and_what_was_replaced_goes_when_its_time_is_over(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path, lake("merged"))
    for variant in range(3):
        write_logs(warehouse.store, rows=30, variant=variant, logs=FEW)
        kept_up(warehouse, timedelta())
    before = content(warehouse.store)
    many = files_of(tmp_path)
    done = kept_up(warehouse, timedelta())
    assert (done.removed, many - files_of(tmp_path)) == (0, set()), "somebody may still read them"
    done = kept_up(warehouse)
    assert done.removed > 0
    assert len(files_of(tmp_path)) < len(many)
    for name, rows in content(warehouse.store).items():
        assert_frame_equal(rows, before[name])


def test_a_file_that_no_commit_knows_is_removed_and_no_other(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path, lake("orphans"))
    write_logs(warehouse.store, rows=3, logs=FEW)
    kept_up(warehouse)
    known = files_of(tmp_path)
    orphan = tmp_path / "lake" / "main" / UNIFIED_SALES.name / "left-by-a-writer-that-died.parquet"
    orphan.write_bytes(next(iter(known)).read_bytes())
    assert kept_up(warehouse, timedelta()).orphans == 0, "it is young"
    long_ago = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    os.utime(orphan, (long_ago, long_ago))
    assert kept_up(warehouse, timedelta()).orphans == 1
    assert files_of(tmp_path) == known


def test_it_waits_for_a_writer(tmp_path: Path) -> None:
    warehouse = warehouse_in(tmp_path, lake("waits"))
    with warehouse.store.transaction(), pytest.raises(ContractBroken, match="do not nest"):
        kept_up(warehouse)


def test_it_is_in_the_graph_of_a_lake_alone(tmp_path: Path) -> None:
    on_file = settings_for(tmp_path)
    on_lake = on_file.model_copy(update={"storage": lake("in_the_graph")})
    warehouse = Warehouse(tmp_path, storage=on_lake.storage)
    write_logs(warehouse.store, rows=3, logs=FEW)
    definitions = build_definitions(on_lake, warehouse)
    done = definitions.resolve_job_def("upkeep").execute_in_process()
    told = {event.asset_key.to_user_string(): event for event in done.get_asset_materialization_events()}
    assert list(told) == [f"lake_{name}" for name in Upkeep.__annotations__]
    counts = {name: event.materialization.metadata["count"].value for name, event in told.items()}
    assert isinstance(counts["lake_flushed"], int)
    assert counts["lake_flushed"] > 0
    assert any(schedule.name == "upkeep" for schedule in definitions.schedules or ())
    with pytest.raises(dg.DagsterInvariantViolationError):
        build_definitions(on_file).resolve_job_def("upkeep")


def test_replaced_files_stay_an_hour_at_least() -> None:
    with pytest.raises(ValueError, match="keep_replaced_hours"):
        Storage(backend="ducklake", keep_replaced_hours=0)
