"""`mrs plan`: what the next tick would recompute and why, and the approval of what waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import polars as pl
import typer

from mrs_assets.cli.output import Format, print_rows, print_table, say
from mrs_assets.cli.session import open_settings
from mrs_assets.contracts.errors import UnknownName
from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.planning.ledger import approve as approve_plan
from mrs_assets.planning.plan import Plan
from mrs_assets.planning.standing import Standing

plan_app = typer.Typer(help="Show what the next tick would recompute, and approve what waits for it.")


@plan_app.callback(invoke_without_command=True)
def plan(
    context: typer.Context,
    form: Annotated[Format, typer.Option("--format", help="How to print the plans.")] = Format.table,
) -> None:
    """Show what the next tick would recompute, and why, without doing it; and what stays degraded."""
    if context.invoked_subcommand is not None:
        return
    from mrs_assets.graph import CLOSING, STAGES  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.planning.intake import replay_plans  # noqa: PLC0415
    from mrs_assets.planning.recovery import recovery  # noqa: PLC0415

    settings, warehouse = open_settings()
    replays = replay_plans(warehouse, settings, FEED_LOGS, STAGES, CLOSING)
    mended = recovery(warehouse, settings, STAGES, CLOSING, {plan.scope.retailer for plan in replays})
    plans = [*replays, *mended.plans]
    if form is not Format.table:
        print_rows(_summary(plans), form)
        return
    waiting = sum(path.is_file() for path in warehouse.archive.inbox.glob("*/*/[!.]*"))
    if waiting:
        say(f"{waiting} files wait in the inbox: what they change is known once they are admitted.")
    if plans:
        print_table(_summary(plans), title="What changed, and what it puts in question")
        print_table(_bounds(plans), title="At most this is recomputed; what comes out the same is followed no further")
    else:
        say("Every admitted row is answered: nothing to recompute.")
    degraded = [item for item in mended.standing if item.waits_for is not None]
    if degraded:
        print_table(_degraded(degraded), title="Degraded, and not to be mended yet")


@plan_app.command()
def approve(
    plan_id: Annotated[str, typer.Argument(help="The plan, as `mrs plan` names it.")],
    actor: Annotated[str, typer.Option(help="Who approves.")],
) -> None:
    """Let a held correction go on with the next tick."""
    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        if not approve_plan(tx, plan_id, actor):
            raise UnknownName(f"No plan {plan_id!r} waits for approval.", remedy="`mrs plan` lists what is held.")
    say(f"{plan_id} goes on with the next tick.")


def _summary(plans: Sequence[Plan]) -> pl.DataFrame:
    rows = [
        {
            "plan": plan.plan_id,
            "retailer": plan.scope.retailer,
            "because": plan.because,
            "days changed": _days(plan),
            "stores": plan.stores_changed,
            "reports in question": plan.touched.reports if plan.touched else None,
            "money they hold": float(plan.touched.impact) if plan.touched else None,
            "units they hold": plan.touched.units if plan.touched else None,
            "weeks at most": len({day.isocalendar()[:2] for day in plan.scope.days}),
            "of a full rebuild": f"{plan.touched.share_of_rebuild:.1%} at most" if plan.touched else None,
            "waits for": "approval" if plan.is_held else None,
        }
        for plan in plans
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def _days(plan: Plan) -> str:
    first, last = plan.days_changed[0], plan.days_changed[-1]
    return f"{first}" if first == last else f"{len(plan.days_changed)}: {first} to {last}"


def _bounds(plans: Sequence[Plan]) -> pl.DataFrame:
    rows = [
        {
            "retailer": step.scope.retailer,
            "from": step.scope.first_day,
            "to": step.scope.last_day,
            "assets": ", ".join(step.assets),
        }
        for plan in plans
        for step in plan.steps
    ]
    return pl.DataFrame(rows)


def _degraded(items: Sequence[Standing]) -> pl.DataFrame:
    rows = [
        {
            "log": item.log,
            "retailer": item.retailer,
            "reason": item.reason,
            "days": len(item.days),
            "rows": item.rows,
            "waits for": item.waits_for,
        }
        for item in items
    ]
    return pl.DataFrame(rows)
