"""The command that moves a home's logs from one storage to the other."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.contracts.settings import load_settings


class Target(StrEnum):
    """Where to."""

    file = "file"
    ducklake = "ducklake"


def migrate(
    to: Annotated[Target, typer.Option("--to", help="Where the logs are to lie; [storage] says where that is.")],
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin anew, in place of whatever the storage moved to holds.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print the comparison.")] = Format.table,
) -> None:
    """Move every log to the other storage and compare every row. Goes on where a move before it was interrupted."""
    from mrs_resources.moving import Mover  # noqa: PLC0415 - the file alone needs none of it

    settings = load_settings()
    began = time.monotonic()
    mover = Mover(
        settings.home,
        settings.storage,
        lambda told: say(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {escape(told)}"),
    )
    moved = mover.move(to.value, datetime.now(UTC), restart=restart)
    rows = [{"table": t.table, "rows": t.rows, "found": t.found, "same": t.same} for t in moved.tables if t.rows]
    print_rows(pl.DataFrame(rows, schema={"table": str, "rows": int, "found": int, "same": bool}), form)
    say(f"Every row is there. Certificate: {escape(str(moved.certificate))}")
    if settings.storage.backend != moved.to:
        say(f'[bold]Now set backend = "{moved.to}" in {escape("[storage]")} of feeds.toml.[/bold]')
