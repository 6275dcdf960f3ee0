"""Dead letters as one list: what identifies a refused row, whether it still waits, and how it comes to rest.

A letter is a row of a `<log>_errors` table, or a file that was rejected whole. None is ever deleted: a resolution is an
appended row of `dead_letters_resolved_log`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.dead_letters import DEAD_LETTERS_RESOLVED, RESOLUTIONS
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction

OPEN = "open"
"""State of a letter that nobody has resolved; otherwise its state is the resolution."""

_IDENTITY = ("log", "source", "source_row", "error_code", "raw_payload")
_IN_ORDER = "ORDER BY written_at, log, source, source_row, letter_id"
_SHORT = 200
_NEWEST = "arg_max({column}, (written_at, version))"


def letters_sql(tables: Collection[str], logs: Sequence[Contract] = LOGS, where: str = "true") -> str:
    """SQL of the dead letters of a namespace, each with its state.

    Parameters: `$run_id`. Columns: letter_id, log, retailer, business_day, report_id, source, source_row, raw_payload,
    error_code, error, written_at (when it was refused, UTC), state, resolved_by, resolved_because, resolved_at.

    Args:
        tables: names of the tables that exist.
        logs: whose letters to look at; those of the arrivals are files rejected whole.
        where: condition over letter_id, retailer and the columns that it is made of.
    """
    mine = f"run_id IN ($run_id, '{SYSTEM_RUN}')"
    columns = "retailer, business_day, report_id, source, source_row, raw_payload, error_code, error, written_at"
    parts = [
        f"SELECT '{log.name}' AS log, {columns} FROM {log.name}_errors WHERE {mine}"
        for log in logs
        if f"{log.name}_errors" in tables
    ]
    if ARRIVALS.name in tables and ARRIVALS in logs:
        parts.append(_rejected_files(mine))
    letters = " UNION ALL ".join(parts) or f"SELECT NULL AS log, {_nothing(columns)} WHERE $run_id IS NULL"
    named = f"SELECT {_letter_id()} AS letter_id, * FROM ({letters})"
    told = {"resolution": "state", "actor": "resolved_by", "reason": "resolved_because"}
    newest = ", ".join(_NEWEST.format(column=column) + f" AS {name}" for column, name in told.items())
    resolved = (
        f"SELECT letter_id, {newest}, max(written_at) AS resolved_at FROM {DEAD_LETTERS_RESOLVED.name} "
        f"WHERE {mine} AND NOT is_retracted GROUP BY letter_id"
        if DEAD_LETTERS_RESOLVED.name in tables
        else "SELECT NULL AS letter_id, NULL AS state, NULL AS resolved_by, NULL AS resolved_because, "
        "CAST(NULL AS TIMESTAMPTZ) AS resolved_at WHERE false"
    )
    # A file may be rejected again after it was read; what a person dismissed stays so in every namespace.
    waits = "r.state IS NULL OR r.state = 'reopened' OR (r.state <> 'dismissed' AND l.written_at > r.resolved_at)"
    return (
        f"SELECT l.*, CASE WHEN {waits} THEN '{OPEN}' ELSE r.state END AS state, "
        "r.resolved_by, r.resolved_because, r.resolved_at "
        f"FROM ({named} WHERE {where}) l LEFT JOIN ({resolved}) r ON l.letter_id = r.letter_id"
    )


def chosen_letters_sql(tables: Collection[str]) -> str:
    """SQL of the letters that a reader asks for, in order of refusal.

    Parameters: `$run_id`; `$log`, `$code`, `$retailer`, `$letter_id`, each NULL for any; `$only_open`.
    """
    return f"{_chosen(tables)} {_IN_ORDER}"


def letter_groups_sql(tables: Collection[str]) -> str:
    """SQL of the letters that a reader asks for, counted by log, retailer and code; those with most open ones first.

    Parameters: as `chosen_letters_sql`. Columns: log, retailer, error_code, letters, open, resolved, first_seen,
    last_seen, example (raw text of one, an open one where there is one), what_to_do (what its sender is told).
    """
    first = f"(state <> '{OPEN}', written_at, source, coalesce(source_row, 0), letter_id)"
    return (
        f"SELECT log, retailer, error_code, count(*) AS letters, count(*) FILTER (state = '{OPEN}') AS open, "
        f"count(*) FILTER (state <> '{OPEN}') AS resolved, min(written_at) AS first_seen, "
        f"max(written_at) AS last_seen, arg_min({shortened('raw_payload')}, {first}) AS example, "
        f"arg_min(error, {first}) AS what_to_do FROM ({_chosen(tables)}) GROUP BY log, retailer, error_code "
        'ORDER BY "open" DESC, letters DESC, log, retailer, error_code'
    )


def shortened(text: str, longest: int = _SHORT) -> str:
    """SQL: the beginning of a text, with an ellipsis where something is left out."""
    return f"CASE WHEN length({text}) > {longest} THEN left({text}, {longest}) || '…' ELSE {text} END"


def letters(
    tx: Transaction,
    where: str = "true",
    parameters: dict[str, object] | None = None,
    *,
    states: Sequence[str] = (OPEN, *RESOLUTIONS),
    logs: Sequence[Contract] = LOGS,
) -> pl.DataFrame:
    """Letters of the warehouse itself, in order of refusal; for whoever is about to resolve some.

    Args:
        tx: open transaction.
        where: as of `letters_sql`.
        parameters: of that condition.
        states: in which they are.
        logs: whose letters.
    """
    sql = f"SELECT * FROM ({letters_sql(tx.tables, logs, where)}) WHERE list_contains($states, state) {_IN_ORDER}"
    return tx.query(sql, {"run_id": tx.run_id, "states": list(states), **(parameters or {})})


def has_letters(tx: Transaction, contract: Contract, source: str) -> bool:
    """Whether a log ever refused a row of a file."""
    tx.ensure(contract)
    found = tx.connection.execute(
        f"SELECT 1 FROM {contract.name}_errors WHERE run_id = ? AND source = ? LIMIT 1", [tx.run_id, source]
    ).fetchone()
    return found is not None


def resolve(
    tx: Transaction, resolved: pl.DataFrame, provenance: Provenance, *, run_id: str | None = None
) -> Appended | None:
    """Append that letters are resolved; None where there are none.

    Args:
        tx: open transaction.
        resolved: letters as `letters` gives them, with columns resolution, actor and reason.
        provenance: who writes.
        run_id: namespace where it is not the transaction's own: what a person decides holds in all of them.
    """
    if resolved.is_empty():
        return None
    own = [c for c in DEAD_LETTERS_RESOLVED.body if c in resolved.columns]
    frame = resolved.with_columns(
        pl.col("retailer").fill_null("*"),
        # As the letter itself, and not the day of the resolution: a letter resolved twice stays on one day.
        pl.col("business_day").fill_null(pl.col("written_at").dt.date()),
    ).select(own)
    return tx.append(DEAD_LETTERS_RESOLVED, frame, replace(EVER, complete=False), provenance, run_id=run_id)


def dismiss(tx: Transaction, chosen: pl.DataFrame, actor: str, reason: str, provenance: Provenance) -> Appended | None:
    """Append that a person set letters aside, in every namespace."""
    told = (("resolution", "dismissed"), ("actor", actor), ("reason", reason))
    resolved = chosen.with_columns(pl.lit(text).alias(name) for name, text in told)
    return resolve(tx, resolved, provenance, run_id=SYSTEM_RUN)


def _chosen(tables: Collection[str]) -> str:
    columns = {"log": "log", "code": "error_code", "retailer": "retailer", "letter_id": "letter_id"}
    same = " AND ".join(f"(${name} IS NULL OR {column} = ${name})" for name, column in columns.items())
    return f"SELECT * FROM ({letters_sql(tables, where=same)}) WHERE state = '{OPEN}' OR NOT $only_open"


def _rejected_files(mine: str) -> str:
    """SQL: files rejected whole as letters. Their `raw_payload` is the file's name; the bytes are in the archive.

    A file may be rejected several times for one reason: that is one letter, of the newest time.
    """
    return (
        f"SELECT '{ARRIVALS.name}' AS log, retailer, business_day, NULL AS report_id, "
        "feed || '/' || retailer || '/' || left(file_hash, 12) AS source, NULL AS source_row, "
        "file_name AS raw_payload, split_part(decision_reason, ': ', 1) AS error_code, "
        "substr(decision_reason, strpos(decision_reason, ': ') + 2) AS error, written_at "
        f"FROM {ARRIVALS.name} WHERE {mine} AND decision = 'rejected' "
        "QUALIFY row_number() OVER (PARTITION BY source, error_code, raw_payload ORDER BY written_at DESC) = 1"
    )


def _letter_id() -> str:
    """SQL: `DL-` and 20 hex digits. Texts are prefixed by their length, as in `row_hash`, so that none collide."""
    texts = [f"CAST({column} AS VARCHAR)" for column in _IDENTITY]
    parts = ", ".join(f"coalesce(length({text}) || ':' || {text}, '~')" for text in texts)
    return f"'DL-' || left(sha256(concat_ws('|', {parts})), 20)"


def _nothing(columns: str) -> str:
    types = {"business_day": "DATE", "source_row": "BIGINT", "written_at": "TIMESTAMPTZ"}
    return ", ".join(f"CAST(NULL AS {types.get(c, 'VARCHAR')}) AS {c}" for c in columns.split(", "))
