"""What a correction costs against the full rebuild: 3 days of 1 of 100 stores, of 10 and of all, early and late.

A synthetic retailer with a weekly rhythm and an anomaly in a few per cent of the series per quarter. Everything runs in
this process, without Dagster, so that processor time is all there is; ratios are of processor time within one run.

A tick is all that `mrs tick` does and the certificate. Compare ratios, and only those of one run. Three to four seconds
of a correction are the tick itself, whatever is corrected: their share falls as the retailer grows.

    nice -n 10 python -m benchmarks.correction --skus 20 --days 227 365 640
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest.mock import patch

import numpy as np
import polars as pl

from mrs_assets.boundary.certifying import certify
from mrs_assets.boundary.outcome import StageRun
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.graph import STAGES
from mrs_assets.planning import progress
from mrs_assets.planning.ledger import replay_of
from mrs_resources.hydrator import Hydrator
from mrs_resources.publisher import Publisher
from tests.conftest import SteppingClock
from tests.histories import driver
from tests.histories.driver import Home

T = TypeVar("T")
FIRST = date(2023, 1, 2)
WARM_UP_DAYS = 90
"""Days of sales before the first report."""

RHYTHM = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9])
ANOMALIES_A_SERIES_A_YEAR = 0.15
CORRECTED_DAYS = 3


def sales(stores: int, skus: int, days: int) -> pl.DataFrame:
    """Units per series and day: Poisson around a weekly rhythm, with spikes and dips of three to ten days."""
    rng = np.random.default_rng(7)
    level = np.exp(rng.uniform(1.5, 4.0, stores * skus))
    expected = level[:, None] * RHYTHM[np.arange(days) % 7][None, :]
    for series in range(stores * skus):
        for _ in range(rng.poisson(ANOMALIES_A_SERIES_A_YEAR * days / 365)):
            first = int(rng.integers(WARM_UP_DAYS, days))
            expected[series, first : first + int(rng.integers(3, 11))] *= rng.choice([0.3, 1.8, 2.5])
    units = rng.poisson(expected)
    series = np.arange(stores * skus).repeat(days)
    return pl.DataFrame(
        {
            "store_id": pl.Series(series // skus).cast(pl.String).str.zfill(4),
            "sku": pl.Series(series % skus).cast(pl.String).str.zfill(3),
            "ts": [FIRST + timedelta(days=n) for n in range(days)] * (stores * skus),
            "units": units.ravel(),
            "revenue": units.ravel() * 2.5,
        }
    )


class Spent:
    """Processor seconds and rows of one tick, by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.rows: Counter[str] = Counter()
        self.parts = 0

    def timing(self, name: str, function: Callable[..., T]) -> Callable[..., T]:
        """The same function; what it takes is counted."""

        def timed(*args: Any, **kwargs: Any) -> T:
            began = time.process_time()
            done = function(*args, **kwargs)
            self.seconds[name] += time.process_time() - began
            return done

        return timed


@contextmanager
def counted() -> Iterator[Spent]:
    """Count what is done here."""
    spent = Spent()
    undisturbed = StageRunner.run

    def run(runner: StageRunner, stage: Stage, *args: Any) -> StageRun:
        done = spent.timing(stage.name, undisturbed)(runner, stage, *args)
        counts = [count for counts in done.appended.values() for count in counts]
        spent.rows.update(computed=sum(c.offered for c in counts), changed=sum(c.changed for c in counts))
        spent.parts += len(done.parts)
        return done

    timed = (("planning", progress, "remaining"), ("finalisation", driver, "finalise_scope"))
    timed += (("hydration", Hydrator, "refresh"), ("publication", Publisher, "publish"))
    with ExitStack() as patches:
        patches.enter_context(patch.object(StageRunner, "run", run))
        for name, owner, function in timed:
            patches.enter_context(patch.object(owner, function, spent.timing(name, getattr(owner, function))))
        yield spent


