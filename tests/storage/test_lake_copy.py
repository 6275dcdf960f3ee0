"""A copy of a lake that is brought up to date holds what a fresh one does; what cannot be is copied anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_resources import lake_copy
from mrs_resources.lake_backend import LakeBackend
from mrs_resources.lake_upkeep import keep_up
from mrs_resources.warehouse import Warehouse
from tests.backends import ON_A_LAKE
from tests.examples import example_rows
from tests.storage.lakes import FEW, FIRST, LAST, WRITER, lake, warehouse_in, write_logs

pytestmark = [*ON_A_LAKE, pytest.mark.usefixtures("postgres")]


def copied(
    warehouse: Warehouse, target: Path, former: Path | None = None, meanwhile: Callable[[], None] = lambda: None
) -> dict[str, pl.DataFrame]:
    """Copy, with something done after the state was looked at, and read the copy."""

    def look(_: duckdb.DuckDBPyConnection) -> bool:
        meanwhile()
        return True

    assert warehouse.backend.copy(look, target, former)
    with duckdb.connect(str(target), read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM information_schema.tables ORDER BY ALL").fetchall()
        return {name: connection.execute(f"FROM {name} ORDER BY ALL").pl() for (name,) in names}


def same(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    assert list(found) == list(expected)
    for name, rows in expected.items():
        assert_frame_equal(found[name], rows, check_column_order=False)


def change(former: Path, statement: str) -> None:
    with duckdb.connect(str(former)) as connection:
        connection.execute(statement)


def retract_and_reject(warehouse: Warehouse) -> None:
    """Take a log's rows back but for some, of which two contradict each other."""
    rows = example_rows(UNIFIED_SALES, 4)
    contradicted = pl.concat([rows, example_rows(UNIFIED_SALES, 1, variant=1)])
    with warehouse.store.transaction() as tx:
        done = tx.append(UNIFIED_SALES, contradicted, Scope(FIRST, LAST, complete=True), WRITER)
    assert done.retracted
    assert done.rejected


def never(_: object) -> None:
    pytest.fail("copied as a whole")


@pytest.mark.parametrize("upkeep", [False, True])
def test_a_copy_brought_up_to_date_is_a_fresh_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, upkeep: bool
) -> None:
    warehouse = warehouse_in(tmp_path, lake(f"up_to_date_{upkeep}".lower()))
    write_logs(warehouse.store, rows=5, logs=FEW)
    former, brought = tmp_path / "former.duckdb", tmp_path / "brought.duckdb"
    copied(warehouse, former)
    write_logs(warehouse.store, rows=9, variant=2)
    retract_and_reject(warehouse)
    if upkeep:
        assert isinstance(warehouse.backend, LakeBackend)
        keep_up(warehouse.backend, warehouse.storage, datetime.now(UTC) + timedelta(hours=25))
    expected = copied(warehouse, tmp_path / "fresh.duckdb")
    monkeypatch.setattr(lake_copy._Copy, "take_everything", never)
    same(copied(warehouse, brought, former), expected)
    same(copied(warehouse, tmp_path / "again.duckdb", brought), expected)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param("CREATE TABLE told (n INT); CREATE VIEW seen AS FROM told", id="by-others"),
        pytest.param(f"ALTER TABLE {UNIFIED_SALES.name} DROP COLUMN units", id="before-a-log-gained-a-column"),
    ],
)
def test_a_former_copy_of_another_shape_is_brought_into_that_of_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, made: str
) -> None:
    warehouse = warehouse_in(tmp_path, lake(request.node.callspec.id.replace("-", "_")))
    write_logs(warehouse.store, rows=5, logs=FEW)
    former = tmp_path / "former.duckdb"
    expected = copied(warehouse, former)
    change(former, made)
    monkeypatch.setattr(lake_copy._Copy, "take_everything", never)
    same(copied(warehouse, tmp_path / "brought.duckdb", former), expected)


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM {UNIFIED_SALES.name} WHERE rowid = 1",
        "DELETE FROM append_batches WHERE rowid = 0",
        "UPDATE append_batches SET batch_id = 'of another lake'",
        "DELETE FROM append_batches",
        "DROP TABLE append_batches",
    ],
)
def test_what_is_no_copy_of_this_lake_is_not_begun_with(tmp_path: Path, statement: str) -> None:
    warehouse = warehouse_in(tmp_path, lake(f"no_copy_{len(statement)}"))
    write_logs(warehouse.store, rows=5, logs=FEW)
    former = tmp_path / "former.duckdb"
    copied(warehouse, former)
    change(former, statement)
    write_logs(warehouse.store, rows=6, variant=1, logs=FEW)
    same(copied(warehouse, tmp_path / "brought.duckdb", former), copied(warehouse, tmp_path / "fresh.duckdb"))


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_written_meanwhile_is_not_in_the_copy(tmp_path: Path, begun: bool) -> None:
    """Nor are tables that were made meanwhile, which the state that is copied does not have."""
    warehouse, other = (warehouse_in(tmp_path, lake(f"meanwhile_{begun}".lower())) for _ in range(2))
    write_logs(warehouse.store, rows=5, logs=FEW)
    former = tmp_path / "former.duckdb"
    expected = copied(warehouse, former)
    target = tmp_path / "copied.duckdb"
    same(copied(warehouse, target, former if begun else None, lambda: write_logs(other.store, rows=6)), expected)


def test_tables_that_never_had_a_row_have_statistics_that_are_true(tmp_path: Path) -> None:
    """Without any, each statement about them asks the catalogue for every column."""
    warehouse = warehouse_in(tmp_path, lake("statistics"))
    with warehouse.store.transaction() as tx:
        tx.ensure(*LOGS)
    with warehouse.store.transaction():
        """Gives them."""
    with warehouse.store.looking() as tx:
        bare = tx.query(
            "SELECT table_name FROM __ducklake_metadata_mrs.statistics.ducklake_table t "
            "ANTI JOIN __ducklake_metadata_mrs.statistics.ducklake_table_stats s USING (table_id)"
        )
        assert bare.is_empty()
        for log in LOGS:
            empty = tx.query(f"SELECT count(*), max(version), min(business_day), count(run_id) FROM {log.name}")
            assert empty.row(0) == (0, None, None, 0)
    write_logs(warehouse.store, rows=3)
    with warehouse.store.looking() as tx:
        for log in LOGS:
            seen = tx.query(f"SELECT count(*), max(version), min(business_day) FROM {log.name}")
            assert seen.row(0) == (3, 1, date(2024, 3, 1))
