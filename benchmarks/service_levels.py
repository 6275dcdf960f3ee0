"""What looking at the service levels adds to a one-day tick, over the tick without; and to a tick without work.

Days are ticked with and without in turn, in one process, in which stages compute that have one of their own otherwise.
Processor seconds are compared, which a busy machine blurs less than the clock. A tick with the look counts the
partitions of the one before as well, so that the share is an upper bound.

python -m benchmarks.service_levels [series] [pairs]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import TypeVar

import dagster as dg
import polars as pl

from benchmarks.tick import DAYS, FIRST, QUIET, sales_of
from mrs_assets.contracts.resilience import Isolation
from mrs_assets.contracts.settings import Settings
from mrs_assets.definitions import build_definitions
from mrs_assets.graph import SERVICE_LEVELS
from mrs_assets.in_process import GraphRunner, Ran
from mrs_assets.tick import Ticker
from mrs_resources.isolation import WORKER
from mrs_resources.warehouse import Warehouse

T = TypeVar("T")


class Without(GraphRunner):
    """Runs everything but the look at the service levels."""

    def run(self, assets: Sequence[str], tags: Mapping[str, str]) -> Ran:
        """As ever; nothing at all where the look was the reason to run."""
        rest = [asset for asset in assets if asset not in SERVICE_LEVELS]
        return super().run(rest, tags) if rest else Ran(True, (), (), {})


def main() -> None:
    """Tick a history, then days in pairs; print the medians and their ratio."""
    WORKER.run = _here  # type: ignore[method-assign]
    series = int(sys.argv[1]) if len(sys.argv) > 1 else 900
    pairs = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(overrides=QUIET) as instance:
        home = Path(folder)
        retailer = {"timezone": "UTC", "reports_from": FIRST + timedelta(days=DAYS - 5)}
        settings = Settings.model_validate({"home": home, "retailers": {"acme": retailer}})
        warehouse = Warehouse(home)
        definitions = build_definitions(settings, warehouse)
        ticker = Ticker(definitions, warehouse, settings, instance)
        runners = {"without": Without(definitions, warehouse, settings, instance), "with": ticker._runner}
        sales = sales_of(series)
        inbox = home / "inbox" / "sales" / "acme"
        inbox.mkdir(parents=True)
        days = [FIRST + timedelta(days=DAYS - n) for n in range(2 * pairs + 1, 0, -1)]
        sales.filter(pl.col("ts") < days[0]).write_csv(inbox / "history.csv")
        ticker.tick(lambda _: None)
        took: dict[str, list[float]] = {"with": [], "without": [], "idle with": [], "idle without": []}
        for n, day in enumerate(days):
            which = "with" if n % 2 == 0 else "without"
            ticker._runner = runners[which]
            sales.filter(pl.col("ts") == day).write_csv(inbox / f"{day}.csv")
            worked, idle = _seconds(ticker), _seconds(ticker)
            if n:  # the first one warms up
                took[which].append(worked)
                took[f"idle {which}"].append(idle)
    medians = {name: median(seconds) for name, seconds in took.items()}
    told = {f"{name.replace(' ', '_')}_cpu_s": round(seconds, 3) for name, seconds in medians.items()}
    more = medians["with"] / medians["without"] - 1
    print(json.dumps({"series": series, "pairs": pairs} | told | {"levels_over_tick": round(more, 3)}))


def _here(_limits: Isolation, function: Callable[..., T], *args: object) -> T:
    return function(*args)


def _seconds(ticker: Ticker) -> float:
    """Processor seconds of one tick."""
    began = time.process_time()
    ticker.tick(lambda _: None)
    return time.process_time() - began


if __name__ == "__main__":
    main()
