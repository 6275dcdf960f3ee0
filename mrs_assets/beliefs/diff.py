"""`mrs diff`: what is believed at one instant against another, field by field, and why.

Rows come from one published snapshot. How causes are found is said in `causes` and `subjects`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

import polars as pl

from mrs_assets.beliefs.causes import Cause, CauseKind, Causes, edit_cause, told
from mrs_assets.beliefs.changes import Change, as_text, changes
from mrs_assets.beliefs.evidence import Evidence, stamp_of
from mrs_assets.beliefs.subjects import Reports, Subjects, place_of
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.catalogue import find
from mrs_assets.contracts.logs.dead_letters import DEAD_LETTERS_RESOLVED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.operations import BREAKERS, DEMO_RUN_CONFIG
from mrs_assets.contracts.views import MINORITY_REPORTS, View, find_view
from mrs_resources.reader import SnapshotReader

WHEN = frozenset({"known_at", "refresh_seq", "group_supersedes"})
"""Columns of views that tell when and how often something was written, not what is believed."""

_TOLD = ("field", "kind", "before", "after", "cause", "because")

_OPERATIONS: dict[str, CauseKind] = {
    ARRIVALS.name: "data",
    DEAD_LETTERS_RESOLVED.name: "data",
    MODEL_REGISTRY.name: "model",
    DEMO_RUN_CONFIG.name: "configuration",
}


def diff(reader: SnapshotReader, name: str, since: datetime, until: datetime) -> pl.DataFrame:
    """What is believed at `until` against `since`.

    Args:
        reader: of the published snapshot.
        name: `reports`, `events`, or a log's name or code.
        since: the earlier belief.
        until: the later one.

    Returns:
        One row per subject and changed field, sorted by subject: what identifies the subject (of a report report_id,
        retailer, store_id, sku; of an event report_group_id, retailer; of a log's row its key), field, kind
        (`appeared`, `vanished`, `changed`), before and after (text, see `as_text`), cause (kinds, sorted, joined by
        `, `) and because (the facts, joined by `; `). Every column is text.

    Raises:
        UserMistake: an instant has no time zone, or the first is after the second.
        UnknownName: there is no such view or log.
    """
    if since.tzinfo is None or until.tzinfo is None:
        raise UserMistake("An instant needs a time zone.", remedy="Write 2024-05-01T08:00:00Z, for example.")
    if since > until:
        raise UserMistake(f"{since.isoformat()} is after {until.isoformat()}.", remedy="Exchange --from and --to.")
    reader = reader.pinned()
    view = _view(name)
    dataset: View | Contract = view or find(name)
    key, named = _key_of(dataset)
    subject = list(dict.fromkeys([*key, *named]))
    columns = dataset.schema if isinstance(dataset, View) else dataset.hashed
    fields = [column for column in columns if column not in subject and column not in WHEN]
    sides = [_believed(reader, dataset, at) for at in (since, until)]
    found = list(changes(key, fields, *sides))
    reports = sides if view is MINORITY_REPORTS else [_believed(reader, MINORITY_REPORTS, at) for at in (since, until)]
    explain = _explainer(reader, dataset, found, Reports(*reports), since, until)
    rows = [_as_row(change, subject, explain(change)) for change in found]
    return pl.DataFrame(rows, schema=dict.fromkeys([*subject, *_TOLD], pl.String))


def _key_of(dataset: View | Contract) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What identifies a row, and what else names its subject."""
    if isinstance(dataset, Contract):
        return dataset.key, ("retailer",)
    return (dataset.key,), ("retailer", "store_id", "sku") if dataset is MINORITY_REPORTS else ("retailer",)


def _view(name: str) -> View | None:
    try:
        return find_view(name)
    except UnknownName:
        return None


def _believed(reader: SnapshotReader, dataset: View | Contract, at: datetime) -> pl.DataFrame:
    return reader.show(dataset.name, as_of=at, live=True)


def _as_row(change: Change, subject: list[str], causes: Iterable[Cause]) -> dict[str, Any]:
    cause, because = told(causes)
    named = {name: as_text(change.row[name]) for name in subject}
    return named | {
        "field": change.field,
        "kind": change.kind,
        "before": change.before,
        "after": change.after,
        "cause": cause,
        "because": because,
    }


def _explainer(
    reader: SnapshotReader,
    dataset: View | Contract,
    found: list[Change],
    reports: Reports,
    since: datetime,
    until: datetime,
) -> Callable[[Change], Iterable[Cause]]:
    (run, begin), (run_now, end) = reader.belief(since), reader.belief(until)
    if run != run_now:
        advanced = Cause("configuration", f"another run is shown: {run} → {run_now}", end)
        return lambda _: {advanced}
    causes = Causes(Evidence(reader, run, begin, end))
    subjects = Subjects(causes, reports, found)
    if isinstance(dataset, View):
        return subjects.of_report if dataset is MINORITY_REPORTS else subjects.of_event
    if dataset is FINALISED:
        return subjects.of_record
    return lambda change: _of_log_row(dataset, change, causes, reports)


def _of_log_row(log: Contract, change: Change, causes: Causes, reports: Reports) -> Iterator[Cause]:
    """Causes of a change in one row of a log."""
    row = change.row
    if log in (USER_EDITS, USER_EVENT_EDITS):
        yield edit_cause(row)
    elif log.stage == "operations" or log.name in _OPERATIONS:
        kind = _OPERATIONS.get(log.name) or _kind_of_operation(log, row)
        yield Cause(kind, f"{log.title} {', '.join(map(str, change.key))}", row["written_at"])
    elif log.stage == "feeds":
        yield from causes.of_fact(log, row)
    else:
        yield from causes.of_row(log, *(stamp_of(r) if r else None for r in (change.earlier, change.later)))
        yield from causes.of_inputs(log, place_of(row, reports), row["business_day"], row["business_day"])


def _kind_of_operation(log: Contract, row: dict[str, Any]) -> CauseKind:
    if log is BREAKERS:
        return "recovery" if row["outcome"] == "succeeded" else "outage"
    if row.get("purpose") == "recovery":
        return "recovery"
    triggers = row.get("triggers", ())
    if "source_weights" in triggers:
        return "configuration"
    return "edit" if triggers and all(trigger.startswith("user_") for trigger in triggers) else "data"
