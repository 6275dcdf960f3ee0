"""What differs between two states of one dataset: one change per subject and field, with both values as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import polars as pl

Kind = Literal["appeared", "vanished", "changed"]


@dataclass(frozen=True)
class Change:
    """One field of one subject that is believed otherwise.

    Attributes:
        key: what identifies the subject.
        field: the column.
        before, after: its values as text; None: NULL, or no such subject.
        kind: whether the subject is new, gone, or known on both sides.
        earlier, later: the subject's whole row on either side; None where there is none.
    """

    key: tuple[Any, ...]
    field: str
    before: str | None
    after: str | None
    kind: Kind
    earlier: dict[str, Any] | None
    later: dict[str, Any] | None

    @property
    def row(self) -> dict[str, Any]:
        """The subject's row, the later one where there is one."""
        return self.later or self.earlier or {}


def changes(key: Sequence[str], fields: Sequence[str], earlier: pl.DataFrame, later: pl.DataFrame) -> Iterator[Change]:
    """Every field that differs, by key and then in the order of the fields.

    Of a subject that only one side has, every field with a value is told.

    Args:
        key: columns that identify a subject.
        fields: columns to compare.
        earlier: one state.
        later: the other, in the same columns.
    """
    names = list(key)
    before, after = (_by_key(_unlike(these, those, names, fields), names) for these, those in _both(earlier, later))
    for subject in sorted(before.keys() | after.keys(), key=lambda values: [(v is None, str(v)) for v in values]):
        old, new = before.get(subject), after.get(subject)
        kind: Kind = "changed" if old and new else "appeared" if new else "vanished"
        for field in fields:
            was, now = (as_text(row[field]) if row else None for row in (old, new))
            if was != now:
                yield Change(subject, field, was, now, kind, old, new)


def as_text(value: Any) -> str | None:
    """A value as it is told: instants and days as ISO 8601 (UTC), lists as JSON, numbers without loss."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _both(earlier: pl.DataFrame, later: pl.DataFrame) -> tuple[tuple[pl.DataFrame, pl.DataFrame], ...]:
    return ((earlier, later), (later, earlier))


def _unlike(these: pl.DataFrame, those: pl.DataFrame, key: list[str], fields: Sequence[str]) -> pl.DataFrame:
    """Rows of one state that the other has not got in the same words."""
    same = [*key, *(field for field in fields if field not in key)]
    return these.join(those.select(same), on=same, how="anti", nulls_equal=True)


def _by_key(rows: pl.DataFrame, key: list[str]) -> dict[tuple[Any, ...], dict[str, Any]]:
    return {tuple(row[name] for name in key): row for row in rows.to_dicts()}
