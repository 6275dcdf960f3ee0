"""A small world: retailers, their stores and products, and what goes wrong; as files and as a running graph."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import numpy as np
import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.settings import Settings
from mrs_assets.definitions import build_definitions
from mrs_assets.tick import Ticker, TickResult
from mrs_resources.clock import Clock
from mrs_resources.warehouse import Warehouse
from tests.backends import storage_of
from tests.conftest import SteppingClock
from tests.histories.driver import DirectTicker

FIRST_DAY = date(2024, 1, 1)
REPORTS_FROM = FIRST_DAY + timedelta(days=112)
Change = Callable[[str, str, date, float], float | None]
"""(store, sku, day, usual units) → units sold; None: the row is not sent."""


def unchanged(_store: str, _sku: str, _day: date, units: float) -> float:
    return units


def daily_sales(
    days: int,
    *,
    stores: Iterable[str] = ("s1", "s2", "s3"),
    skus: Iterable[str] = ("milk", "bread", "eggs", "tea"),
    change: Change = unchanged,
    first_day: date = FIRST_DAY,
    seed: int = 7,
    price: float = 2.5,
) -> pl.DataFrame:
    """Poisson sales with a weekly rhythm: the same seed gives the same rows whatever changes."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for store in stores:
        for n, sku in enumerate(skus):
            rhythm = [18, 16, 17, 19, 25, 32, 22]
            drawn = rng.poisson([(rhythm[d % 7]) * (1 + n / 3) for d in range(days)])
            for d in range(days):
                day = first_day + timedelta(days=d)
                units = change(store, sku, day, float(drawn[d]))
                if units is not None:
                    row = {"store_id": store, "sku": sku, "ts": day, "units": int(units)}
                    rows.append(row | {"revenue": round(units * price, 2)})
    return pl.DataFrame(rows)


def unsteady_price(store: str, days: Collection[date]) -> pl.Expr:
    """Shares of the usual price: other ones every day, and low in one store on some days."""
    by_day = pl.when(pl.col("ts").dt.day() % 2 == 0).then(1.1).otherwise(0.9)
    return by_day * pl.when((pl.col("store_id") == store) & pl.col("ts").is_in(days)).then(0.6).otherwise(1.0)


@dataclass
class World:
    """One home directory with its graph, driven tick by tick.

    Attributes:
        home: the home directory.
        settings: what feeds.toml would say.
        clock: moved by the test.
    """

    home: Path
    settings: Settings
    clock: Clock = field(default_factory=SteppingClock)

    def __post_init__(self) -> None:
        self.warehouse = Warehouse(self.home, self.clock, self.settings.storage)

    @cached_property
    def definitions(self) -> dg.Definitions:
        return build_definitions(self.settings, self.warehouse)

    def send(self, rows: pl.DataFrame, name: str = "sales.csv", *, retailer: str = "acme", feed: str = "sales") -> None:
        """Drop a file into the inbox: CSV for sales, NDJSON for the other feeds."""
        folder = self.home / "inbox" / feed / retailer
        folder.mkdir(parents=True, exist_ok=True)
        if name.endswith(".csv"):
            rows.write_csv(folder / name)
        else:
            rows.write_ndjson(folder / name)

    def send_edit(self, entry: Mapping[str, Any], *, retailer: str = "acme") -> None:
        folder = self.home / "inbox" / "edits" / retailer
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{entry['annotation_id']}.ndjson").write_text(json.dumps(entry) + "\n")

    def tick(self) -> TickResult:
        """What `mrs tick` does, on an instance of its own."""
        with dg.DagsterInstance.ephemeral() as instance:
            result = Ticker(self.definitions, self.warehouse, self.settings, instance).tick(lambda _: None)
        assert result.failed == []
        return result

    def live(self, contract: Contract, run_id: str | None = None) -> pl.DataFrame:
        with self.warehouse.store.transaction() as tx:
            return tx.live(contract, run_id=run_id)

    def content(self, contract: Contract) -> pl.DataFrame:
        """Live rows without what says who wrote them and when."""
        return self.live(contract).select(list(dict.fromkeys(["retailer", "business_day", *contract.hashed])))

    def query(self, sql: str) -> pl.DataFrame:
        with self.warehouse.store.transaction() as tx:
            return tx.query(sql)

    def rows_ever(self) -> int:
        """Rows appended to any log since the beginning."""
        return int(
            self.query("SELECT coalesce(sum(appended + retracted + rejected), 0) AS n FROM append_batches")["n"][0]
        )


class DirectWorld(World):
    """The same without Dagster, at half the cost: no checks, no certificates, no faults in reading edits.

    Isolated computations run in the worker, and what is written is published, as ever.
    """

    def tick(self) -> TickResult:
        result = DirectTicker(self.warehouse, self.settings, lambda _: None).tick(lambda _: None)
        assert result.failed == []
        return result


def settings_for(home: Path, **retailers: Mapping[str, Any]) -> Settings:
    """Settings with one British daily retailer, `acme`, unless others are named."""
    declared = retailers or {"acme": {"timezone": "Europe/London", "country": "GB", "reports_from": REPORTS_FROM}}
    where = {"home": home, "storage": storage_of(home)}
    return Settings.model_validate({**where, "retailers": declared, "calendar": {"first_day": date(2023, 1, 1)}})


def local_day(instant: datetime, timezone: str = "Europe/London") -> date:
    return instant.astimezone(ZoneInfo(timezone)).date()
