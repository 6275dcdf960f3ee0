"""SQL for the newest live row of each report in one log: latest by tick (and round), then by version."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    alias: str
    contract: Contract
    subject: str
    newest_by: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        """Subject and what orders its rows."""
        return (self.subject, *self.newest_by)


def listed(columns: tuple[str, ...] | list[str], alias: str = "") -> str:
    """Column names as SQL."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{column}"' for column in columns)


def newest_row_sql(row: LogRow, *, limited_to: str | None = None, withdrawn_too: bool = False) -> list[str]:
    """Common table expressions that end in `<alias>`: one row per subject, in the log's stored columns.

    Two narrow aggregations and one join read wide columns once; ranking with a window function takes seven times as
    long on ten million rows.

    Args:
        row: the log and its key.
        limited_to: a query of the subjects wanted; None for all.
        withdrawn_too: also rows that were retracted: the last known state of what is no longer true.
    """
    name, alias, table = row.alias, row.alias, row.contract.name
    condition = IN_FORCE + (f' AND "{row.subject}" IN ({limited_to})' if limited_to else "")
    key = listed(row.key)
    kept = "MATERIALIZED" if limited_to else "NOT MATERIALIZED"
    parts = [
        f"{name}_keys AS {kept} (SELECT {key}, version, is_retracted FROM {table} WHERE {condition})",
        f"{name}_withdrawn AS (SELECT {key} FROM {name}_keys "
        f"SEMI JOIN (SELECT DISTINCT {key} FROM {name}_keys WHERE is_retracted) USING ({key}) "
        f"GROUP BY {key} HAVING arg_max(is_retracted, version))",
    ]
    live = f"{name}_keys" if withdrawn_too else f"{name}_keys ANTI JOIN {name}_withdrawn USING ({key})"
    if withdrawn_too:
        parts.pop()
    known: list[str] = [row.subject]
    chosen = live
    for column in (*row.newest_by, "version"):
        step = f"{name}_by_{column}"
        parts.append(
            f'{step} AS (SELECT {listed(known)}, max("{column}") AS "{column}" FROM {chosen} GROUP BY {listed(known)})'
        )
        known.append(column)
        chosen = f"{name}_keys SEMI JOIN {step} USING ({listed(known)})"
    columns = listed(list(row.contract.schema), "l")
    parts.append(
        f"{alias} AS NOT MATERIALIZED (SELECT {columns} FROM {table} l JOIN {name}_by_version n USING ({listed(known)}) "
        f"WHERE l.run_id = $run_id)"
    )
    return parts
