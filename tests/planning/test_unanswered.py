"""A row without an answer says that the others of its day may have a neighbour's: its correction mends them all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.scope import Scope
from mrs_resources.kernel import Provenance
from tests.histories import in_memory
from tests.world import FIRST_DAY, REPORTS_FROM, DirectWorld, daily_sales, settings_for

DAYS = 121
MOVED = [FIRST_DAY + timedelta(days=n) for n in range(117, DAYS)]
TODAY = MOVED[-1]
FACTORS = {("s1", "p01"): 3.0, ("s2", "p02"): 0.2, ("s3", "p03"): 3.0}
"""How many times the usual is sold. Neighbours move in opposite directions, so that their shapes differ, and each
another product, so that the correction of one is nothing to the others."""

SKUS = [f"p{n:02d}" for n in range(16)]


def sales(factors: dict[tuple[str, str], float]) -> pl.DataFrame:
    def moved(store: str, sku: str, day: date, units: float) -> float:
        return units * factors.get((store, sku), 1.0) if day in MOVED else units

    return daily_sales(DAYS, skus=SKUS, change=moved)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DirectWorld]:
    """Today's clusters came back from a service that lost a row and moved the others up."""
    with in_memory.warehouses_in_memory():
        in_memory.begin(tmp_path)
        world = DirectWorld(tmp_path, settings_for(tmp_path))
        world.send(sales(FACTORS).filter(pl.col("ts") < TODAY))
        world.tick()
        healthy = world.settings
        world.settings = healthy.model_copy(update={"faults": (Fault(point=CLUSTERED.name, action="corrupt"),)})
        world.send(sales(FACTORS).filter(pl.col("ts") == TODAY), "today.csv")
        world.tick()
        world.settings = healthy
        yield world


def todays(world: DirectWorld) -> pl.DataFrame:
    series = pl.DataFrame([*FACTORS], schema=["store_id", "sku"], orient="row")
    return world.live(CLUSTERED).filter(business_day=TODAY).join(series, on=["store_id", "sku"], how="semi")


def with_the_shape_of_others(world: DirectWorld) -> list[tuple[str, str]]:
    """Series that moved and have the shape of the other direction today."""
    rows = todays(world).filter(~pl.col("is_degraded"))
    shapes = rows.select("store_id", "sku", up=pl.col("feature_vector").list.first() > 0).rows()
    return [(store, sku) for store, sku, up in shapes if up != (FACTORS[store, sku] > 1)]


def test_a_correction_of_the_row_without_an_answer_mends_its_neighbours(world: DirectWorld) -> None:
    assert with_the_shape_of_others(world)
    fallen = todays(world).filter(pl.col("degraded_reasons").list.contains(CLUSTERING_STAGE.down))
    (without,) = fallen.select("store_id", "sku").rows()
    world.send(sales({}).filter(pl.col("ts").is_in(MOVED), store_id=without[0], sku=without[1]), "corrected.csv")
    world.tick()
    assert {*todays(world).select("store_id", "sku").rows()} == {*FACTORS} - {without}
    assert not with_the_shape_of_others(world)
    runner = StageRunner(world.warehouse.store, world.warehouse.models, world.settings)
    again = runner.run(CLUSTERING_STAGE, Scope(REPORTS_FROM, TODAY, "acme"), Provenance("test", "1"))
    assert sum(count.changed for counts in again.appended.values() for count in counts) == 0
