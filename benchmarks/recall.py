"""What recall costs: it is to grow with what is recalled, not with history.

The retailer of the correction benchmark, with histories of several lengths. A campaign comes late, beside a correction
whose replay is held for approval, so that the reports it overlaps are recalled: four weeks, first of every tenth store,
then of all. `look` asks all triggers what gives reason to doubt; `review` computes anew what
does, and writes it. Processor seconds without Dagster; compare ratios, and only those of one run.

    python -m benchmarks.recall --days 227 365 640
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import polars as pl

from benchmarks.correction import FIRST, Retailer, Spent, at_each_length
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.recall_watch import run
from tests.histories import driver

HELD = {"feeds": {"campaigns": {}}, "replays": {"hold_above_reports": 0}}
LOOKS = 2
"""A tick asks whether recall is due, and the run asks again."""

ALL_AT_ONCE = {"recall": {"most_per_run": 10_000, "low_confidence": 0.0}}


def campaign(name: str, first: int, days: int, stores: Sequence[int] = ()) -> str:
    """A campaigns file of one row; of no stores: of all."""
    begin = FIRST + timedelta(days=first)
    span = {"start_day": begin, "end_day": begin + timedelta(days=days - 1)}
    named = ";".join(f"{store:04d}" for store in stores) or None
    return pl.DataFrame({"campaign_id": name, **span, "stores": named}).write_csv()


def measure(stores: int, skus: int, days: int) -> None:
    """Print two lines for one length of history."""
    with tempfile.TemporaryDirectory(prefix="mrs-bench-") as folder:
        retailer = Retailer(Path(folder), stores, skus, days, **HELD, **ALL_AT_ONCE)
        retailer.home.send("campaigns", "acme", campaign("first", 0, 3))
        retailer.tick(retailer.sales)
        for store, whose in enumerate((range(0, stores, 10), ())):
            retailer.home.send("campaigns", "acme", campaign(f"late {store}", days - 40, 28, whose))
            tell(days, retailer, store)


def tell(days: int, retailer: Retailer, store: int) -> None:
    """Correct a store beside the late campaign, and print what the recall that follows takes."""
    before, spent = rows(retailer, REREVIEW_WORKLIST.key, REREVIEW_WORKLIST.name), Spent()
    timed = spent.timing("look", run.look)
    with patch.object(run, "look", timed), patch.object(driver, "recall", spent.timing("recall", driver.recall)):
        retailer.correct([store], days - 60)
    recalled = rows(retailer, REREVIEW_WORKLIST.key, REREVIEW_WORKLIST.name) - before
    look = spent.seconds["look"] / LOOKS
    print(
        f"{days:4} days, {rows(retailer, ('report_id',), MINORITY_REPORTS.name):6,} reports: {recalled:5,} recalled; "
        f"look {look:6.2f} s; review {spent.seconds['recall'] - look:6.2f} s",
        flush=True,
    )


def rows(retailer: Retailer, key: Sequence[str], name: str) -> int:
    """How many keys there are."""
    (row,) = retailer.home.rows(f"SELECT count(DISTINCT ({', '.join(key)})) AS n FROM {name}")
    return int(str(row["n"]))


if __name__ == "__main__":
    at_each_length(measure, __doc__, stores=60, skus=20)
