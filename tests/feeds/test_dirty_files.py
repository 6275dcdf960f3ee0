"""Files with broken rows: what each row's letter says, and when the file is rejected instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.dirty import EVERY, WAYS, Way, lines
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.settings import ContextFeed
from mrs_resources.admission import Admitted
from tests.feeds.door import HEADER, Door, csv

ROWS = EVERY * len(WAYS)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Admitted, dict[int, dict[str, Any]]]:
    """A file with one row broken in each way, and its letters by row."""
    door = Door(tmp_path_factory.mktemp("dirty"))
    admitted = door.send("\n".join(lines(ROWS, broken=True)))
    assert door.live().height == admitted.accepted
    return admitted, {letter["source_row"]: letter for letter in door.letters().to_dicts()}


def test_a_dirty_file_accounts_for_every_row(dirty: tuple[Admitted, dict[int, dict[str, Any]]]) -> None:
    admitted, letters = dirty
    assert (admitted.received, admitted.accepted, admitted.duplicate) == (ROWS, ROWS - len(WAYS), 0)
    assert admitted.dead_lettered == len(letters) == len(WAYS) == 20


@pytest.mark.parametrize("place", range(len(WAYS)), ids=lambda place: WAYS[place].told)
def test_each_broken_row_tells_what_it_was_and_what_to_do(
    dirty: tuple[Admitted, dict[int, dict[str, Any]]], place: int
) -> None:
    way: Way = WAYS[place]
    letter = dirty[1][place * EVERY + 1]
    assert letter["error_code"] == way.code
    assert way.shown in letter["raw_payload"]
    assert way.remedy in letter["error"]


def rows(count: int, broken: int) -> str:
    """A file whose first rows have no number."""
    return csv([(f"s{n}", "a", "2024-03-01", "many" if n < broken else n, "") for n in range(count)])


def test_a_file_over_its_error_budget_is_one_rejected_arrival_with_one_reason(door: Door) -> None:
    content = rows(2_000, 21)
    admitted = door.send(content)
    assert (admitted.decision, admitted.received, admitted.dead_lettered) == ("rejected", 0, 0)
    assert door.live().is_empty()
    assert door.letters().is_empty()
    assert door.archive.content(admitted.arrival).read_text() == content
    (account,) = door.live(ARRIVALS).to_dicts()
    assert (account["decision"], account["rows_received"], account["rows_dead_lettered"]) == ("rejected", 0, 0)
    reason = account["decision_reason"]
    assert reason.startswith("over_error_budget: 21 of 2,000 rows are broken (1.05%), more than the error budget of 1")
    assert "Most often not_a_number, 21 rows. units is many: send a number" in reason
    assert 'row 1: {"store_id":"s0","sku":"a","ts":"2024-03-01","units":"many"' in reason
    assert f"mrs errors retry --file {admitted.arrival.file_hash[:12]}" in reason


def test_the_leading_problem_is_the_commonest_one(door: Door) -> None:
    bad = [(f"s{n}", "a", "soon" if n < 30 else "2024-03-01", "many" if n < 40 else n, "") for n in range(1_000)]
    twice = [("t", "a", "2024-03-01", n, "") for n in range(50)]
    assert "Most often conflicting_key, 49 rows" in str(door.send(csv([*bad, *twice])).reason)


def test_a_file_within_its_budget_is_admitted_to_the_last_row(door: Door) -> None:
    admitted = door.send(rows(2_000, 20))
    assert (admitted.decision, admitted.accepted, admitted.dead_lettered) == ("new", 1_980, 20)


def test_a_small_file_is_never_rejected_for_its_rows(door: Door) -> None:
    assert door.send(rows(999, 999)).dead_lettered == 999
    assert door.send(rows(5, 1)).accepted == 4


def test_the_budget_is_the_retailers_and_a_feed_may_have_its_own(tmp_path: Path) -> None:
    door = Door(tmp_path, error_budget=0.5)
    assert door.send(rows(1_000, 500)).accepted == 500
    stores = "store_id,latitude\n" + "".join(f"s{n},{n}\n" for n in range(1_000))
    assert door.send(stores, "stores").decision == "rejected", "909 latitudes are beyond 90"
    door.settings = door.settings.model_copy(update={"feeds": {"stores": ContextFeed(error_budget=0.91)}})
    assert door.send(stores, "stores").accepted == door.live(STORES).height == 91


def test_a_conflicting_row_has_its_place_in_the_file_after_lines_without_a_row(door: Door) -> None:
    door.send(f"{HEADER}\ns,a\ns,b,2024-03-01,1,1\ns\ns,a,2024-03-01,1,1\ns,c,2024-03-01,1,1\ns,a,2024-03-01,2,1\n")
    assert door.letters().select("source_row", "error_code").rows() == [
        (1, "broken_line"),
        (3, "broken_line"),
        (4, "conflicting_key"),
    ]
