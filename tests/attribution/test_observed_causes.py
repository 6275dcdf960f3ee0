from __future__ import annotations

import pytest

from mrs_assets.attribution.kinds import DATED, OBSERVED
from mrs_assets.attribution.observed import DOUBLING_CLUSTER, FLAG_CAUSES
from mrs_assets.clustering.library import build_library
from mrs_assets.contracts.feeds.contextual_events import SIGNAL_TYPES
from mrs_assets.contracts.logs.attributed import CAUSE_CATEGORIES
from mrs_assets.contracts.logs.sales_timeseries import QUALITY_FLAGS
from tests.attribution.feeds import QUIET, START, answers, uplift
from tests.clustering.world import (
    World,
    clustered_as,
)


def test_one_product_at_zero_in_a_trading_store_is_a_stock_out() -> None:
    world = World(retailer=QUIET)
    row = answers(uplift(world, ratio=0.0), world)[0]
    assert row["proposed_cause"] == "Stock-out of PIZZA in store s1"
    assert row["proposed_cause_category"] == "Own Stockout / Operational"


def test_a_whole_store_at_zero_is_a_disruption_and_no_stock_out() -> None:
    world = World(retailer=QUIET)
    for sku in world.skus:
        world.anomaly("s1", sku, START, [0.0] * 3)
    logs = world.logs()
    rows = answers(logs, world, START + 2)
    assert {row["proposed_cause"] for row in rows} == {"Trading disrupted in store s1"}


def test_missing_ticks_of_the_neighbours_are_data_and_not_demand() -> None:
    world = World(retailer=QUIET)
    world.anomaly("s1", "PIZZA", START, [0.3] * 4)
    for sku in world.skus[1:]:
        for n in range(4):
            world.units["s1", sku, START + n] = None
    row = answers(world.logs(), world, START + 3)[0]
    assert row["proposed_cause"] == "Data error: sales of store s1 partly missing"


def test_a_price_cut_explains_an_uplift_but_not_a_drop() -> None:
    for ratio, cause in ((2.5, "Price of PIZZA down 25 %"), (0.5, "unknown")):
        world = World(retailer=QUIET)
        for n in range(5):
            world.prices["s1", "PIZZA", START + n] = 1.5
        assert answers(uplift(world, ratio=ratio), world)[0]["proposed_cause"] == cause


def test_flagged_data_is_a_data_error() -> None:
    world = World(retailer=QUIET)
    for n in range(5):
        world.flags["s1", "PIZZA", START + n] = ["duplicate_window"]
    row = answers(uplift(world, ratio=2.0), world)[0]
    assert row["proposed_cause"] == "Data error: days sent twice"
    assert row["proposed_cause_category"] == "Data Error"


@pytest.mark.parametrize(
    ("flag", "ratio", "explains"),
    [
        ("dark_source", 2.0, True),
        ("dark_source", 0.3, True),
        ("proxy_dropped", 2.0, True),
        ("proxy_dropped", 0.3, False),
        ("proxy_overcount", 0.3, True),
        ("proxy_overcount", 2.0, False),
    ],
)
def test_a_doubt_about_sources_explains_what_it_can_have_caused(flag: str, ratio: float, explains: bool) -> None:
    """Without a source the value may move either way; against a proxy, sales are too many or too few."""
    world = World(retailer=QUIET)
    for n in range(5):
        world.flags["s1", "PIZZA", START + n] = [flag]
    category = answers(uplift(world, ratio=ratio), world)[0]["proposed_cause_category"]
    assert (category == "Data Error") == explains


def test_a_store_whose_products_all_double_was_recorded_twice() -> None:
    world = World(retailer=QUIET)
    for sku in world.skus:
        world.anomaly("s1", sku, START, [2.0] * 3)
    world.anomaly("s2", "PIZZA", START, [2.0] * 3)
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "broad-uplift")
    rows = answers(logs, world, START + 2)
    causes = {row["store_id"]: row["proposed_cause"] for row in rows}
    assert causes == {"s1": "Data error: sales of store s1 recorded twice", "s2": "unknown"}


def test_the_clusters_and_flags_that_are_looked_for_exist() -> None:
    assert DOUBLING_CLUSTER in build_library().families
    assert set(FLAG_CAUSES) == set(QUALITY_FLAGS)
    assert set(SIGNAL_TYPES) <= set(DATED)
    assert {kind.category for kind in (*DATED.values(), *OBSERVED.values())} == set(CAUSE_CATEGORIES)


def test_a_basket_of_cheap_products_is_not_a_price_cut() -> None:
    """Where a sku is a group of products, its mean price varies from day to day, each store by itself."""
    world = World(retailer=QUIET)
    for n in range(world.days):
        for store in world.stores:
            world.prices[store, "PIZZA", n] = 2.0 * (1.3 if (n + int(store[1])) % 2 else 0.7)
    for n in range(5):
        world.prices["s1", "PIZZA", START + n] = 1.3
    logs = uplift(world)
    assert answers(logs, world)[0]["proposed_cause"] == "unknown"


def test_a_price_cut_in_every_store_is_believed_although_the_price_varies() -> None:
    world = World(retailer=QUIET)
    for n in range(world.days):
        for store in world.stores:
            usual = 2.0 * (1.1 if (n + int(store[1])) % 2 else 0.9)
            world.prices[store, "PIZZA", n] = 1.2 if n >= START else usual
    row = answers(uplift(world, world.stores), world)[0]
    assert row["proposed_cause"].startswith("Price of PIZZA down 4")
    assert row["proposed_cause_category"] == "Price"
