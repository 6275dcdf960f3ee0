"""The picture on the hydrated assets is there, whatever is known about the report that it shows."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import VIEWS
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.state_assets import hydrated_assets
from mrs_assets.state_picture import most_severe_picture
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.warehouse import Warehouse
from tests.conftest import SteppingClock
from tests.hydration.rows import FIRST_DAY, instant, put, replace_all, row
from tests.world import settings_for

DAYS = 30
SOLD = {"units": 4, "coverage": "received", "quality_flags": []}
EXPECTED = {"expected_units": 2.0, "expected_lower": 1.0, "expected_upper": 3.0, "baseline_source": "model"}
HOSTILE = ("$x^{", r"\frac{1}{0}", "{}", "a\nb", "鶏卵 🥚", "'; DROP TABLE minority_reports; --", "x" * 200)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


@pytest.fixture
def tx(store: LogStore) -> Iterator[Transaction]:
    with store.transaction() as transaction:
        yield transaction


def daily(contract: Contract, values: dict[str, Any], n: int, **place: Any) -> list[dict[str, Any]]:
    """A row of one series for each day around report `n`."""
    days = [timedelta(days=d) for d in range(DAYS)]
    return [row(contract, n, business_day=FIRST_DAY + d, ts=instant(0) + d, **values, **place) for d in days]


def picture(tx: Transaction, settings: Settings) -> bytes | None:
    Hydrator(FOLDS).refresh(tx)
    return most_severe_picture(tx, settings)


def assert_drawn(png: bytes | None) -> None:
    assert png is not None
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == (640, 240)


def test_it_shows_the_most_severe_report_and_is_the_same_every_time(tx: Transaction, settings: Settings) -> None:
    put(tx, DETECTED, row(DETECTED, n=1, severity_score=9.0), row(DETECTED, n=2, severity_score=5.0))
    for n in (1, 2):
        put(tx, SALES_TIMESERIES, *daily(SALES_TIMESERIES, SOLD, n))
        put(tx, BASELINE, *daily(BASELINE, EXPECTED, n))
    first = picture(tx, settings)
    assert_drawn(first)
    assert picture(tx, settings) == first
    put(tx, DETECTED, row(DETECTED, n=2, severity_score=10.0))
    assert picture(tx, settings) != first


def test_it_is_drawn_without_an_expectation_and_says_less(tx: Transaction, settings: Settings) -> None:
    put(tx, DETECTED, row(DETECTED))
    put(tx, SALES_TIMESERIES, *daily(SALES_TIMESERIES, SOLD, 1))
    put(tx, BASELINE, *daily(BASELINE, EXPECTED, 1))
    whole = picture(tx, settings)
    replace_all(tx, BASELINE)
    poorer = picture(tx, settings)
    assert_drawn(poorer)
    assert poorer != whole


def test_it_is_drawn_where_the_expectation_is_unknown(tx: Transaction, settings: Settings) -> None:
    put(tx, DETECTED, row(DETECTED))
    put(tx, SALES_TIMESERIES, *daily(SALES_TIMESERIES, SOLD, 1))
    put(tx, BASELINE, *daily(BASELINE, {"baseline_source": "insufficient_history"}, 1))
    assert_drawn(picture(tx, settings))


def test_it_is_drawn_where_nothing_is_left_of_the_series(tx: Transaction, settings: Settings) -> None:
    put(tx, DETECTED, row(DETECTED))
    assert_drawn(picture(tx, settings))


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("sku", HOSTILE)
def test_no_name_spoils_it(sku: str, tx: Transaction, settings: Settings) -> None:
    put(tx, DETECTED, row(DETECTED, sku=sku))
    put(tx, SALES_TIMESERIES, *daily(SALES_TIMESERIES, SOLD, 1, sku=sku))
    put(tx, BASELINE, *daily(BASELINE, EXPECTED, 1, sku=sku))
    assert_drawn(picture(tx, settings))


def test_there_is_none_without_a_report_or_for_a_retailer_that_left(tx: Transaction, settings: Settings) -> None:
    assert picture(tx, settings) is None
    put(tx, DETECTED, row(DETECTED, retailer="gone"))
    assert picture(tx, settings) is None


@pytest.mark.parametrize("with_report", [True, False])
def test_the_hydrated_assets_carry_it(with_report: bool, settings: Settings, clock: SteppingClock) -> None:
    warehouse = Warehouse(settings.home, clock)
    with warehouse.store.transaction() as tx:
        put(tx, SALES_TIMESERIES, *daily(SALES_TIMESERIES, SOLD, 1))
        put(tx, DETECTED, *[row(DETECTED)] * with_report)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([hydrated_assets(settings)], instance=instance, resources={"warehouse": warehouse})
    shown = {e.asset_key.to_user_string(): e.metadata for e in result.asset_materializations_for_node("hydrated")}
    assert set(shown) == {view.name for view in VIEWS}
    for metadata in shown.values():
        assert ("most_severe_report" in metadata) == with_report
        if with_report:
            assert str(metadata["most_severe_report"].value).startswith("![picture](data:image/png;base64,")
