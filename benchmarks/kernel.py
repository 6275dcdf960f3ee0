"""How long the append kernel takes for 100,000 offered rows, 1 % changed, against a log of 10 M rows.

python -m benchmarks.kernel [rows in the log]
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, LogStore, Transaction

WRITER = Provenance("benchmark", "1")
ADDED = replace(EVER, complete=False)


def rows_of(first: int, last: int, changed_every: int = 0) -> str:
    """Query for baseline rows: 1,000 series, one day each after another."""
    change = f"CASE WHEN n % {changed_every} = 0 THEN 1 ELSE 0 END" if changed_every else "0"
    given = {
        "retailer": "'acme'",
        "business_day": "DATE '2000-01-01' + CAST(n // 1000 AS INTEGER)",
        "store_id": "'s' || (n % 1000 // 50)",
        "sku": "'sku-' || (n % 50)",
        "ts": "TIMESTAMPTZ '2000-01-01 00:00:00+00' + to_days(CAST(n // 1000 AS INTEGER))",
        "expected_units": f"10.0 + n % 7 + {change}",
        "baseline_source": "'model'",
        "is_degraded": "false",
        "degraded_reasons": "CAST([] AS VARCHAR[])",
    }
    columns = ", ".join(f'{given.get(name, "NULL")} AS "{name}"' for name in BASELINE.body)
    return f"SELECT {columns}, NULL::BIGINT AS ordinal FROM range({first}, {last}) t(n)"


def offer(tx: Transaction, query: str) -> tuple[int, float]:
    """Offer rows of a query: how many were new, and in how many seconds."""
    began = time.perf_counter()
    tx.kernel.staging.offer(BASELINE, query)
    appended = tx.kernel.append(BASELINE, tx.run_id, ADDED, WRITER).appended
    return appended, time.perf_counter() - began


def main() -> None:
    """Print seconds per append, and their ratio to scanning the log's key columns."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as home:
        store = LogStore(Path(home))
        with store.transaction() as tx:
            first = offer(tx, rows_of(0, size))
        print(f"first load: {first[0]:,} rows in {first[1]:.1f} s, {first[0] / first[1]:,.0f} rows/s")
        with store.transaction() as tx:
            began = time.perf_counter()
            tx.query(f"SELECT count(*), max(hash({', '.join(BASELINE.key)})) FROM {BASELINE.name}")
            scan = time.perf_counter() - began
        for title, query in (
            ("newest 100,000 offered, 1 % changed", rows_of(size - 100_000, size, 100)),
            ("the same again", rows_of(size - 100_000, size, 100)),
        ):
            with store.transaction() as tx:
                appended, seconds = offer(tx, query)
            print(f"{title}: {appended:,} appended in {seconds:.2f} s, {seconds / scan:.1f} scans of the key columns")


if __name__ == "__main__":
    main()
