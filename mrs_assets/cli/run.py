"""Commands that make something happen: tick, reset, demo, ui."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.markup import escape

from mrs_assets import __version__
from mrs_assets.cli.errors import tell_open_letters
from mrs_assets.cli.look import print_events
from mrs_assets.cli.models import train_models
from mrs_assets.cli.output import print_table, say
from mrs_assets.cli.session import dagster_home, dagster_instance, open_settings
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from mrs_resources.warehouse import Warehouse


def tick() -> None:
    """Admit what is in the inbox, replay what it touches, publish. Without daemon, in this process."""
    settings, warehouse = open_settings()
    if not run_tick(settings, warehouse):
        sys.exit(1)


def run_tick(settings: Settings, warehouse: Warehouse) -> bool:
    """One tick, told on stderr. False where something critical failed."""
    from mrs_assets.definitions import build_definitions  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.tick import Ticker  # noqa: PLC0415

    began = time.monotonic()
    with dagster_instance(settings) as instance, Console(stderr=True).status("looking at the inbox") as status:

        def tell(message: str) -> None:
            say(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {escape(message)}")
            status.update(escape(message))

        result = Ticker(build_definitions(settings, warehouse), warehouse, settings, instance).tick(tell)
    for left in warehouse.archive.left_in_inbox(settings):
        say(f"[yellow]left in the inbox: {escape(left.path)}: {escape(left.reason)}[/yellow]")
    for log, inputs in sorted(result.degraded.items()):
        say(f"[yellow]{log} is degraded: no {', '.join(inputs)}[/yellow]")
    for failure in result.failed:
        say(f"[red]failed: {escape(failure)}[/red]")
    if result.admitted:
        tell_open_letters(settings)
    if result.appended:
        counts = {"log": list(result.appended), "rows appended": list(result.appended.values())}
        print_table(pl.DataFrame(counts).sort("log"), title="This tick wrote")
    else:
        say("Nothing new: no log gained a row.")
    return not result.failed


def reset(
    rebuild: Annotated[bool, typer.Option(help="Let the next tick admit every archived file again.")] = False,
) -> None:
    """Advance run_id: every view starts clean, nothing is deleted."""
    settings, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        number = int(tx.run_id.rsplit("-", 1)[1]) + 1
        arrivals_from = datetime(1970, 1, 1, tzinfo=UTC) if rebuild else tx.now
        tx.start_run(f"run-{number:04d}", arrivals_from, Provenance("mrs reset", __version__))
        said = f"Views now read {tx.run_id}. "
        Hydrator(FOLDS).refresh(tx)
    warehouse.publisher.publish(HealthCompanion(settings))
    say(said + ("The next tick rebuilds it from the archive." if rebuild else "Earlier runs stay in the logs."))


def demo() -> None:
    """Run the quick start: a year of a real retailer's sales, reports for its last 13 weeks."""
    from mrs_assets.demo.complete_journey import RETAILER, load_tables, submissions  # noqa: PLC0415

    settings, warehouse = open_settings()
    before = _rows_written(warehouse)
    say("reading Complete Journey: 2,469 households in 2017, simulated on real shopping; not for commercial decisions")
    reports_from = settings.retailers[RETAILER].reports_from or date(2017, 10, 1)
    later = []
    for submission in submissions(load_tables()):
        if submission.first_day >= reports_from:
            later.append(submission)
        else:
            submission.write(warehouse.archive.inbox)
    run_tick(settings, warehouse)
    say("training the models on the weeks before the reports begin")
    with dagster_instance(settings) as instance:
        train_models(settings, warehouse, instance, (), str(reports_from - timedelta(days=1)), "mrs demo")
    for submission in later:
        submission.write(warehouse.archive.inbox)
    if not run_tick(settings, warehouse):
        sys.exit(1)
    print_events(settings)
    if _rows_written(warehouse) == before:
        say("[green]Run again on the same files: no log gained a row.[/green]")
    say(
        "Open the UI: [bold]make ui[/bold], then http://127.0.0.1:3000. Look closer: [bold]mrs show reports[/bold], "
        "[bold]mrs explain REPORT_ID[/bold]."
    )


def ui(port: Annotated[int, typer.Option(help="Port on the loopback interface.")] = 3000) -> None:
    """Open Dagster's UI with daemon, sensors and schedules. Loopback only: it has no log-in."""
    settings, _ = open_settings()
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    os.environ["MRS_HOME"] = str(settings.home)
    arguments = ["dev", "-m", "mrs_assets.definitions", "-h", "127.0.0.1", "-p", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "dagster", *arguments])  # noqa: S606 - fixed arguments


def _rows_written(warehouse: Warehouse) -> datetime | None:
    with warehouse.store.looking() as tx:
        return tx.newest_write()
