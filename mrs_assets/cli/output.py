"""How results are printed: tables for people, CSV, JSON and Parquet for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from mrs_assets.contracts.errors import UserMistake

WIDTH_WITHOUT_TERMINAL = 180
_SPREADSHEET_FORMULA = r"^[=+\-@\t\r]"

_told = Console(stderr=True, highlight=False, soft_wrap=True)
_shown = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH_WITHOUT_TERMINAL)


class Format(StrEnum):
    """Shapes in which rows are printed."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def say(message: str) -> None:
    """Tell the person at the keyboard something: stderr."""
    _told.print(message)


def print_rows(frame: pl.DataFrame, form: Format, *, title: str | None = None) -> None:
    """Print rows on stdout, and nothing else there."""
    if form is Format.table:
        print_table(frame, title=title)
    elif form is Format.json:
        sys.stdout.write(plain(frame).write_json() + "\n")
    elif form is Format.csv:
        sys.stdout.write(safe_for_spreadsheets(plain(frame)).write_csv())
    elif sys.stdout.isatty():
        raise UserMistake("Parquet is not text.", remedy="Redirect it: mrs show … --format parquet > rows.parquet")
    else:
        frame.write_parquet(sys.stdout.buffer)


def print_table(frame: pl.DataFrame, *, title: str | None = None) -> None:
    """Print rows as a table that a person reads; NULL is shown as a dash."""
    table = Table(title=title, title_justify="left", header_style="bold", row_styles=["", "dim"])
    for place, (name, dtype) in enumerate(frame.schema.items()):
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", overflow="fold", no_wrap=place == 0)
    for row in frame.iter_rows():
        table.add_row(*("–" if value is None else escape(_cell(value)) for value in row))
    _shown.print(table)


def print_records(frame: pl.DataFrame) -> None:
    """Print rows that are too wide for a table one after the other, a line per field."""
    for place, row in enumerate(frame.iter_rows(named=True), start=1):
        table = Table(title=f"row {place} of {frame.height}", title_justify="left", show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in row.items():
            table.add_row(name, "–" if value is None else escape(_cell(value)))
        _shown.print(table)


def print_coloured(heads: Sequence[str], rows: Iterable[Sequence[str | Text]], *, title: str) -> None:
    """Print cells that are words already; a head that ends in `#` is above figures. Nothing where there is no row."""
    table = Table(title=title, title_justify="left", header_style="bold")
    for place, head in enumerate(heads):
        table.add_column(
            head.rstrip("#"), justify="right" if head.endswith("#") else "left", overflow="fold", no_wrap=place == 0
        )
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    if table.row_count:
        _shown.print(table)


def print_banner(words: str, style: str) -> None:
    """Print one sentence that nobody misses."""
    _shown.print(Panel(Text(words), border_style=style, style=style, expand=False))


def print_side_by_side(frame: pl.DataFrame, heading: str, *, title: str, newest: int = 5) -> None:
    """Print few, wide rows as columns: one line per field that has a value, the newest rows on the right."""
    shown = frame.tail(newest)
    kept = [name for name in shown.columns if shown[name].null_count() < shown.height and name != heading]
    earlier = f", {frame.height - shown.height} earlier rows not shown" if frame.height > shown.height else ""
    table = Table(title=f"{title}{earlier}", title_justify="left", header_style="bold", row_styles=["", "dim"])
    table.add_column(heading, no_wrap=True)
    for value in shown[heading]:
        table.add_column(_cell(value), overflow="fold")
    for name in kept:
        table.add_row(name, *("–" if value is None else escape(_cell(value)) for value in shown[name]))
    _shown.print(table)


def safe_for_spreadsheets(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame as CSV cells that no spreadsheet runs as a formula.

    Text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return gets an apostrophe before it (OWASP, "CSV
    injection"). Lists become text, their items separated by `; `.
    """
    lists = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.List)]
    joined = frame.with_columns(pl.col(name).cast(pl.List(pl.String)).list.join("; ") for name in lists)
    texts = [name for name, dtype in joined.schema.items() if dtype == pl.String]
    return joined.with_columns(
        pl.when(pl.col(name).str.contains(_SPREADSHEET_FORMULA))
        .then("'" + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Types that every reader of text knows: instants as ISO 8601, exact decimals as numbers."""
    instants = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime)]
    decimals = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Decimal)]
    return frame.with_columns(pl.col(instants).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"), pl.col(decimals).cast(pl.Float64))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".")
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, list | pl.Series):
        return ", ".join(map(str, value))
    return str(value)
