"""Whether memory stays bounded: many series over years through the detection stages, as the boundary runs them.

Made-up series are appended to a warehouse a few stores at a time; then the stages of detection compute the whole span
with trained models: in groups of stores, each read from the warehouse and appended to it. Peak memory is of this
process; of two sizes, it should not grow with the number of series. Run one size per process:

    nice -n 10 python -m benchmarks.scale --series 2000 --days 730
    nice -n 10 python -m benchmarks.scale --series 10000 --days 730
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mrs_assets.boundary.learning import train
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.detection.axis import Axis, build_axis
from mrs_assets.graph import STAGES, TRAINABLES
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER
from mrs_resources.warehouse import Warehouse

FIRST = date(2022, 1, 3)
WARM_UP_DAYS = 112
"""Days of sales before the first report."""

SKUS, STORES_AT_ONCE = 100, 10
RHYTHM = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9])
ANOMALIES_A_SERIES_A_YEAR = 0.3
BY = Provenance("benchmark", "0")
DETECTION = [stage for stage in STAGES if {log.name for log in (BASELINE, CLASSIFIER, DETECTED)} & {stage.name}]


def made_up(axis: Axis, stores: Sequence[int]) -> pl.DataFrame:
    """Rows of `sales_timeseries_data` of some stores: Poisson around a weekly rhythm, with spikes and dips."""
    days, count = len(axis), len(stores) * SKUS
    rng = np.random.default_rng(stores[0])
    mean = np.exp(rng.uniform(0.0, 3.5, count))[None, :] * RHYTHM[np.arange(days) % 7][:, None]
    for series in range(count):
        for _ in range(rng.poisson(ANOMALIES_A_SERIES_A_YEAR * days / 365)):
            begin = int(rng.integers(WARM_UP_DAYS, days))
            mean[begin : begin + int(rng.integers(2, 11)), series] *= rng.choice([0.2, 2.0, 3.0])
    number = np.tile(np.arange(count), days)
    return SALES_TIMESERIES.conform(
        pl.DataFrame(
            {
                "ts": pl.Series(np.repeat(axis.ts, count)).cast(pl.Datetime("us", "UTC")),
                "business_day": pl.Series(np.repeat(axis.day, count)).cast(pl.Int32).cast(pl.Date),
                "store_id": pl.Series(np.asarray(stores)[number // SKUS]).cast(pl.String).str.zfill(5),
                "sku": pl.Series(number % SKUS).cast(pl.String).str.zfill(3),
                "units": pl.Series(rng.poisson(mean).ravel()).cast(pl.Float64),
            }
        ).with_columns(
            retailer=pl.lit("acme"),
            revenue=pl.col("units") * 2.5,
            coverage=pl.lit("received"),
            quality_flags=pl.lit([], dtype=pl.List(pl.String)),
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line: seconds, peak memory, series-days per second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2_000)
    parser.add_argument("--days", type=int, default=730)
    chosen = parser.parse_args(arguments)
    stores = max(1, chosen.series // SKUS)
    begin, last = FIRST + timedelta(days=WARM_UP_DAYS), FIRST + timedelta(days=WARM_UP_DAYS + chosen.days - 1)
    retailer = Retailer(timezone="UTC", country="US", reports_from=begin)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder), retailers={"acme": retailer})
        warehouse = Warehouse(settings.home)
        told: dict[str, object] = {"series": stores * SKUS, "days": chosen.days}
        told["filled_s"] = _fill(warehouse, build_axis(retailer, FIRST, last), stores)
        told["models"] = _learn(warehouse, settings, begin - timedelta(days=1))
        told["peak_before_gb"] = _peak()
        runner = StageRunner(warehouse.store, warehouse.models, settings)
        spent = 0.0
        for stage in DETECTION:
            done = runner.run(stage, Scope(begin, last, "acme"), BY)
            spent += done.seconds
            rows = sum(result.appended for result in done.appended[stage.name])
            seconds = round(done.seconds, 1)
            told[stage.name] = {"s": seconds, "groups": len(done.parts), "rows": rows, "peak_gb": _peak()}
        told["series_days_per_s"] = round(stores * SKUS * chosen.days / spent)
        told["warehouse_gb"] = round(sum(p.stat().st_size for p in settings.home.rglob("*") if p.is_file()) / 1e9, 2)
    print(json.dumps(told, indent=1))


def _fill(warehouse: Warehouse, axis: Axis, stores: int) -> float:
    began = time.perf_counter()
    for first in range(0, stores, STORES_AT_ONCE):
        rows = made_up(axis, range(first, min(first + STORES_AT_ONCE, stores)))
        with warehouse.store.transaction() as tx:
            tx.append(SALES_TIMESERIES, rows, replace(EVER, complete=False), BY)
    return round(time.perf_counter() - began, 1)


def _learn(warehouse: Warehouse, settings: Settings, last_day: date) -> list[str]:
    """Train and approve what there is enough to learn from; returns the names."""
    learnt = []
    for model in TRAINABLES:
        try:
            train(warehouse, settings, model, BY, last_day=last_day, approved_by="benchmark")
        except UserMistake:
            continue
        learnt.append(model.name)
    return learnt


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)


if __name__ == "__main__":
    main()
