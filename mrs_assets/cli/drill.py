"""The command by which people rehearse: take something away on purpose, or rebuild a run from the archive."""

from __future__ import annotations

import sys
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.markup import escape

from mrs_assets.cli.output import print_table, say
from mrs_assets.cli.session import dagster_instance, open_settings


def drill(
    point: Annotated[str | None, typer.Option("--input", help="STAGE.WANT or STAGE; by turns when absent.")] = None,
    days: Annotated[int, typer.Option(help="Newest days with reports to take it away from.", min=1)] = 7,
) -> None:
    """On staging: take one optional input away, confirm the degraded path, give it back, confirm healing."""
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
    say(f"Report: {escape(str(file))}")
    if not result.passed:
        say(f"[red]The drill failed: {escape(name)}[/red]")
        sys.exit(1)
