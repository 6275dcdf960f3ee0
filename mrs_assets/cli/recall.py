"""`mrs recall`: look again at past reports, see what waits, and ask for another look."""

from __future__ import annotations

import getpass
import json
import sys
import uuid
from typing import Annotated

import polars as pl
import typer

from mrs_assets.cli.decide import drop_edit
from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.cli.session import dagster_instance, open_settings
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.edits import LEAST_NOTES, PATHS, REOPEN_REASONS
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader

recall_app = typer.Typer(help="Past reports that something gave reason to doubt: look again, list, ask.")

ITEM = ("report_id", "round", "trigger_reason", "trigger_at", "priority", "waits_for", "evidence")
DONE = ("report_id", "round", "trigger_reason", "outcome", "concluded_before", "concluded_after", "contradicts_verdict")
Form = Annotated[Format, typer.Option("--format", help="How to print the rows.")]


@recall_app.callback(invoke_without_command=True)
def recall(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be recalled and why; do nothing.")
    ] = False,
    trigger: Annotated[list[str] | None, typer.Option(help="Ask this trigger alone; may be repeated.")] = None,
    form: Form = Format.table,
) -> None:
    """Look again at what is due, by priority, and print what came of it. Yields to everything else that waits."""
    if context.invoked_subcommand is not None:
        return
    from mrs_assets.recall.table import TRIGGERS  # noqa: PLC0415 - loads the model libraries

    if unknown := sorted({*(trigger or ())} - {*TRIGGERS}):
        raise UserMistake(f"There is no trigger {unknown[0]!r}.", remedy=f"Triggers: {', '.join(TRIGGERS)}.")
    chosen = tuple(trigger) if trigger else tuple(TRIGGERS)
    if dry_run:
        _would(chosen, form)
    else:
        _run(chosen, form)


@recall_app.command("list")
def list_items(
    everything: Annotated[bool, typer.Option("--all", help="Rounds that are concluded too.")] = False,
    form: Form = Format.table,
) -> None:
    """Show what waits for a re-review, in the order of its turn."""
    from mrs_assets.recall.worklist import in_order  # noqa: PLC0415 - loads the model libraries

    _, warehouse = open_settings()
    with warehouse.store.looking() as tx:
        known = tx.live(REREVIEW_WORKLIST)
    shown = known.select(*ITEM[:-1], *DONE[3:]) if everything else in_order(known).select(ITEM)
    print_rows(_in_words(shown, form), form)


@recall_app.command()
def ask(
    report: Annotated[str, typer.Argument(help="The report (MR-…).")],
    reason: Annotated[str, typer.Option(help=f"One of {', '.join(REOPEN_REASONS)}.")],
    notes: Annotated[str, typer.Option(help=f"What is to be looked at and why; {LEAST_NOTES} characters or more.")],
    path: Annotated[str, typer.Option(help="`reprocess`: the machine looks again; `manual`: a person.")] = "reprocess",
    reopen: Annotated[bool, typer.Option("--reopen", help="Take the verdict back as well.")] = False,
    evidence_url: Annotated[str | None, typer.Option(help="Where the evidence is.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who asks; your login name by default.")] = None,
) -> None:
    """Ask for another look at a report, by protocol. It goes to the inbox; the next tick takes it up."""
    if reason not in REOPEN_REASONS:
        raise UserMistake(f"There is no reason {reason!r}.", remedy=f"Reasons: {', '.join(REOPEN_REASONS)}.")
    if path not in PATHS:
        raise UserMistake(f"There is no path {path!r}.", remedy=f"Paths: {', '.join(PATHS)}.")
    if len(notes.strip()) < LEAST_NOTES:
        raise UserMistake(
            f"The notes have {len(notes.strip())} characters.",
            remedy=f"Say in {LEAST_NOTES} or more what is to be looked at and why: an auditor has nothing else.",
        )
    settings, warehouse = open_settings()
    known = SnapshotReader(settings.home, FOLDS).show("reports").filter(pl.col("report_id") == report)
    if known.height == 0:
        raise UserMistake(f"There is no {report} among the reports.", remedy="`mrs show reports` lists them.")
    annotation_id = str(uuid.uuid4())
    entry = {
        "annotation_id": annotation_id,
        "report_id": report,
        "actor": actor or getpass.getuser(),
        "user_role": "analyst",
        "action": "reopen" if reopen else "request_review",
        "reason": notes.strip(),
        "reopen_reason": reason,
        "path": path,
        "evidence_url": evidence_url,
        "based_on_written_at": known["known_at"][0].isoformat(),
        "acted_at": warehouse.clock().isoformat(),
    }
    drop_edit(warehouse, str(known["retailer"][0]), entry)
    say(f"Request {annotation_id} waits in the inbox; `mrs tick` takes it up.")


