"""A correction that is admitted while a replay runs is answered, by that replay or by the next one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.boundary.admitting import admit_pending
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.verification.comparison import differences
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import FIRST_RUN
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.histories.judging import STATE
from tests.histories.start import Start, sales_file
from tests.histories.story import SKUS, Row, story_day
from tests.histories.trial import start_for
from tests.histories.world import store_of

SPIKE = range(1, 4)
MORE_TICKS = 2


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with in_memory.warehouses_in_memory():
        yield start_for(tmp_path_factory.mktemp("start"), 1)


def sold(eggs: int) -> str:
    rows = [(sku, n, eggs if sku == "eggs" and n in SPIKE else 20) for sku in SKUS for n in range(6)]
    return sales_file(Row(store_of(0), sku, story_day(n), units) for sku, n, units in rows)


def admit_now(home: Home) -> None:
    home.warehouse.archive.collect(home.settings, home.clock)
    admit_pending(home.warehouse, home.settings, FEED_DECLARATIONS["sales"], ["acme"], Provenance("meanwhile", "1"))


def open_plans(home: Home) -> int:
    with home.warehouse.store.transaction() as tx:
        return tx.live(REPLAY_PLANS).filter(pl.col("state") == "planned").height


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("first", "meanwhile", "assets_told"),
    [(80, 20, 2), (20, 80, 4), (80, 20, 8), (20, 80, 2), (80, 20, 4), (20, 80, 8)],
)
def test_it_is_answered(first: int, meanwhile: int, assets_told: int, start: Start, tmp_path: Path) -> None:
    home = start.open("known", tmp_path / "home")
    home.send("sales", "acme", sold(first))
    told = 0
    under_way = []

    def came(moment: str) -> None:
        nonlocal told
        told += moment == "told"
        if moment == "told" and told == assets_told:
            under_way.append(open_plans(home))
            home.send("sales", "acme", sold(meanwhile))
            admit_now(home)

    assert not home.tick(came=came).failed
    assert under_way == [1], "it came while the replay ran"
    for _ in range(MORE_TICKS):
        assert not home.tick().failed
    assert home.tick().appended == {}
    assert open_plans(home) == 0
    clean = start.open("known", tmp_path / "clean")
    clean.send("sales", "acme", sold(meanwhile))
    clean.tick()
    with clean.warehouse.store.transaction() as tx:
        assert tx.live(DETECTED).is_empty() == (meanwhile == 20)
    found = differences(clean.warehouse.store, FIRST_RUN, home.warehouse.store, FIRST_RUN)
    assert [change for change in found if change.dataset in STATE and not change.is_none] == []
