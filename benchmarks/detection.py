"""How fast the detection stages are, on one process: `python -m benchmarks.detection [--series N]`.

Poisson series with one burst in ten; prints processor seconds, which other programs do not change, and series-days
(hourly: series-ticks) per second, with no model and with both.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.stage import Inputs, Model, Stage
from mrs_assets.detection.axis import build_axis
from mrs_assets.detection.baseline_stage import BASELINE_STAGE, MODEL
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.classifier_stage import MODEL as CLASSIFIER_MODEL
from mrs_assets.detection.classifier_training import train_classifier
from mrs_assets.detection.expectation import LOOKBACK
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.detection.training import train_baseline
from mrs_assets.detection.window_features import LOOKBACK as NEAR_DAYS

FIRST = date(2023, 1, 1)
RUNS = (("1d", 1.0, 1), ("1d", 1.0, 250), ("1h", 0.02, 1), ("1h", 0.02, 30))
"""Grain, share of the series asked for, days computed."""


def made_up(retailer: Retailer, series: int, days: int) -> pl.DataFrame:
    """Rows of `sales_timeseries_data` for some days."""
    axis = build_axis(retailer, FIRST, FIRST + timedelta(days=days - 1))
    rng = np.random.default_rng(0)
    mean = np.full((len(axis), series), 6.0)
    mean[-10 * retailer.ticks_per_day :, ::10] *= 3
    return SALES_TIMESERIES.conform(
        pl.DataFrame(
            {
                "ts": pl.Series(np.repeat(axis.ts, series)).cast(pl.Datetime("us", "UTC")),
                "business_day": pl.Series(np.repeat(axis.day, series)).cast(pl.Int32).cast(pl.Date),
                "units": pl.Series(rng.poisson(mean).ravel()).cast(pl.Float64),
                "number": np.tile(np.arange(series), len(axis)),
            }
        ).select(
            "ts",
            "business_day",
            "units",
            retailer=pl.lit("acme"),
            store_id=pl.format("store {}", pl.col("number") // 100),
            sku=pl.format("sku {}", pl.col("number") % 100),
            revenue=pl.col("units") * 2,
            coverage=pl.lit("received"),
            quality_flags=pl.lit([], dtype=pl.List(pl.String)),
        )
    )


def trained(rows: pl.DataFrame, settings: Settings) -> dict[str, Model]:
    """Both models, learnt from the rows."""
    baseline = train_baseline(rows, PROMOTIONS.empty(), settings)[0]
    few = rows.filter(pl.col("store_id").is_in(["store 0", "store 1", "store 2"]))
    classifier = train_classifier(few, PROMOTIONS.empty(), settings, baseline)[0]
    return {MODEL: Model("v", baseline), CLASSIFIER_MODEL: Model("v", classifier)}


def timed(stage: Stage, inputs: Inputs) -> tuple[float, dict[str, pl.DataFrame]]:
    """Processor seconds that a stage takes, and its rows as they would be stored."""
    began = time.process_time()
    frames = stage.compute(inputs)
    seconds = time.process_time() - began
    return seconds, {contract.name: contract.conform(frames[contract.name]) for contract in stage.writes}


def measure(grain: str, series: int, days: int, *, with_model: bool) -> str:
    """One line: seconds of each stage and ticks per second of all."""
    retailer = Retailer(timezone="America/New_York", grain=grain, country="US")
    settings = Settings(home=Path(), retailers={"acme": retailer})
    rows = made_up(retailer, series, LOOKBACK + days)
    first = FIRST + timedelta(days=LOOKBACK)
    scope = Scope(first, first + timedelta(days=days - 1), "acme")
    promotions = PROMOTIONS.empty()
    models = trained(rows, settings) if with_model else {}
    frames = {
        "series": rows,
        "promotions": promotions,
        "past": DETECTED.empty(),
        "previous": DETECTED.empty(),
        "closed": ENDED.empty(),
    }
    seconds, written = timed(
        BASELINE_STAGE, Inputs(scope, settings, frames, models, unconfigured=frozenset({"promotions"}))
    )
    took = [seconds]
    frames["baseline"] = written[BASELINE_STAGE.name]
    for stage, name in ((CLASSIFIER_STAGE, "classifier"), (DETECTION_STAGE, "detected")):
        near = frames | {"series": rows.filter(pl.col("business_day") >= scope.widened(before=NEAR_DAYS).first_day)}
        seconds, written = timed(stage, Inputs(scope, settings, near, models))
        frames[name] = written[stage.name]
        took.append(seconds)
    ticks = frames["baseline"].height
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return (
        f"{grain} {series:>6} series × {days:>3} days {'models  ' if with_model else 'seasonal'} "
        f"baseline {took[0]:6.2f} s  windows {took[1]:6.2f} s  reports {took[2]:6.2f} s  "
        f"{ticks / sum(took):>9,.0f} ticks/s  peak {peak:.1f} GB"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=3000)
    chosen = parser.parse_args(arguments)
    for grain, share, days in RUNS:
        for with_model in (False, True):
            print(measure(grain, max(1, int(chosen.series * share)), days, with_model=with_model), flush=True)


if __name__ == "__main__":
    main()
