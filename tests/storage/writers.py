"""Processes that write to and read from one lake at once, and what has to be true of what they leave.

A writer adds a row of its own to two logs and says the newest of what everybody says, all in one transaction; then it
notes what was committed in a file of its own. It dies or loses its server at any point, and goes on after what it noted
last: whether the transaction after that was committed it cannot know, and offers it again.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import duckdb
import polars as pl

from mrs_assets.contracts.errors import StorageUnreachable
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.scope import Scope
from mrs_resources.log_store import LogStore, Transaction
from tests.examples import example_rows
from tests.storage.lakes import FIRST, LAST, WRITER, lake, warehouse_in

PART = Scope(FIRST, LAST, complete=False)
CONTESTED = 5
"""Rows that every writer has a word on."""


def acknowledged(home: Path, who: int) -> list[int]:
    """Sequence numbers that a writer noted as committed."""
    notes = home / f"writer-{who}"
    return [int(line) for line in notes.read_text("utf-8").split()] if notes.exists() else []


def write(home: Path, schema: str, who: int, many: int) -> None:
    """Commit sequence numbers up to `many`, whatever happens to the server."""
    store = warehouse_in(home, lake(schema)).store
    sequence = max(acknowledged(home, who), default=0)
    while sequence < many:
        began = time.monotonic()
        try:
            with store.transaction() as tx:
                waited = time.monotonic() - began
                say(tx, who, sequence + 1)
        except (duckdb.Error, StorageUnreachable):
            time.sleep(0.05)
            continue
        sequence += 1
        with (home / f"writer-{who}").open("a") as notes, (home / f"waits-{who}").open("a") as waits:
            notes.write(f"{sequence}\n")
            waits.write(f"{waited}\n")


def say(tx: Transaction, who: int, sequence: int) -> None:
    own = {"breaker": f"w{who}", "attempt": sequence}
    tx.append(BREAKERS, _with(example_rows(BREAKERS, 1), own), PART, WRITER)
    tx.append(SLO_RESULTS, example_rows(SLO_RESULTS, CONTESTED, variant=sequence), PART, WRITER)
    own = {"model_name": f"w{who}", "model_version_id": str(sequence)}
    tx.append(MODEL_REGISTRY, _with(example_rows(MODEL_REGISTRY, 1), own), PART, WRITER)


def _with(rows: pl.DataFrame, values: dict[str, object]) -> pl.DataFrame:
    return rows.with_columns(pl.lit(value).cast(rows.schema[name]).alias(name) for name, value in values.items())


def read(home: Path, schema: str, who: int) -> None:
    """Look again and again until somebody says that it is enough; note every look, and what was torn."""
    store = warehouse_in(home, lake(schema)).store
    while not (home / "enough").exists():
        try:
            with store.looking() as tx:
                torn = list(torn_rows(tx))
        except (duckdb.Error, StorageUnreachable):
            time.sleep(0.05)
            continue
        with (home / f"reader-{who}").open("a") as notes:
            notes.write(f"{torn or 'whole'}\n")


def torn_rows(tx: Transaction) -> list[tuple[object, ...]]:
    """Rows of which a state holds one half."""
    return tx.query(
        f"SELECT coalesce(b.breaker, m.model_name), coalesce(b.attempt, CAST(m.model_version_id AS BIGINT)) "
        f"FROM {BREAKERS.name} b FULL JOIN {MODEL_REGISTRY.name} m "
        "ON b.breaker = m.model_name AND CAST(b.attempt AS VARCHAR) = m.model_version_id "
        "WHERE b.breaker IS NULL OR m.model_name IS NULL"
    ).rows()


def faults(store: LogStore, home: Path, writers: int) -> list[str]:
    """What was lost, doubled, torn, or came to be in no order, in words."""
    found = []
    with store.looking() as tx:
        for log in (BREAKERS, SLO_RESULTS, MODEL_REGISTRY):
            key = ", ".join(log.key)
            twice = tx.query(f"SELECT {key}, version FROM {log.name} GROUP BY ALL HAVING count(*) > 1")
            found += [f"{log.name} has twice: {row}" for row in twice.rows()]
            holes = tx.query(f"SELECT {key} FROM {log.name} GROUP BY ALL HAVING max(version) <> count(*)")
            found += [f"{log.name} lacks a version of {row}" for row in holes.rows()]
        found += [f"torn: {row}" for row in torn_rows(tx)]
        there = set(tx.query(f"SELECT breaker, attempt FROM {BREAKERS.name}").rows())
        batches = tx.query("SELECT written_from, written_to FROM append_batches ORDER BY written_from").rows()
    lost = {(f"w{who}", n) for who in range(writers) for n in acknowledged(home, who)} - there
    found += [f"lost: {row}" for row in sorted(lost)]
    found += [f"overlapping: {a} and {b}" for a, b in pairwise(batches) if b[0] <= a[1]]
    return found
