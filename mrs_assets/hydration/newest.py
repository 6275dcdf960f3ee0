"""SQL for the newest live row of each report in one log: latest by tick (and round), then by version."""

from __future__ import annotations

from dataclasses import dataclass

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.contract import Contract

IN_FORCE = "run_id = $run_id AND ($as_of IS NULL OR written_at <= CAST($as_of AS TIMESTAMPTZ))"
"""Rows of the namespace that were written by the instant; `$as_of` NULL means now."""


@dataclass(frozen=True)
class LogRow:
    """One log as the fold reads it.

    Attributes:
        alias: short SQL name of its newest live row.
        contract: the log.
        subject: the key column that names what the row is about.
        newest_by: the remaining key columns, most significant first: the highest is the newest.
        only: SQL condition on the rows that count.
    """

    alias: str
    contract: Contract
    subject: str
    newest_by: tuple[str, ...] = ()
    only: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """Subject and what orders its rows."""
        return (self.subject, *self.newest_by)


def listed(columns: tuple[str, ...] | list[str], alias: str = "") -> str:
    """Column names as SQL."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{column}"' for column in columns)


def newest_row_sql(
    row: LogRow, *, limited_to: str | None = None, withdrawn_too: bool = False, asked: bool = False
) -> list[str]:
    """Common table expressions that end in `<alias>`: one row per subject, in the log's stored columns.

    `<alias>_newest` (subject, place) finds where the row stands with one narrow aggregation, and one join by that
    place reads the wide columns: it compares numbers, and skips the parts of a log that hold no wanted row.

    Args:
        row: the log and its key.
        limited_to: a query of the subjects wanted; None for all.
        withdrawn_too: also rows that were retracted: the last known state of what is no longer true.
        asked: one row per question instead, with the question's `word` in the subject's column. Reads `asked` (word,
            subject, seen_at, tick_to): what was written by `seen_at`, of ticks up to `tick_to`; NULL sets no limit.
    """
    name, table, key = row.alias, row.contract.name, listed(row.key)
    condition = IN_FORCE + (f" AND {row.only}" if row.only else "")
    condition += f' AND "{row.subject}" IN ({limited_to})' if limited_to else ""
    kept = "MATERIALIZED" if limited_to or asked else "NOT MATERIALIZED"
    read = f"{key}, version, is_retracted, rowid AS place"
    source = _answers(row) if asked else f"SELECT {read} FROM {table} WHERE {condition}"
    keys = f"{name}_keys AS {kept} ({source})"
    withdrawn = (
        f"{name}_withdrawn AS (SELECT {key} FROM {name}_keys "
        f"SEMI JOIN (SELECT DISTINCT {key} FROM {name}_keys WHERE is_retracted) USING ({key}) "
        f"GROUP BY {key} HAVING arg_max(is_retracted, version))"
    )
    chosen = f"{name}_keys" if withdrawn_too else f"{name}_keys ANTI JOIN {name}_withdrawn USING ({key})"
    newest = (
        f'{name}_newest AS (SELECT "{row.subject}", arg_max(place, {_rank(row)}) AS place '
        f'FROM {chosen} GROUP BY "{row.subject}")'
    )
    columns = listed(list(row.contract.schema), "l")
    if asked:
        columns = columns.replace(f'l."{row.subject}"', f'n."{row.subject}"')
    whole = f"{name} AS NOT MATERIALIZED (SELECT {columns} FROM {table} l JOIN {name}_newest n ON l.rowid = n.place)"
    return [keys, newest, whole] if withdrawn_too else [keys, withdrawn, newest, whole]


def _answers(row: LogRow) -> str:
    """The keys of the rows that each question is about, the question in the place of the subject."""
    ordering = "".join(f', l."{column}"' for column in row.newest_by)
    to_tick = ' AND (a.tick_to IS NULL OR l."tick" <= a.tick_to)' if "tick" in row.contract.body else ""
    only = f" AND {row.only}" if row.only else ""
    return (
        f'SELECT a.word AS "{row.subject}"{ordering}, l.version, l.is_retracted, l.rowid AS place '
        f'FROM {row.contract.name} l JOIN asked a ON a.subject = l."{row.subject}" '
        f"WHERE l.run_id = $run_id AND (a.seen_at IS NULL OR l.written_at <= a.seen_at){to_tick}{only}"
    )


def _rank(row: LogRow) -> str:
    """One whole number per row that rises with what orders a subject's rows, the version last.

    Comparing numbers takes half the time of comparing structs. Versions and rounds stay below 2³¹, and
    128 bits hold two of them and an instant.
    """
    rank = ""
    for column in (*row.newest_by, "version"):
        instant = row.contract.schema[column] == INSTANT
        number = f'epoch_us("{column}")' if instant else f'"{column}"'
        rank = f"({rank} * 2147483648 + {number})" if rank else f"CAST({number} AS HUGEINT)"
    return rank
