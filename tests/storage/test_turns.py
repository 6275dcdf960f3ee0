"""Writers of a lake take turns, and one that lost its turn cannot write."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest

from mrs_assets.contracts.errors import ContractBroken, SettingsMistake, StorageUnreachable
from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.storage import CATALOGUE
from mrs_resources import lake_backend
from mrs_resources.log_store import LogStore, Transaction
from tests.backends import ON_A_LAKE
from tests.examples import example_rows
from tests.postgres import Postgres, running
from tests.storage.lakes import FIRST, LAST, WRITER, lake, warehouse_in

pytestmark = [*ON_A_LAKE, pytest.mark.usefixtures("postgres")]


def add(store: LogStore, rows: int = 1) -> int:
    with store.transaction() as tx:
        return tx.append(BREAKERS, example_rows(BREAKERS, rows), Scope(FIRST, LAST), WRITER).appended


def overtaken(tx: Transaction, by: LogStore) -> None:
    """Write, and have another write the same before this is committed."""
    tx.append(BREAKERS, example_rows(BREAKERS, 3), Scope(FIRST, LAST), WRITER)
    add(by, 3)


def versions(store: LogStore) -> list[tuple[object, ...]]:
    with store.looking() as tx:
        tx.ensure(BREAKERS)
        return tx.query(f"SELECT breaker, attempt, version FROM {BREAKERS.name} ORDER BY ALL").rows()


@contextmanager
def _no_lock(_address: str, _name: str) -> Iterator[None]:
    yield


@pytest.mark.parametrize("flushed", [False, True])
def test_two_writers_without_the_lock_cannot_both_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flushed: bool
) -> None:
    """What would happen to a writer whose lock was lost while it wrote."""
    stores = [warehouse_in(tmp_path, lake(f"no_lock_{flushed}".lower())).store for _ in range(2)]
    add(stores[0])
    if flushed:
        with warehouse_in(tmp_path, lake(f"no_lock_{flushed}".lower())).backend.connection() as connection:  # type: ignore[attr-defined]
            connection.execute("CALL ducklake_flush_inlined_data('mrs')")
    monkeypatch.setattr(lake_backend, "catalogue_lock", _no_lock)
    with pytest.raises(duckdb.Error, match="conflict"), stores[0].transaction() as tx:
        overtaken(tx, stores[1])
    assert len(versions(stores[0])) == 3
    assert add(stores[0], 3) == 0, "the one that was refused writes again, and finds it written"


def test_a_thread_does_not_wait_for_itself(tmp_path: Path) -> None:
    store = warehouse_in(tmp_path, lake("nested")).store
    with store.transaction(), pytest.raises(ContractBroken, match="do not nest"), store.transaction():
        pass


def test_who_reads_waits_for_nobody_and_sees_one_state(tmp_path: Path) -> None:
    writer, reader = (warehouse_in(tmp_path, lake("reading")).store for _ in range(2))
    add(writer)
    with reader.looking() as before:
        told = before.query(f"SELECT count(*) AS n FROM {BREAKERS.name}")["n"][0]
        with writer.transaction() as tx:
            tx.append(BREAKERS, example_rows(BREAKERS, 3), Scope(FIRST, LAST), WRITER)
            assert len(versions(reader)) == 1
        assert before.query(f"SELECT count(*) AS n FROM {BREAKERS.name}")["n"][0] == told == 1
    assert len(versions(reader)) == 3


def open_and_look(home: Path, schema: str, ready: threading.Barrier) -> None:
    ready.wait(120)
    with warehouse_in(home, lake(schema)).store.looking() as tx:
        tx.ensure(BREAKERS)


def test_a_lake_may_be_begun_by_many_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(4)
    processes = [context.Process(target=open_and_look, args=(tmp_path, "begun", ready)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0


def hold_and_die(home: Path, schema: str, said: object) -> None:
    with warehouse_in(home, lake(schema)).store.transaction() as tx:
        tx.append(BREAKERS, example_rows(BREAKERS, 5), Scope(FIRST, LAST), WRITER)
        said.set()  # type: ignore[attr-defined]
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_turn_of_a_writer_that_was_killed_is_over(tmp_path: Path) -> None:
    store = warehouse_in(tmp_path, lake("killed")).store
    add(store)
    context = multiprocessing.get_context("spawn")
    said = context.Event()
    writer = context.Process(target=hold_and_die, args=(tmp_path, "killed", said))
    writer.start()
    assert said.wait(120)
    writer.join(60)
    assert writer.exitcode == -signal.SIGKILL
    assert add(store, 2) == 1
    assert [row[-1] for row in versions(store)] == [1, 1]


def cut_off(tx: Transaction, server: Postgres) -> None:
    tx.append(BREAKERS, example_rows(BREAKERS, 4), Scope(FIRST, LAST), WRITER)
    server.stop("immediate")


def test_a_server_that_goes_away_writes_nothing_and_is_found_again(tmp_path: Path) -> None:
    with running() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CATALOGUE, server.address)
        store = warehouse_in(tmp_path, lake("restarted")).store
        add(store)
        with pytest.raises(StorageUnreachable), store.transaction() as tx:
            cut_off(tx, server)
        with pytest.raises(StorageUnreachable):
            add(store, 4)
        server.start()
        assert add(store, 4) == 3
        assert [row[-1] for row in versions(store)] == [1, 1, 1, 1]
        with pytest.raises(StorageUnreachable), store.looking() as look:
            look_twice(look, server)
        server.start()
        for opened in (store.backend.turn, store.backend.reading):
            with pytest.raises(StorageUnreachable), opened() as connection:
                ask_in_vain(connection, server)
            server.start()


def ask_in_vain(connection: duckdb.DuckDBPyConnection, server: Postgres) -> None:
    server.stop("fast")
    connection.execute(f"FROM {BREAKERS.name}")


def look_twice(tx: Transaction, server: Postgres) -> None:
    for _ in range(2):
        tx.query(f"FROM {BREAKERS.name}")
        server.stop("fast")


def hold_what_breaks(home: Path, schema: str, said: object, gone: object) -> None:
    backend = warehouse_in(home, lake(schema)).backend
    with suppress(StorageUnreachable), backend.turn() as connection:  # type: ignore[attr-defined]
        connection.execute(f"BEGIN; FROM {lake_backend.TURNS}")
        said.set()  # type: ignore[attr-defined]
        gone.wait(120)  # type: ignore[attr-defined]
        raise duckdb.InternalException("something within DuckDB that broke when the server went away")


def test_a_transaction_that_cannot_be_rolled_back_does_not_end_the_process(tmp_path: Path) -> None:
    with running() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv(CATALOGUE, server.address)
        add(warehouse_in(tmp_path, lake("broken")).store)
        context = multiprocessing.get_context("spawn")
        said, gone = context.Event(), context.Event()
        holder = context.Process(target=hold_what_breaks, args=(tmp_path, "broken", said, gone))
        holder.start()
        assert said.wait(120)
        server.stop("immediate")
        server.start()
        gone.set()
        holder.join(60)
        assert holder.exitcode == 0


def test_no_lock_outlives_its_writer(tmp_path: Path, postgres: Postgres) -> None:
    store = warehouse_in(tmp_path, lake("left")).store
    add(store)
    with pytest.raises(ZeroDivisionError), store.transaction():
        raise ZeroDivisionError
    assert postgres.locks() == 0


@pytest.mark.parametrize(
    "address", ["host=127.0.0.1 port=1 dbname=x user=u password=s3cret", "postgresql://u:s3cret@127.0.0.1:1/x"]
)
def test_a_server_that_does_not_answer_is_said_so_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv(CATALOGUE, address)
    store = warehouse_in(tmp_path, lake("nobody")).store
    for opened in (store.transaction, store.looking):
        with pytest.raises(StorageUnreachable) as told, opened():
            pass
        assert "s3cret" not in str(told.value)
        assert told.value.__suppress_context__ or told.value.__context__ is None


@pytest.mark.parametrize(("address", "says"), [("", CATALOGUE), ("host=a dbname", "connection string")])
def test_an_address_that_is_none_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, says: str
) -> None:
    monkeypatch.setenv(CATALOGUE, address)
    with pytest.raises(SettingsMistake, match=says), warehouse_in(tmp_path, lake("nowhere")).store.looking():
        pass
