"""The upkeep of a lake as assets, one per thing that is done; a file on one machine needs none."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.log_asset import OWNERS
from mrs_resources.lake_backend import LakeBackend
from mrs_resources.lake_upkeep import keep_up
from mrs_resources.warehouse import Warehouse

DONE = {
    "laid_out": "Logs with a row per series and tick, laid out by retailer and month.",
    "flushed": "Rows that lay in the catalogue, written to files.",
    "merged": "Small files that became large ones, and files freed of deleted rows.",
    "expired": "DuckLake's snapshots that were let go. The history of the logs is in their rows, and stays.",
    "removed": "Files that others took the place of, removed.",
    "orphans": "Files of writers that died before they committed, removed in a turn in which nobody writes.",
}
"""What is done, in this order → in words."""


def upkeep_asset(settings: Settings) -> dg.AssetsDefinition:
    """One round of upkeep; each step is an asset with its count."""
    names = [f"lake_{name}" for name in DONE]
    specs = [
        dg.AssetSpec(
            name,
            deps=names[place - 1 : place] if place else [],
            description=told,
            group_name="operations",
            owners=OWNERS,
            kinds={"ducklake", "postgres"},
        )
        for place, (name, told) in enumerate(zip(names, DONE.values(), strict=True))
    ]

    @dg.multi_asset(name="lake_upkeep", specs=specs, pool="refresh")
    def look_after(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        backend = warehouse.backend
        assert isinstance(backend, LakeBackend)
        done = keep_up(backend, settings.storage, warehouse.clock())
        for name in DONE:
            yield dg.MaterializeResult(asset_key=f"lake_{name}", metadata={"count": getattr(done, name)})

    return look_after
