"""Measures what bearing failure costs: computing apart, and a dead feed that is left alone.

nice -n 10 python -m benchmarks.degradation
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.resilience import Isolation
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.planning.intake import admission_requests
from mrs_resources.breaker import feed_breaker, note_failure
from mrs_resources.isolation import WORKER
from mrs_resources.kernel import Provenance
from mrs_resources.liveness import down_from
from mrs_resources.warehouse import Warehouse

LIMITS = Isolation()
ROWS = 1_000_000
"""Rows handed to a stage and back; a day of a large retailer's reports is a hundredth of that."""


def seconds(work: Callable[[], object], times: int = 1) -> float:
    """The shortest of some runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def itself(frame: pl.DataFrame) -> pl.DataFrame:
    """What a stage that does nothing computes."""
    return frame


def isolation() -> None:
    """Computing apart against computing here."""
    frame = pl.select(n=pl.int_range(ROWS)).with_columns(x=pl.col("n") / 7, name=pl.format("report-{}", "n"))
    cold = seconds(lambda: WORKER.run(LIMITS, itself, frame.head(1)))
    small = seconds(lambda: WORKER.run(LIMITS, itself, frame.head(10_000)), 5)
    large = seconds(lambda: WORKER.run(LIMITS, itself, frame), 3)
    print(f"{'first stage of a run: the worker starts':<48} {cold:7.3f} s")
    print(f"{'each stage after it, 10,000 rows there and back':<48} {small:7.3f} s")
    print(f"{f'each stage after it, {ROWS:,} rows there and back':<48} {large:7.3f} s")


def dead_feed() -> None:
    """A tick's look at the inbox and at the feed, with and without a feed whose breaker is open."""
    with tempfile.TemporaryDirectory(prefix="mrs-bench-") as home:
        said = {"retailers": {"acme": {"timezone": "UTC"}}, "calendar": {"first_day": date(2024, 1, 1)}}
        settings = Settings.model_validate(said | {"home": home, "feeds": {"promotions": ContextFeed()}})
        warehouse = Warehouse(Path(home))

        def look() -> None:
            admission_requests(warehouse, settings)
            with warehouse.store.transaction() as tx:
                down_from(tx, PROMOTIONS, settings, "acme")

        look()
        without = seconds(look, 20)
        folder = warehouse.archive.inbox / "promotions" / "acme"
        folder.mkdir(parents=True)
        (folder / "p.json").write_text('{"promotion_id": "p", "start_day": "2024-01-01", "end_day": "2024-01-02"}\n')
        for _ in range(settings.breakers.failures):
            with warehouse.store.transaction() as tx:
                note_failure(tx, feed_breaker("promotions", "acme"), OSError("gone"), Provenance("benchmark", "1"))
        assert admission_requests(warehouse, settings) == []
        beside = seconds(look, 20)
        print(f"{'look of a tick, no feed failing':<48} {without * 1e3:7.1f} ms")
        print(f"{'look of a tick, one feed left alone':<48} {beside * 1e3:7.1f} ms")
        print(f"a dead feed costs {max(beside - without, 0) * 1e3:.1f} ms")


if __name__ == "__main__":
    isolation()
    dead_feed()
