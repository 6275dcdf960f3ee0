"""Measures publication: the first snapshot, the one after a tick of one day, and what saying how the system is adds.

Writes a synthetic series straight into a warehouse in a temporary directory, which it removes.

    nice -n 10 python -m benchmarks.publication --series 3000 --days 365
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.hydration import timed, write
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.slo import SLO
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore
from mrs_resources.publisher import Publisher


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mrs-bench-") as home:
        store, publisher = LogStore(Path(home)), Publisher(Path(home))
        with store.transaction() as tx:
            tx.ensure(SALES_TIMESERIES, DETECTED)
            write(tx, SALES_TIMESERIES, f"range({asked.series})", f"range({asked.days})", "2024-06-01 00:00:00+00")
            write(tx, DETECTED, "range(1000)", f"range({asked.days // 12})", "2024-06-01 00:00:00+00")
            Hydrator(FOLDS).refresh(tx)
        size = store.backend.file.stat().st_size / 1e6
        print(f"{asked.series * asked.days:,} series rows, warehouse of {size:.0f} MB")
        timed("first publication", lambda: publisher.publish() and None)
        with store.transaction() as tx:
            day = f"range({asked.days}, {asked.days + 1})"
            write(tx, SALES_TIMESERIES, f"range({asked.series})", day, "2024-06-02 00:00:00+00")
            Hydrator(FOLDS).refresh(tx)
        timed("publication after one more day", lambda: publisher.publish() and None)
        timed("publication of nothing new", lambda: publisher.publish() and None)
        health(Path(home), asked.series, asked.days)


def health(home: Path, series: int, days: int) -> None:
    """Publish days, some without and some with health, and print the ratio of the fastest."""
    settings = Settings.model_validate({"home": home, "retailers": {"acme": {"timezone": "UTC"}}})
    store, publisher = LogStore(home), Publisher(home)
    with store.transaction() as tx:
        tx.ensure(UNIFIED_SALES, SLO)
        write(tx, UNIFIED_SALES, f"range({series})", f"range({days})", "2024-06-02 00:00:00+00")
        # One fact in a hundred is corrected.
        again = f"range(0, {series}, 100)"
        write(tx, UNIFIED_SALES, again, f"range({days})", "2024-06-03 00:00:00+00", version=2)
        write(tx, SLO, "range(16)", f"range({days})", "2024-06-03 00:00:00+00")
        Hydrator(FOLDS).refresh(tx)
    publisher.publish()
    taken: dict[str, list[float]] = {"without": [], "with": []}
    # The first with health is not counted: it has no restated days to carry over.
    for n, kind in enumerate([*["without"] * 3, *["with"] * 4]):
        with store.transaction() as tx:
            day = f"range({days + n}, {days + n + 1})"
            write(tx, SALES_TIMESERIES, f"range({series})", day, f"2024-06-04 00:00:0{n}+00")
            write(tx, UNIFIED_SALES, f"range({series})", day, f"2024-06-04 00:00:0{n}+00")
            Hydrator(FOLDS).refresh(tx)
        companions = (HealthCompanion(settings),) if kind == "with" else ()
        work = partial(publisher.publish, *companions)
        taken[kind].append(timed(f"one more day, {kind} health", lambda work=work: work() and None))
    without, told = min(taken["without"]), min(taken["with"][1:])
    print(f"CPU of a publication with health over one without it: {told / without:.2f}")


if __name__ == "__main__":
    main()
