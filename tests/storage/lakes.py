"""What tests of lakes share: a home in a lake, rows of every log, and what lies where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.storage import Storage
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, LogStore
from mrs_resources.warehouse import Warehouse
from tests.conftest import SteppingClock
from tests.examples import example_rows

WRITER = Provenance("test", "1")
FEW = LOGS[:3]
FIRST, LAST = EVER.first_day, EVER.last_day


def lake(name: str) -> Storage:
    return Storage(backend="ducklake", catalogue=name)


def warehouse_in(home: Path, storage: Storage) -> Warehouse:
    return Warehouse(home, SteppingClock(), storage)


def write_logs(store: LogStore, rows: int = 7, variant: int = 0, logs: Sequence[Contract] = LOGS) -> None:
    """Rows of logs, corrected so many times; with those of every log, their views as well."""
    with store.transaction() as tx:
        for contract in logs:
            for changed in range(variant + 1):
                tx.append(contract, example_rows(contract, rows, variant=changed), Scope(FIRST, LAST), WRITER)
        if logs is LOGS:
            Hydrator(FOLDS).refresh(tx)


def content(store: LogStore) -> dict[str, pl.DataFrame]:
    """Every row of every table, in one order."""
    with store.looking() as tx:
        names = tx.query("SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()")
        tables = [name for name in sorted(names["table_name"]) if name != "turns"]
        return {name: tx.query(f"SELECT * FROM {name} ORDER BY ALL") for name in tables}
