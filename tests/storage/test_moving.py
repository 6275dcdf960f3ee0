"""A home moves from a file to a lake and back, whatever happens on the way."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.errors import MrsError, SettingsMistake, UserMistake
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.storage import ON_FILE, Kind
from mrs_resources import moving
from mrs_resources.log_store import LogStore
from mrs_resources.moving import Mover
from tests.backends import ON_A_LAKE
from tests.postgres import Postgres
from tests.storage.lakes import FEW, content, lake, warehouse_in, write_logs

pytestmark = [*ON_A_LAKE, pytest.mark.usefixtures("postgres")]

NOW = datetime(2024, 6, 2, tzinfo=UTC)


class Interrupted(Exception):
    pass


class After:
    """Interrupts a move when it has told so many things."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, _told: str) -> None:
        self.left -= 1
        if not self.left:
            raise Interrupted


def nobody(_told: str) -> None:
    pass


def store_of(home: Path, kind: Kind, name: str) -> LogStore:
    return warehouse_in(home, lake(name) if kind == "ducklake" else ON_FILE).store


def assert_same(store: LogStore, expected: dict[str, object]) -> None:
    found = content(store)
    assert sorted(found) == sorted(expected)
    for name, rows in found.items():
        assert_frame_equal(rows, expected[name])  # type: ignore[arg-type]


def test_there_and_back_again(tmp_path: Path) -> None:
    write_logs(store_of(tmp_path, "file", "there"), variant=1)
    before = content(store_of(tmp_path, "file", "there"))
    moved = Mover(tmp_path, lake("there"), nobody, rows_at_once=3).move("ducklake", NOW)
    assert all(table.same for table in moved.tables)
    told = json.loads(moved.certificate.read_text("utf-8"))
    assert {table["table"]: table["rows"] for table in told["tables"]} == {n: f.height for n, f in before.items()}
    assert_same(store_of(tmp_path, "ducklake", "there"), before)

    write_logs(store_of(tmp_path, "ducklake", "there"), rows=9, variant=2)
    after = content(store_of(tmp_path, "ducklake", "there"))
    Mover(tmp_path, lake("there"), nobody, rows_at_once=4).move("file", NOW)
    assert_same(store_of(tmp_path, "file", "there"), after)


@pytest.mark.parametrize("to", ["ducklake", "file"])
def test_an_interrupted_move_goes_on_and_nothing_is_there_twice(tmp_path: Path, to: Kind) -> None:
    name, start = f"interrupted_{to}", "file" if to == "ducklake" else "ducklake"
    write_logs(store_of(tmp_path, start, name), rows=5, logs=FEW)  # type: ignore[arg-type]
    expected = content(store_of(tmp_path, start, name))  # type: ignore[arg-type]
    for told in (1, 5, 9):
        with pytest.raises(Interrupted):
            Mover(tmp_path, lake(name), After(told), rows_at_once=2).move(to, NOW)
        assert_same(store_of(tmp_path, start, name), expected)  # type: ignore[arg-type]
    Mover(tmp_path, lake(name), nobody, rows_at_once=2).move(to, NOW)
    assert_same(store_of(tmp_path, to, name), expected)


def test_a_row_that_came_out_otherwise_keeps_the_home_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_logs(store_of(tmp_path, "file", "torn"), logs=(DETECTED,))
    copied = Mover._copy_what_is_new

    def loses_one(self: Mover, connection: object, name: str, source: str, target: str, counted: object) -> None:
        copied(self, connection, name, source, target, counted)  # type: ignore[arg-type]
        if name == DETECTED.name:
            least = f"(SELECT min(row_hash) FROM {target}.{name})"
            connection.execute(f"DELETE FROM {target}.{name} WHERE row_hash = {least}")  # type: ignore[attr-defined]

    monkeypatch.setattr(Mover, "_copy_what_is_new", loses_one)
    with pytest.raises(MrsError, match=f"{DETECTED.name} came out otherwise"):
        Mover(tmp_path, lake("torn"), nobody).move("ducklake", NOW)
    monkeypatch.undo()
    with pytest.raises(SettingsMistake, match="lie in the backend 'file'"):
        content(store_of(tmp_path, "ducklake", "torn"))
    moved = Mover(tmp_path, lake("torn"), nobody).move("ducklake", NOW, restart=True)
    assert all(table.same for table in moved.tables)


def test_one_home_is_not_put_over_another(tmp_path: Path) -> None:
    write_logs(store_of(tmp_path / "one", "ducklake", "shared"), logs=FEW)
    kept = content(store_of(tmp_path / "one", "ducklake", "shared"))
    write_logs(store_of(tmp_path / "two", "file", "shared"), rows=2, logs=FEW)
    with pytest.raises(UserMistake, match="holds logs already"):
        Mover(tmp_path / "two", lake("shared"), nobody).move("ducklake", NOW)
    assert_same(store_of(tmp_path / "one", "ducklake", "shared"), kept)


@pytest.mark.parametrize("kind", ["file", "ducklake"])
def test_a_home_is_never_begun_anew_in_the_other_storage(tmp_path: Path, kind: Kind) -> None:
    name, other = f"anew_{kind}", "file" if kind == "ducklake" else "ducklake"
    write_logs(store_of(tmp_path, kind, name), rows=1, logs=FEW)
    store = store_of(tmp_path, other, name)  # type: ignore[arg-type]
    for opened in (store.transaction, store.looking):
        with pytest.raises(SettingsMistake, match=f"lie in the backend {kind!r}"), opened():
            pass
    with pytest.raises(UserMistake, match="already"):
        Mover(tmp_path, lake(name), nobody).move(kind, NOW)


@pytest.mark.parametrize("to", ["ducklake", "file"])
def test_a_writer_that_waited_for_the_move_does_not_write_where_nobody_reads(tmp_path: Path, to: Kind) -> None:
    name, start = f"waited_{to}", "file" if to == "ducklake" else "ducklake"
    write_logs(store_of(tmp_path, start, name), logs=FEW)  # type: ignore[arg-type]
    expected = content(store_of(tmp_path, start, name))  # type: ignore[arg-type]
    refused: list[str] = []

    def writes() -> None:
        try:
            write_logs(store_of(tmp_path, start, name), rows=9, logs=FEW)  # type: ignore[arg-type]
        except SettingsMistake as mistake:
            refused.append(str(mistake))

    writer = threading.Thread(target=writes)
    told: list[str] = []

    def tell(text: str) -> None:
        if not told:
            writer.start()
        told.append(text)

    Mover(tmp_path, lake(name), tell, rows_at_once=2).move(to, NOW)
    writer.join(60)
    assert len(refused) == 1
    assert f"lie in the backend {to!r}" in refused[0]
    assert_same(store_of(tmp_path, to, name), expected)


@pytest.mark.parametrize("to", ["ducklake", "file"])
def test_the_home_is_moved_before_anybody_else_has_a_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgres: Postgres, to: Kind
) -> None:
    name, start = f"turn_{to}", "file" if to == "ducklake" else "ducklake"
    write_logs(store_of(tmp_path, start, name), rows=1, logs=FEW)  # type: ignore[arg-type]
    held = []
    moved = moving.move_residence

    def moves(home: Path, kind: Kind) -> None:
        held.append(postgres.locks())
        moved(home, kind)

    monkeypatch.setattr(moving, "move_residence", moves)
    Mover(tmp_path, lake(name), nobody).move(to, NOW)
    assert held == [1]
