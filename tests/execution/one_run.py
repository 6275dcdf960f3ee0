"""One run of one asset for one retailer on a Dagster instance, its pieces computed by workers: a process of its own.

python -m tests.execution.one_run HOME DAGSTER_HOME RETAILER ASSET
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg

from mrs_assets.boundary import pieces
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.definitions import build_definitions
from mrs_assets.in_process import GraphRunner
from mrs_assets.partitions import range_tags
from mrs_resources.warehouse import Warehouse
from tests.world import FIRST_DAY

DAYS = 7


def main(home: str, dagster_home: str, retailer: str, asset: str) -> None:
    """Run it; exit code 1 where it failed or where nothing was spread."""
    pieces.ROWS_WORTH_A_WORKER = 1
    settings = Settings.model_validate(
        {
            "home": Path(home),
            "environment": "staging",
            "retailers": {name: {"timezone": "Europe/London"} for name in ("north", "south")},
            "execution": {"executor": "dask", "workers": 2},
            "faults": (Fault(point=SALES_TIMESERIES.name, action="delay", seconds=3),),
        }
    )
    warehouse = Warehouse(settings.home)
    warehouse.archive.collect(settings, warehouse.clock)
    with dg.DagsterInstance.from_config(dagster_home) as instance:
        runner = GraphRunner(build_definitions(settings, warehouse), warehouse, settings, instance)
        ran = runner.run([asset], range_tags(Scope(FIRST_DAY, FIRST_DAY + timedelta(days=DAYS - 1), retailer)))
    sys.exit(0 if ran.success and ran.appended.get(asset) else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
