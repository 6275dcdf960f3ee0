"""What a correction costs against the full rebuild: 3 days of 1 of 100 stores, of 10 and of all, early and late.

A synthetic retailer with a weekly rhythm and an anomaly in a few per cent of the series per quarter. Everything runs in
this process, without Dagster, so that processor time is all there is; ratios are of processor time within one run.

    nice -n 10 python -m benchmarks.correction --stores 100 --skus 10 --days 365
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mrs_assets.boundary.certifying import certify
from mrs_assets.boundary.stage_run import StageRun, StageRunner
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.replays import REPLAY_PARTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import PUBLISHED, STAGES
from mrs_resources.log_store import LogStore
from tests.conftest import SteppingClock
from tests.histories.driver import DirectRunner, Home

FIRST = date(2023, 1, 2)
WARM_UP_DAYS = 90
"""Days of sales before the first report."""

RHYTHM = np.array([0.8, 0.8, 0.9, 1.0, 1.2, 1.4, 0.9])
ANOMALIES_A_SERIES_A_YEAR = 0.15
CORRECTED_DAYS = 3
NAMES = {stage.name: stage.name.removesuffix("_log") for stage in STAGES}


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
    """Processor seconds of everything that is measured, by what they were spent on."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.runs: list[tuple[str, StageRun]] = []

    def timing(self, what: str | Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; what it takes is counted."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            done = function(*args, **kwargs)
            name = what if isinstance(what, str) else what(*args)
            self.seconds[name] += time.process_time() - began
            if isinstance(done, StageRun):
                self.runs.append((name, done))
            return done

        return timed
