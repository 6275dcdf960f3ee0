"""A report that one store gets is felt by the clusters of another where these show it, and by no others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.replays import REPLAY_PARTS
from tests.histories import in_memory
from tests.world import FIRST_DAY, DirectWorld, daily_sales, settings_for

DAYS = 124
SPIKE = [FIRST_DAY + timedelta(days=n) for n in range(117, 121)]
SKUS = [f"p{n:02d}" for n in range(16)]
"""With three stores so many series that two reports more are not a tenth of them."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DirectWorld]:
    with in_memory.warehouses_in_memory():
        in_memory.begin(tmp_path)
        world = DirectWorld(tmp_path, settings_for(tmp_path))
        world.send(sales({("s2", "p01")}))
        world.tick()
        yield world


def sales(moving: set[tuple[str, str]]) -> pl.DataFrame:
    def moved(store: str, sku: str, day: date, units: float) -> float:
        return units * 3 if (store, sku) in moving and day in SPIKE else units

    return daily_sales(DAYS, skus=SKUS, change=moved)


@pytest.mark.parametrize(
    ("also", "clustered"),
    [(("s1", "p02"), {"s1"}), (("s1", "p01"), {"s1", "s2"})],
    ids=["another product", "the same product"],
)
def test_clusters_feel_what_they_show(world: DirectWorld, also: tuple[str, str], clustered: set[str]) -> None:
    before = world.live(REPLAY_PARTS)["written_at"].max()
    moved = sales({("s2", "p01"), also}).filter((pl.col("store_id") == also[0]) & pl.col("ts").is_in(SPIKE))
    world.clock.now += timedelta(hours=3)
    world.send(moved, "corrected.csv")
    world.tick()
    reports = world.live(DETECTED).filter(pl.col("business_day").is_in(SPIKE))
    assert {("s2", "p01"), also} <= {*reports.select("store_id", "sku").rows()}
    parts = world.live(REPLAY_PARTS).filter(pl.col("written_at") > before, asset=CLUSTERED.name)
    assert {*parts["stores"].explode()} == clustered
