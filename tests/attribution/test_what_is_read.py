"""Whose sales attribution is given: of stores with a report, and of others where one is compared with them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.boundary.reading import InputReader
from mrs_assets.contracts.scope import Scope
from mrs_resources.kernel import Provenance
from tests.conftest import SteppingClock
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.stories.test_one_anomaly import SPIKE, spike
from tests.world import FIRST_DAY, REPORTS_FROM, World, daily_sales, settings_for, unsteady_price

DAYS = 124


def test_other_stores_are_read_where_a_price_is_compared_with_theirs(tmp_path: Path) -> None:
    declared = {"timezone": "Europe/London", "reports_from": REPORTS_FROM}
    clock = SteppingClock()
    with in_memory.warehouses_in_memory():
        in_memory.begin(tmp_path)
        world = World(tmp_path, settings_for(tmp_path, steady=declared, moving=declared), clock)
        world.send(daily_sales(DAYS, change=spike), retailer="steady")
        moving = pl.col("revenue") * unsteady_price("s2", SPIKE)
        world.send(daily_sales(DAYS, change=spike).with_columns(revenue=moving), retailer="moving")
        assert Home(world.settings, clock).tick().failed == []
        assert stores_read(world, "steady") == {"s2"}
        assert stores_read(world, "moving") == {"s1", "s2", "s3"}


def stores_read(world: World, retailer: str) -> set[str]:
    reader = InputReader(world.warehouse.models, world.settings, Provenance("test", "1"))
    scope = Scope(REPORTS_FROM, FIRST_DAY + timedelta(days=DAYS - 1), retailer)
    with world.warehouse.store.transaction() as tx:
        inputs = reader.read(tx, ATTRIBUTION_STAGE, scope)
    assert {*inputs["detected"]["store_id"]} == {"s2"}
    return {*inputs["series"]["store_id"]}
