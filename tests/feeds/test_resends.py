"""What a later file that lacks a known row means: nothing, unless the retailer says that it speaks for store-days."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from tests.feeds.door import HEADER, Door

TWO_STORES = [
    HEADER,
    "s1,milk,2024-05-01,10,20",
    "s1,tea,2024-05-01,5,15",
    "s1,tea,2024-05-02,6,18",
    "s2,tea,2024-05-01,7,21",
]
WITHOUT_TEA = [HEADER, "s1,milk,2024-05-01,10,20"]


def stood(door: Door) -> set[tuple[str, str, str]]:
    rows = door.live(UNIFIED_SALES)
    return {(store, sku, f"{day}") for store, sku, day in rows.select("store_id", "sku", "business_day").iter_rows()}


def sent(door: Door, *files: list[str]) -> None:
    for lines in files:
        door.drop("\n".join(lines) + "\n")
        door.admit()


def test_a_row_that_a_later_file_lacks_stands(tmp_path: Path) -> None:
    door = Door(tmp_path)
    sent(door, TWO_STORES, WITHOUT_TEA)
    assert len(stood(door)) == 4


def test_where_a_file_speaks_for_whole_store_days_it_is_taken_back_there_and_nowhere_else(tmp_path: Path) -> None:
    door = Door(tmp_path, resends="store_days")
    sent(door, TWO_STORES)
    door.drop("\n".join(WITHOUT_TEA) + "\n")
    (admitted,) = door.admit()
    assert (admitted.decision, admitted.withdrawn) == ("correction", 1)
    assert (admitted.received, admitted.accepted, admitted.duplicate) == (1, 0, 1)
    assert [day.isoformat() for day in admitted.days] == ["2024-05-01"]
    assert stood(door) == {
        ("s1", "milk", "2024-05-01"),
        ("s1", "tea", "2024-05-02"),
        ("s2", "tea", "2024-05-01"),
    }


def test_what_was_taken_back_may_come_again(tmp_path: Path) -> None:
    door = Door(tmp_path, resends="store_days")
    sent(door, TWO_STORES, WITHOUT_TEA, TWO_STORES)
    assert len(stood(door)) == 4


@pytest.mark.parametrize("broken", ["s1,tea,2024-05-01,many,15", "s1,milk,2024-05-01,11,20"])
def test_a_file_with_a_broken_row_takes_nothing_back(tmp_path: Path, broken: str) -> None:
    door = Door(tmp_path, resends="store_days")
    sent(door, TWO_STORES, [*WITHOUT_TEA, broken])
    assert ("s1", "tea", "2024-05-01") in stood(door)


def test_sources_speak_for_themselves(tmp_path: Path) -> None:
    door = Door(tmp_path, resends="store_days")
    header = f"{HEADER},source"
    both = [header, "s1,milk,2024-05-01,10,20,till", "s1,tea,2024-05-01,5,15,till", "s1,tea,2024-05-01,5,15,proxy"]
    sent(door, both, [header, "s1,milk,2024-05-01,10,20,till"])
    left = door.live(UNIFIED_SALES).filter(pl.col("sku") == "tea")
    assert left["source"].to_list() == ["proxy"]
