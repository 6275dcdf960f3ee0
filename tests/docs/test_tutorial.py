"""The tutorials with stories, typed as they are written: what they show is what is seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorial"
OUTPUTS = {"a-retailer-resends.md": 7, "a-cluster-is-split.md": 6}
"""Page → how many outputs it shows. The first is typed whenever tests are run; others are a sweep."""

FIRST, *_ = OUTPUTS.values()

PLACES = [(page, place) for page, count in OUTPUTS.items() for place in range(count)]
BLOCK = re.compile(r"^```(sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = re.compile(r"^ *\d+\.\d s +")
NEXT = "-- what the next block shows --"
LEFT_OUT = "…"
"""A line of its own: rows that are not shown; at the end of a cell: the rest of it."""


@dataclass(frozen=True)
class Shown:
    """A table: its columns, and its rows as cells by column, without any space."""

    columns: list[str]
    rows: list[dict[str, str]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[tuple[str, str]]]:
    """Of a page, per output on it: that output, and what the commands before it printed."""

    @cache
    def of_page(page: str) -> list[tuple[str, str]]:
        return _typed(TUTORIALS / page, tmp_path_factory.mktemp("tutorial"))

    return of_page


def _typed(page: Path, folder: Path) -> list[tuple[str, str]]:
    blocks = BLOCK.findall(page.read_text("utf-8"))
    script = "".join(text if kind else f"echo '{NEXT}'\n" for kind, text in blocks)
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MRS_", "DAGSTER_"))}
    ran = subprocess.run(
        ["bash", "-e"],  # noqa: S607 - the shell that the page is written for
        input=script,
        cwd=folder,
        env=own | {"PATH": f"{Path(sys.executable).parent}:{own['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return list(zip((text for kind, text in blocks if not kind), ran.stdout.split(NEXT), strict=False))


@pytest.mark.few(1)
@pytest.mark.parametrize("page", OUTPUTS)
def test_every_command_was_typed(page: str, seen: Callable[[str], list[tuple[str, str]]]) -> None:
    assert len(seen(page)) == OUTPUTS[page]
    assert all(told and printed for told, printed in seen(page))


@pytest.mark.few(FIRST)
@pytest.mark.parametrize(("page", "place"), PLACES)
def test_what_the_page_shows_is_what_is_seen(
    page: str, place: int, seen: Callable[[str], list[tuple[str, str]]]
) -> None:
    told, printed = seen(page)[place]
    lines = [SECONDS.sub("", line).strip() for line in printed.splitlines()]
    for line in told.splitlines():
        if line and line[0] not in ("│", "├", LEFT_OUT):
            assert SECONDS.sub("", line).strip() in lines, printed
    if "│" not in told:
        return
    shown = _table(told)
    real = [table for table in map(_table, re.split(r"^┏", printed, flags=re.MULTILINE)) if _holds(table, shown)]
    assert real, f"no table has the columns {shown.columns}:\n{printed}"
    places = [_place_of(row, real[-1].rows) for row in shown.rows]
    assert places == sorted(places), "the rows are in the order in which they are printed"
    if LEFT_OUT not in told.splitlines():
        assert len(places) == len(real[-1].rows), printed


def _table(text: str) -> Shown:
    """The first table of a text; a cell that goes on in the next line is one cell."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line[:1] not in ("│", "┃"):
            continue
        cells = ["".join(cell.split()) for cell in re.split("[│┃]", line)[1:-1]]
        if rows and (not cells[0] or not rows[-1][0]):
            rows[-1] = [before + more for before, more in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    columns = rows[0] if rows else []
    return Shown(columns, [dict(zip(columns, row, strict=True)) for row in rows[1:]])


def _holds(table: Shown, page: Shown) -> bool:
    return bool(page.columns) and {*page.columns} <= {*table.columns}


def _place_of(row: dict[str, str], rows: list[dict[str, str]]) -> int:
    for place, real in enumerate(rows):
        if all(_is_same(cell, real[column]) for column, cell in row.items()):
            return place
    raise AssertionError(f"{row} is not among {rows}")


def _is_same(cell: str, real: str) -> bool:
    return real.startswith(cell[: -len(LEFT_OUT)]) if cell.endswith(LEFT_OUT) else real == cell
