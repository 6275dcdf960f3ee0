"""Commands by which people decide: edits on reports and events, models in force."""

from __future__ import annotations

import getpass
import json
import uuid
from typing import Annotated

import polars as pl
import typer

from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.cli.session import dagster_instance, open_settings
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.edits import ACTIONS, ROLES
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.log_store import SYSTEM_RUN
from mrs_resources.reader import SnapshotReader

models_app = typer.Typer(help="Trained models: train, list, approve.", no_args_is_help=True)


def edit(
    subject: Annotated[str, typer.Argument(help="A report (MR-…) or an event (ME-…).")],
    action: Annotated[str, typer.Argument(help=f"One of {', '.join(ACTIONS)}.")],
    field: Annotated[str | None, typer.Option(help="The field that `edit` sets or `clear` frees.")] = None,
    value: Annotated[str | None, typer.Option(help="The value to set.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why.")] = None,
    evidence_url: Annotated[str | None, typer.Option(help="Where the evidence is.")] = None,
    undoes: Annotated[str | None, typer.Option(help="The annotation that `undo` takes back.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who acts; your login name by default.")] = None,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")] = "analyst",
) -> None:
    """Decide on a report or an event. The edit goes to the inbox; the next tick applies it."""
    if action not in ACTIONS or role not in ROLES:
        raise UserMistake(f"There is no action {action!r} for role {role!r}.", remedy=f"Actions: {', '.join(ACTIONS)}.")
    settings, warehouse = open_settings()
    view, key = ("reports", "report_id") if subject.startswith("MR-") else ("events", "report_group_id")
    known = SnapshotReader(settings.home, FOLDS).show(view).filter(pl.col(key) == subject)
    if known.height == 0:
        raise UserMistake(f"There is no {subject} among the {view}.", remedy=f"`mrs show {view}` lists them.")
    if action == "approve" and view == "reports" and value is None:
        value = known["proposed_cause"][0]  # what was seen, should the machine change its mind
    annotation_id = str(uuid.uuid4())
    entry = {
        "annotation_id": annotation_id,
        key: subject,
        "actor": actor or getpass.getuser(),
        "user_role": role,
        "action": action,
        "field": field,
        "value": value,
        "reason": reason,
        "evidence_url": evidence_url,
        "based_on_written_at": known["known_at"][0].isoformat(),
        "acted_at": warehouse.clock().isoformat(),
        "undoes": undoes,
    }
    folder = warehouse.archive.inbox / "edits" / str(known["retailer"][0])
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{annotation_id}.part"
    unfinished.write_text(json.dumps(entry, ensure_ascii=False) + "\n", "utf-8")
    unfinished.replace(folder / f"{annotation_id}.ndjson")
    say(f"Edit {annotation_id} waits in the inbox; `mrs tick` applies it.")


@models_app.command("list")
def list_models(
    form: Annotated[Format, typer.Option("--format", help="How to print the rows.")] = Format.table,
) -> None:
    """Show every trained version and which is in force."""
    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        rows = tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN)
    columns = [
        "model_name",
        "model_version_id",
        "trained_on_from",
        "trained_on_to",
        "is_active",
        "approved_by",
        "metrics",
    ]
    print_rows(rows.select(columns), form)


@models_app.command()
def train(
    last_day: Annotated[str, typer.Option(help="Newest business day to learn from, ISO; everything by default.")] = "",
    approve_as: Annotated[str, typer.Option(help="Activate the new version in this name.")] = "",
) -> None:
    """Train the baseline on the series there are; without an approval the version in force stays."""
    from mrs_assets.cli.run import train_baseline_model  # noqa: PLC0415 - loads the model libraries

    settings, warehouse = open_settings()
    with dagster_instance(settings) as instance:
        train_baseline_model(settings, warehouse, instance, last_day, approve_as)
    list_models(Format.table)


@models_app.command()
def approve(
    version: Annotated[str, typer.Argument(help="The version to put in force.")],
    name: Annotated[str, typer.Option("--as", help="Who approves; your login name by default.")] = "",
) -> None:
    """Put a trained version in force; also the way back to an earlier one."""
    from mrs_assets.model_asset import BASELINE_MODEL  # noqa: PLC0415 - loads the model libraries
    from mrs_assets.model_asset import approve as put_in_force  # noqa: PLC0415

    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        put_in_force(tx, BASELINE_MODEL, version, name or getpass.getuser())
    list_models(Format.table)
