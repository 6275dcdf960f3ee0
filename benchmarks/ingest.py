"""How fast the door and the series are, and how much memory they take.

    python benchmarks/ingest.py 1000000 10000000

Per size, in a new home under the temporary directory: first load of a clean CSV file, an identical resend, and a
correction of one store's day. Then the series stage over 3,000 series. Wall and processor seconds: on a machine that is
shared, the second are the ones to compare.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl

from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.stage import Inputs
from mrs_assets.series.stage import SERIES_STAGE
from mrs_resources.admission import admit, pending_arrivals
from mrs_resources.archive import Archive
from mrs_resources.clock import utc_now
from mrs_resources.feed_reading import survey
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import LogStore

STORES_COUNT, SKUS = 500, 200
FIRST_DAY = date(2024, 1, 1)


def main() -> None:
    """Measure every size given, then the series."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for rows in [int(size) for size in sys.argv[1:]] or [1_000_000]:
        home = Path(tempfile.mkdtemp(prefix="mrs-ingest-"))
        try:
            _door(home, rows)
        finally:
            shutil.rmtree(home)
    _series()


@contextmanager
def _measured(what: str, rows: int) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    seconds, busy = time.perf_counter() - wall, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{what:<34} {rows:>11,} rows {seconds:8.2f} s wall {busy:8.2f} s processor "
        f"{rows / seconds:>12,.0f} rows/s   peak {peak:.2f} GB",
        flush=True,
    )


def _door(home: Path, rows: int) -> None:
    settings = Settings(home=home, retailers={"acme": Retailer(timezone="Europe/London")})
    archive, store = Archive(home), LogStore(home)
    inbox = archive.inbox / "sales" / "acme"
    inbox.mkdir(parents=True)
    original = home / "original.csv"
    _write_sales(original, rows)

    def arrive(what: str, count: int) -> None:
        with _measured(f"  {what}: archive", count):
            archive.collect(settings, utc_now)
        with store.transaction() as tx:
            (arrival,) = pending_arrivals(tx, archive)
        if what == "first load":
            with _measured("  first load: survey", count):
                survey(archive, arrival, settings, FEED_DECLARATIONS["sales"])
        with _measured(what, count), store.transaction() as tx:
            done = admit(tx, archive, arrival, settings, FEED_DECLARATIONS["sales"], Provenance("benchmark", "1"))
        print(f"  {done.decision}: {done.accepted:,} accepted, {done.duplicate:,} duplicate, {len(done.days)} days")

    os.link(original, inbox / "first")
    arrive("first load", rows)
    os.link(original, inbox / "again")
    arrive("identical resend", rows)
    day_rows = SKUS
    lines = [f"store-0001,sku-{n:05d},{FIRST_DAY},{n},{n}.50" for n in range(day_rows)]
    (inbox / "correction").write_text("\n".join(["store_id,sku,ts,units,revenue", *lines]))
    arrive("correction of a store's day", day_rows)
    print(f"  warehouse {(home / 'warehouse' / 'mrs.duckdb').stat().st_size / 1e6:,.0f} MB")


def _write_sales(path: Path, rows: int) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT 'store-' || lpad(CAST(i % {STORES_COUNT} AS VARCHAR), 4, '0') AS store_id, "
            f"'sku-' || lpad(CAST((i // {STORES_COUNT}) % {SKUS} AS VARCHAR), 5, '0') AS sku, "
            f"DATE '{FIRST_DAY}' + CAST(i // {STORES_COUNT * SKUS} AS INTEGER) AS ts, "
            "(i * 7919) % 40 AS units, round(((i * 7919) % 40) * 1.25, 2) AS revenue "
            f"FROM range({rows}) t(i)) TO '{path}' (HEADER)"
        )


def _series() -> None:
    retailer = Retailer(timezone="Europe/London", country="GB")
    days = [FIRST_DAY + timedelta(days=n) for n in range(421)]
    unified = (
        pl.DataFrame({"store_id": [f"s{n:02d}" for n in range(30)]})
        .join(pl.DataFrame({"sku": [f"k{n:03d}" for n in range(100)]}), how="cross")
        .join(pl.DataFrame({"business_day": days}), how="cross")
        .with_columns(
            retailer=pl.lit("acme"),
            ts=pl.col("business_day")
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("Europe/London")
            .dt.convert_time_zone("UTC"),
            source=pl.lit("till"),
            units=pl.int_range(pl.len()) % 13,
            source_file=pl.lit(""),
            source_file_hash=pl.lit(""),
            received_at=pl.lit(utc_now()),
        )
        .filter(pl.int_range(pl.len()) % 11 != 0)
    )
    unified = UNIFIED_SALES.conform(unified)
    for what, first in (("series: 3,000 × 365 days", days[56]), ("series: 3,000 × 1 day", days[-1])):
        scope = Scope(first, days[-1], "acme")
        read = unified.filter(pl.col("business_day") >= first - timedelta(days=56))
        inputs = Inputs(
            scope=scope,
            settings=Settings(home=Path(), retailers={"acme": retailer}),
            frames={"unified": read, "stores": STORES.empty()},
        )
        with _measured(what, 3_000 * len(scope.days)):
            frame = SERIES_STAGE.compute(inputs)[SALES_TIMESERIES.name]
        assert frame.height == 3_000 * len(scope.days)


if __name__ == "__main__":
    main()
