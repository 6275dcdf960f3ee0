"""The command by which people rehearse: take something away on purpose, or rebuild a run from the archive."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.markup import escape

from mrs_assets.cli.output import print_table, say
from mrs_assets.cli.session import dagster_instance, open_settings, quiet_dagster
from mrs_assets.contracts.errors import UserMistake


def drill(
    point: Annotated[str | None, typer.Option("--input", help="STAGE.WANT or STAGE; by turns when absent.")] = None,
    days: Annotated[int, typer.Option(help="Newest days with reports to take it away from.", min=1)] = 7,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Build a run again from the archive instead.")] = False,
    run_id: Annotated[str | None, typer.Argument(help="The run to rehearse; the one in force by default.")] = None,
) -> None:
    """Take one optional input away on staging and see it heal; or, anywhere, build a run again and compare.

    Both write a report to `drills/` in MRS_HOME and end with exit code 1 where something was not as it should be.
    """
    if run_id is not None and not rehearse:
        raise UserMistake(f"{run_id!r} is a run to rehearse.", remedy=f"mrs drill --rehearse {run_id}")
    passed = _rehearse(run_id) if rehearse else _drill(point, days)
    if not passed:
        sys.exit(1)


def _drill(point: str | None, days: int) -> bool:
    from mrs_assets.definitions import build_definitions  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.drill.drill import Drill  # noqa: PLC0415
    from mrs_assets.drill.report import drill_report, write_report  # noqa: PLC0415

    settings, warehouse = open_settings()
    with dagster_instance(settings) as instance, Console(stderr=True).status("drilling"):
        result = Drill(settings, warehouse, instance, build_definitions, asked=point, days=days).run()
    name = result.exercise.point.name
    file = write_report(settings.home, result.began_at, name, drill_report(result))
    told = {"while it was gone": result.degraded, "after it was back": result.healed, "restored": result.restored}
    rows = [
        {"when": when, "confirmed": one.claim, "": "yes" if one.holds else "NO", "found": one.found}
        for when, confirmations in told.items()
        for one in confirmations
    ]
    print_table(pl.DataFrame(rows), title=f"{name} of {result.exercise.retailer}")
    _say_how_it_ended(file, result.passed)
    return result.passed


def _rehearse(run_id: str | None) -> bool:
    from mrs_assets.definitions import build_definitions  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.drill.report import rehearsal_report, write_report  # noqa: PLC0415
    from mrs_assets.verification.rehearsal import rehearse  # noqa: PLC0415

    settings, warehouse = open_settings()
    began = time.monotonic()

    def tell(message: str) -> None:
        say(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {escape(message)}")

    quiet_dagster()
    result = rehearse(settings, warehouse, build_definitions, run_id, tell)
    file = write_report(settings.home, result.began_at, f"rehearsal-{result.run_id}", rehearsal_report(result))
    rows = [
        {
            "dataset": one.dataset,
            "rows in the run": one.found,
            "in the rebuild": one.expected,
            "only in the rebuild": one.missing,
            "only in the run": one.unexpected,
            "other": one.changed,
        }
        for one in result.differences
    ]
    print_table(pl.DataFrame(rows), title=f"{result.run_id}, built again from {result.files} files")
    for note in [*result.failed, *result.notes]:
        say(f"[yellow]{escape(note)}[/yellow]")
    _say_how_it_ended(file, result.passed)
    return result.passed


def _say_how_it_ended(file: Path, passed: bool) -> None:
    say("[green]Everything is as it should be.[/green]" if passed else "[red]Something is not as it should be.[/red]")
    say(f"Report: {escape(str(file))}")
