"""A corrected row reads as its sender's own file does, whatever kind of file that was."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_resources.archive import Arrival
from mrs_resources.dead_letters import letters
from mrs_resources.letter_fix import Fix, fix_of, what_is_still_wrong
from tests.feeds.door import HEADER, Door

SALES = FEED_DECLARATIONS["sales"]


def parquet(**columns: list[Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        pl.DataFrame(columns).write_parquet(Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


def fixed(door: Door, arrival: Arrival, values: dict[str, str]) -> Fix:
    """The only letter's row, with other values."""
    with door.store.transaction() as tx:
        (letter,) = letters(tx).to_dicts()
    return fix_of(letter, values, door.archive, arrival, door.settings, SALES, "ann")


@pytest.mark.parametrize(
    ("content", "values", "units"),
    [
        (f'{HEADER}\ns,"a;""b""",2024-03-01,many,1\n', {"units": "9"}, "9"),
        ("Branch;EAN;Day;Menge\ns;a;2024-03-01;12.5.1\n", {"Menge": "1.234,5"}, "1234.5"),
        ("Branch;EAN;Day;Menge\ns;a;2024-03-01;12.5.1\n", {"units": "12,5"}, "12.5"),
        ('{"store_id": "s", "sku": "a", "ts": "soon", "units": 2.5}\n', {"ts": "2024-03-01"}, "2.5"),
        (parquet(store_id=["s"], sku=["a"], ts=["soon"], units=[2.5]), {"ts": "2024-03-01"}, "2.5"),
        (f"{HEADER}\ns,a\n", {"store_id": "s", "sku": "a", "ts": "2024-03-01", "units": "4"}, "4"),
        (f"{HEADER}\ns,a,2024-03-01,3,1\ns,a,2024-03-01,5,1\n", {}, "3"),
    ],
    ids=["csv", "own name", "canonical name", "ndjson", "parquet", "a line without a row", "the other of two"],
)
def test_a_corrected_row_comes_in_and_resolves_its_letter(
    tmp_path: Path, content: bytes | str, values: dict[str, str], units: str
) -> None:
    own = {"store_id": "Branch", "ts": "Day", "units": "Menge"} if "Menge" in str(content) else {}
    door = Door(tmp_path, columns=own, decimal_sign="," if own else ".")
    arrival = door.send(content).arrival
    made = fixed(door, arrival, values)
    unsent = tmp_path / "unsent"
    unsent.write_bytes(made.content)
    assert what_is_still_wrong(unsent, door.archive, arrival, door.settings, SALES, door.clock()) is None
    admitted = door.send(made.content)
    assert (admitted.accepted, admitted.resolved) == (1, 1)
    assert Decimal(units) in door.live()["units"].to_list()
    assert list(door.states().values()) == ["fixed"]


def test_what_would_be_refused_again_is_said(tmp_path: Path) -> None:
    door = Door(tmp_path)
    arrival = door.send(f"{HEADER}\ns,a,2024-03-01,many,1\n").arrival
    unsent = tmp_path / "unsent"
    unsent.write_bytes(fixed(door, arrival, {"units": "more"}).content)
    wrong = what_is_still_wrong(unsent, door.archive, arrival, door.settings, SALES, door.clock())
    assert "units is more: send a number" in str(wrong)


def test_a_column_that_is_not_known_is_a_mistake(tmp_path: Path) -> None:
    door = Door(tmp_path)
    arrival = door.send(f"{HEADER}\ns,a,2024-03-01,many,1\n").arrival
    with pytest.raises(UserMistake, match=r"There is no column 'colour'\. Columns: store_id, sku, ts, units"):
        fixed(door, arrival, {"colour": "red"})
