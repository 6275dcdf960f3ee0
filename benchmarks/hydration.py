"""Measures hydration: full, after a tick that touches few reports, and as of an instant.

Writes synthetic logs straight into a warehouse in a temporary directory, which it removes.

    nice -n 10 python -m benchmarks.hydration --reports 1000000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.batches import Batch
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction

TICKS: dict[Contract, int] = {DETECTED: 3, CLUSTERED: 2, ATTRIBUTED: 2, COHORTED: 2, FINALISED: 1}
"""Rows per report in each log: ten altogether."""

MEMBERS = 4
"""Reports per event."""

_INSTANT = "TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_days(CAST({} AS INTEGER))"
_COLUMNS = {
    "run_id": "'run-0001'",
    "retailer": "'acme'",
    "business_day": "DATE '2024-01-01' + CAST(tick AS INTEGER)",
    "report_id": "'MR-' || substr(md5(n::VARCHAR), 1, 20)",
    "report_group_id": f"'ME-' || substr(md5((n // {MEMBERS})::VARCHAR), 1, 20)",
    "store_id": "'store-' || (n % 400)",
    "sku": "'sku-' || (n % 5000)",
    "tick": _INSTANT.format("tick"),
    "version": "{version}",
    "row_hash": "md5((n * 31 + tick)::VARCHAR)",
    "is_retracted": "false",
    "is_degraded": "n % 50 = 0",
    "degraded_reasons": "CASE WHEN n % 50 = 0 THEN ['promotions_down'] ELSE CAST([] AS VARCHAR[]) END",
    "event_status": "'active'",
    "direction": "'up'",
    "impact_unit": "'money'",
    "cluster_name": "'spike'",
    "proposed_cause": "'Campaign ' || (n % 27)",
    "report_status": "'{stage}'",
    "final_decision": "CASE WHEN n % 10 = 0 THEN 'approved' END",
    "source_used_window_start": "'detected'",
    "source_used_window_end": "'detected'",
    "source_used_structure": "'clustered'",
    "source_used_group_id": "'cohort'",
    "source_used_final": "'attribution'",
    "batch_id": "'b'",
}
_BY_TYPE: dict[pl.DataType, str] = {
    pl.String(): "'text'",
    pl.Date(): "DATE '2024-01-01'",
    pl.Boolean(): "false",
    pl.Int32(): "1",
    pl.Int64(): "n % 100",
    pl.Float64(): "(n % 1000) / 7.0",
    pl.Decimal(18, 4): "(n % 1000) * 1.25",
    pl.List(pl.String): "['a', 'b']",
    pl.List(pl.Float64): "[0.5, n % 100, 1.5, tick]",
    pl.Datetime("us", "UTC"): _INSTANT.format("tick"),
}


def write(tx: Transaction, contract: Contract, subjects: str, ticks: str, written_at: str, *, version: int = 1) -> None:
    """Insert one row per subject (`n`) and tick, and the batch that wrote them."""
    values = {"written_at": f"TIMESTAMPTZ '{written_at}'"}
    for name, dtype in contract.schema.items():
        values.setdefault(name, _COLUMNS.get(name, _BY_TYPE[dtype]).format(version=version, stage=contract.stage))
    columns = ", ".join(f'{values[name]} AS "{name}"' for name in contract.schema)
    ((rows,),) = tx.connection.execute(
        f"INSERT INTO {contract.name} SELECT {columns} FROM (FROM {ticks}) t(tick), (FROM {subjects}) s(n)"
    ).fetchall()
    at = datetime.fromisoformat(written_at)
    tx.kernel.batches.keep(Batch("b", contract.name, tx.run_id, at, at, rows, 0, 0, None, "1"))


def timed(label: str, work: Callable[[], object]) -> float:
    """Run, print how long it took, and return the CPU seconds."""
    begin, begin_cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
    print(f"{label:<44} {seconds:7.2f} s  {cpu:7.2f} s CPU   {result if result is not None else ''}", flush=True)
    return cpu


def scan_keys(tx: Transaction) -> None:
    """Read the key columns of every row once."""
    for contract in (*TICKS, EVENTS):
        key = ", ".join(("run_id", *contract.key, "version"))
        tx.connection.execute(f"SELECT bit_xor(hash({key})) FROM {contract.name}").fetchall()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=1_000_000)
    parser.add_argument("--touched", type=int, default=1_000)
    asked = parser.parse_args()
    hydrator = Hydrator(FOLDS)
    with tempfile.TemporaryDirectory(prefix="mrs-bench-") as home:
        store = LogStore(Path(home))
        with store.transaction() as tx:
            tx.ensure(*{contract for fold in FOLDS for contract in fold.reads})
            for contract, ticks in TICKS.items():
                write(tx, contract, f"range({asked.reports})", f"range({ticks})", "2024-06-01 00:00:00+00")
            write(tx, EVENTS, f"range(0, {asked.reports}, {MEMBERS})", "range(1, 2)", "2024-06-01 00:00:00+00")
        print(f"{asked.reports * sum(TICKS.values()):,} log rows of {asked.reports:,} reports")
        with store.transaction() as tx:
            scan = timed("scan of the key columns", lambda: scan_keys(tx))
        with store.transaction() as tx:
            full = timed("full hydration", lambda: hydrator.refresh(tx).changed)
        with store.transaction() as tx:
            timed("refresh, nothing new", lambda: hydrator.refresh(tx).changed)
        with store.transaction() as tx:
            for contract in (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED):
                write(tx, contract, f"range({asked.touched})", "range(3, 4)", "2024-06-02 00:00:00+00")
            write(tx, FINALISED, f"range({asked.touched})", "range(3, 4)", "2024-06-02 00:00:00+00", version=2)
        with store.transaction() as tx:
            part = timed(f"refresh, {asked.touched:,} reports touched", lambda: hydrator.refresh(tx).changed)
        with store.transaction() as tx:
            reports = FOLDS[0]
            at = {"run_id": tx.run_id, "as_of": "2024-06-01 12:00:00+00"}
            sql = f"CREATE TEMP TABLE past AS {reports.as_of}"
            timed("minority_reports as of an instant", lambda: tx.connection.execute(sql, at) and None)
        print(f"full / scan = {full / scan:.1f}   full / refresh = {full / part:.1f}")


if __name__ == "__main__":
    main()