class Retailer:
    """A home whose only retailer sells in some stores.

    Attributes:
        home: where it is.
        sales: what was last said of every series and day.
    """

    def __init__(self, folder: Path, stores: int, skus: int, days: int, **said: object) -> None:
        begin = {"timezone": "UTC", "reports_from": FIRST + timedelta(days=WARM_UP_DAYS)}
        settings = {"home": folder, "retailers": {"acme": begin}, "calendar": {"first_day": FIRST}}
        self.home = Home(Settings.model_validate(settings | said), SteppingClock(datetime(2026, 1, 1, tzinfo=UTC)))
        self.sales = sales(stores, skus, days)

    def tick(self, rows: pl.DataFrame) -> Spent:
        """Send rows and answer them; the certificate that Dagster's last asset would issue comes after it."""
        began = time.process_time()
        self.home.send("sales", "acme", rows.write_csv())
        with counted() as spent:
            done = self.home.tick()
        assert not done.failed, done.failed
        for plan in done.plans:
            with self.home.warehouse.store.transaction() as tx:
                replay = replay_of(tx, plan.plan_id, self.home.settings)
            if replay is not None:
                spent.timing("certificate", certify)(self.home.warehouse, self.home.settings, STAGES, replay)
        spent.seconds["all"] = time.process_time() - began
        return spent

    def correct(self, stores: Sequence[int], first: int) -> Spent:
        """Restate some days of some stores: a third more was sold of everything."""
        days = pl.col("ts").is_between(
            FIRST + timedelta(days=first), FIRST + timedelta(days=first + CORRECTED_DAYS - 1)
        )
        concerned = days & pl.col("store_id").is_in([f"{store:04d}" for store in stores])
        more = (pl.col("units") * 4 / 3).ceil().cast(pl.Int64)
        self.sales = self.sales.with_columns(pl.when(concerned).then(more).otherwise("units").alias("units"))
        self.sales = self.sales.with_columns(revenue=pl.col("units") * 2.5)
        return self.tick(self.sales.filter(concerned))


def measure(stores: int, skus: int, days: int) -> None:
    """Print a table for one retailer."""
    begin, middle, end = WARM_UP_DAYS, (WARM_UP_DAYS + days) // 2, days - 7
    with tempfile.TemporaryDirectory(prefix="mrs-bench-") as folder:
        retailer = Retailer(Path(folder), stores, skus, days)
        print(f"{stores} stores x {skus} products x {days} days")
        full = retailer.tick(retailer.sales)
        tell("full build", full, full)
        tell("the same again", retailer.tick(retailer.sales.reverse()), full)
        for what, whose, first in (
            ("1 store, near the end", [1], end),
            ("1 store, in the middle", [2], middle),
            ("1 store, at the begin", [3], begin),
            ("10 stores, in the middle", range(10, 20), middle),
            ("all stores, in the middle", range(stores), middle),
        ):
            tell(what, retailer.correct(whose, first), full)


def tell(what: str, spent: Spent, full: Spent) -> None:
    """Print what one tick took, and its shares of the full build: of everything, and of the stages."""
    stages = sum(spent.seconds[stage.name] for stage in STAGES)
    share = stages / sum(full.seconds[stage.name] for stage in STAGES)
    print(
        f"{what:<26} {spent.seconds['all']:7.1f} s {spent.seconds['all'] / full.seconds['all']:6.1%}; "
        f"stages {stages:6.1f} s {share:6.1%}; {spent.rows['computed']:>9,} rows computed, "
        f"{spent.rows['changed']:>9,} changed, {spent.parts:3} parts",
        flush=True,
    )
    told = (f"{name.split('_log')[0]} {seconds:.1f}" for name, seconds in spent.seconds.items() if name != "all")
    print(f"  {', '.join(told)}", flush=True)


def at_each_length(run: Callable[[int, int, int], None], words: str | None, stores: int, skus: int) -> None:
    """Measure a retailer per length of history, of the size that the command line says."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--stores", type=int, default=stores)
    parser.add_argument("--skus", type=int, default=skus)
    parser.add_argument("--days", type=int, nargs="+", default=[227, 365, 640])
    asked = parser.parse_args()
    for days in asked.days:
        run(asked.stores, asked.skus, days)


if __name__ == "__main__":
    at_each_length(measure, __doc__, stores=100, skus=10)
