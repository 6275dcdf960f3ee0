"""A refused row, corrected by hand: a file of one row for the inbox, which names the dead letter that it answers.

It goes through the same door as any file: archived, accounted for, admitted again when a run is rebuilt.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts.errors import FeedRejected, UserMistake
from mrs_assets.contracts.feed import FeedContract
from mrs_assets.contracts.settings import Settings
from mrs_resources.admission_review import CONFLICT
from mrs_resources.archive import Archive, Arrival, scratch_directory
from mrs_resources.feed_reading import columns_configured, read_file
from mrs_resources.file_layout import names_in, same_name
from mrs_resources.file_reader import plain_file


@dataclass(frozen=True)
class Fix:
    """One corrected row, not sent yet.

    Attributes:
        file_name: name that it gets in the inbox.
        content: bytes of the file.
    """

    file_name: str
    content: bytes


def fix_of(
    letter: Mapping[str, Any],
    values: Mapping[str, str],
    archive: Archive,
    arrival: Arrival,
    settings: Settings,
    feed: FeedContract,
    actor: str,
) -> Fix:
    """The row that a letter refused, with other values in some columns.

    Args:
        letter: the letter, as `mrs_resources.dead_letters.letters_sql` describes it.
        values: column → its text; the file's own name or the canonical one.
        archive: where the file lies.
        arrival: the file that the letter is about.
        settings: how its sender writes.
        feed: what the file may say.
        actor: who corrects the row.

    Raises:
        UserMistake: a column is not known.
    """
    configured = columns_configured(settings, feed.name, arrival.retailer)
    row = _cells(str(letter["raw_payload"]))
    for column, text in values.items():
        row[_own_name(column, row, feed, configured)] = text
    row |= {"answers_letter": letter["letter_id"], "answered_by": actor}
    # Only CSV writes numbers as the sender does; a row that conflicted is kept as it was read.
    if letter["error_code"] != CONFLICT and _is_csv(archive, arrival):
        return Fix(f"fix-{letter['letter_id']}.csv", _csv(row))
    return Fix(f"fix-{letter['letter_id']}.ndjson", (json.dumps(row, ensure_ascii=False) + "\n").encode())


def what_is_still_wrong(
    fix: Path, archive: Archive, arrival: Arrival, settings: Settings, feed: FeedContract, now: datetime
) -> str | None:
    """Why the door would refuse a corrected row; None where it would not.

    Args:
        fix: the file, written somewhere.
        archive: for scratch space.
        arrival: the file that the letter is about.
        settings: how its sender writes.
        feed: what the file may say.
        now: when the fix would arrive.
    """
    try:
        with read_file(archive, replace(arrival, received_at=now), settings, feed, fix) as read:
            rows = pl.read_parquet(read.rows, columns=["error"])
            broken = pl.read_parquet(read.broken, columns=["error"])
    except FeedRejected as rejection:
        return str(rejection)
    problems = [*rows["error"].drop_nulls(), *broken["error"]]
    return None if not problems and rows.height else "; ".join(problems) or "The file has no row."


def _cells(raw: str) -> dict[str, Any]:
    """Cells of a refused row; none where it never came apart into cells."""
    try:
        row = json.loads(raw)
    except json.JSONDecodeError:
        return {}
    return row if isinstance(row, dict) else {}


def _own_name(column: str, row: Mapping[str, Any], feed: FeedContract, configured: Mapping[str, str]) -> str:
    """The row's own name for a column; the canonical one where it has none."""
    own = next((name for name in row if same_name(name, column)), None)
    if own is not None:
        return own
    canonical = names_in([column], feed, configured)
    if not canonical:
        known = ", ".join(dict.fromkeys([*row, *(c.name for c in feed.columns)]))
        raise UserMistake(f"There is no column {column!r}.", remedy=f"Columns: {known}.")
    (name,) = canonical
    return names_in(list(row), feed, configured).get(name, column)


def _is_csv(archive: Archive, arrival: Arrival) -> bool:
    try:
        with scratch_directory(archive) as scratch:
            return plain_file(archive.content(arrival), Path(scratch)).kind == "csv"
    except FeedRejected:
        return False


def _csv(row: Mapping[str, Any]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(row)
    writer.writerow("" if value is None else str(value) for value in row.values())
    return text.getvalue().encode()
