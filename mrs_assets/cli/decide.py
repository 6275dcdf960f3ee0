"""The command by which people decide on reports and events."""

from __future__ import annotations

import getpass
import json
import uuid
from collections.abc import Mapping
from typing import Annotated

import polars as pl
import typer

from mrs_assets.cli.output import say
from mrs_assets.cli.session import open_settings
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.edits import ACTIONS, ROLES
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader
from mrs_resources.warehouse import Warehouse


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
    drop_edit(warehouse, str(known["retailer"][0]), entry)
    say(f"Edit {annotation_id} waits in the inbox; `mrs tick` applies it.")


def drop_edit(warehouse: Warehouse, retailer: str, entry: Mapping[str, object]) -> None:
    """Put one edit into the inbox, whole or not at all."""
    folder = warehouse.archive.inbox / "edits" / retailer
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{entry['annotation_id']}.part"
    unfinished.write_text(json.dumps(entry, ensure_ascii=False) + "\n", "utf-8")
    unfinished.replace(folder / f"{entry['annotation_id']}.ndjson")
