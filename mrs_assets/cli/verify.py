"""The command that compares a run with what its files come to when they are built again."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape

from mrs_assets.cli.output import Format, print_rows, print_table, say
from mrs_assets.cli.session import open_settings, quiet_dagster


def verify(
    run_id: Annotated[str | None, typer.Argument(help="The run to verify; the one in force by default.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the comparison.")] = Format.table,
) -> None:
    """Build a run again from the archived files alone and compare every row. Exit code 1 on any difference."""
    from mrs_assets.verification import verify as room  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.verification.legitimate import NOT_REPEATABLE  # noqa: PLC0415

    settings, warehouse = open_settings()
    began = time.monotonic()
    quiet_dagster()
    result = room.verify(
        settings, warehouse, run_id, lambda told: say(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {escape(told)}")
    )
    rows: list[dict[str, Any]] = [
        {
            "dataset": change.dataset,
            "expected": change.expected,
            "found": change.found,
            "missing": change.missing,
            "unexpected": change.unexpected,
            "changed": change.changed,
            "set_apart": sum(room.kept_apart(change).values()),
        }
        for change in result.differences
    ]
    if form is Format.json:
        told = [
            row | {"set_apart": dict(room.kept_apart(change)), "examples": list(change.examples)}
            for row, change in zip(rows, result.differences, strict=True)
        ]
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        print_rows(pl.DataFrame(rows), form, title=f"{result.run_id}, built again from {result.files} files")
    examples = [{"dataset": c.dataset, "expected → found": text} for c in result.differences for text in c.examples]
    if examples and form is Format.table:
        print_table(pl.DataFrame(examples), title="The first differences")
    for note in [*result.failed, *result.notes]:
        say(f"[yellow]{escape(note)}[/yellow]")
    if result.passed:
        apart = any(room.kept_apart(change)[NOT_REPEATABLE] for change in result.differences)
        say(f"[green]{result.run_id} is what its files come to{', as far as it can be built again' * apart}.[/green]")
        return
    say(f"[red]{result.run_id} is not what its files come to.[/red]")
    say(f"The rebuild is kept for a closer look: {escape(str(result.shadow))}. Delete it when you are done.")
    sys.exit(1)