def _would(triggers: tuple[str, ...], form: Format) -> None:
    from mrs_assets.recall.worklist import in_order, updated  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.recall_watch.restraint import obstacles  # noqa: PLC0415
    from mrs_assets.recall_watch.run import look  # noqa: PLC0415

    settings, warehouse = open_settings()
    with warehouse.store.looking() as tx:
        facts, queued = look(warehouse, tx, settings, triggers)
        found = obstacles(warehouse, tx, settings)
    waiting = in_order(updated(facts["worklist"], queued.items))
    print_rows(waiting.select(ITEM), form)
    most = settings.recall.most_per_run
    say(
        f"{waiting.height} reports would be looked at again, {min(most, waiting.height)} of them in the next run; "
        f"{queued.spent} causes are answered already, {queued.bounded} reports have had their rounds. Nothing was done."
    )
    for obstacle in found[:3]:
        say(f"It would wait: {obstacle}.")


def _run(triggers: tuple[str, ...], form: Format) -> None:
    from mrs_assets.definitions import build_definitions  # noqa: PLC0415 - loads the graph
    from mrs_assets.graph import RECALLING  # noqa: PLC0415
    from mrs_assets.in_process import GraphRunner  # noqa: PLC0415
    from mrs_assets.recall_asset import TRIGGERS_TAG  # noqa: PLC0415
    from mrs_assets.recall_watch.run import is_due  # noqa: PLC0415

    settings, warehouse = open_settings()
    due, why = is_due(warehouse, settings, triggers)
    say(why)
    if not due:
        return
    began = warehouse.clock()
    with dagster_instance(settings) as instance:
        runner = GraphRunner(build_definitions(settings, warehouse), warehouse, settings, instance)
        ran = runner.run(RECALLING, {TRIGGERS_TAG: ",".join(triggers)})
    with warehouse.store.looking() as tx:
        rows = tx.live(REREVIEW_WORKLIST).filter(pl.col("written_at") >= began, pl.col("outcome").is_not_null())
    print_rows(_in_words(rows.select(DONE), form), form)
    if not ran.success:
        say(f"[red]{'; '.join(ran.failed)}[/red]")
        sys.exit(1)


def _in_words(rows: pl.DataFrame, form: Format) -> pl.DataFrame:
    """In a table, conclusions as `cluster; cause (confidence)` instead of JSON."""
    if form is not Format.table or "concluded_after" not in rows.columns:
        return rows
    told = [
        pl.col(column).map_elements(_conclusion, return_dtype=pl.String).alias(name)
        for column, name in (("concluded_before", "was"), ("concluded_after", "is"))
    ]
    return rows.with_columns(told).drop("concluded_before", "concluded_after")


def _conclusion(told: str) -> str:
    said = json.loads(told)
    sure = "" if said["confidence_score"] is None else f" ({said['confidence_score']:.2f})"
    return f"{said['cluster_name'] or 'unclustered'}; {said['proposed_cause']}{sure}"
