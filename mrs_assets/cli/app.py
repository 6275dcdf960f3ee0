"""The application: its commands, and how mistakes end it."""

from __future__ import annotations

import sys

import typer
from rich.markup import escape

from mrs_assets.cli.alerts import alerts_app
from mrs_assets.cli.clusters import clusters_app
from mrs_assets.cli.decide import edit
from mrs_assets.cli.diff import diff
from mrs_assets.cli.drill import drill
from mrs_assets.cli.errors import errors_app
from mrs_assets.cli.health import health
from mrs_assets.cli.look import explain, show
from mrs_assets.cli.migrate import migrate
from mrs_assets.cli.models import models_app
from mrs_assets.cli.output import say
from mrs_assets.cli.plan import plan_app
from mrs_assets.cli.recall import recall_app
from mrs_assets.cli.run import demo, reset, tick, ui
from mrs_assets.cli.verify import verify
from mrs_assets.contracts.errors import MrsError, UserMistake

app = typer.Typer(
    name="mrs",
    help="Minority Report System: short-term sales anomalies, why they probably happened, and one current state.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (tick, show, diff, explain, edit, health, verify, migrate, drill, reset, demo, ui):
    app.command()(command)
app.add_typer(plan_app, name="plan")
app.add_typer(errors_app, name="errors")
app.add_typer(models_app, name="models")
app.add_typer(alerts_app, name="alerts")
app.add_typer(clusters_app, name="clusters")
app.add_typer(recall_app, name="recall")


def main() -> None:
    """Run the command line. A user's mistake is told in words and ends with exit code 2, a failure with 1."""
    try:
        app()
    except UserMistake as mistake:
        say(f"[red]{escape(str(mistake))}[/red]")
        sys.exit(2)
    except MrsError as error:
        say(f"[red]{escape(str(error))}[/red]")
        sys.exit(1)
