"""Alerts of a real graph: files come, or do not, and somebody is told once and told when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from mrs_assets.alert_watch.books import history
from mrs_assets.alerting.note import Note, open_alerts
from mrs_assets.contracts.alerting import Alerting
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.settings import Settings
from mrs_assets.tick import Ticker
from mrs_resources.log_store import SYSTEM_RUN
from tests.stories.test_a_retailer_resends import WEEKEND, resent, twice
from tests.world import FIRST_DAY, REPORTS_FROM, World, daily_sales, settings_for

DAYS = 124
DARK = [FIRST_DAY + timedelta(days=n) for n in range(DAYS - 20, DAYS)]


class Heard(World):
    """A world whose console is listened to."""

    def tick_and_hear(self) -> list[str]:
        words: list[str] = []
        with dg.DagsterInstance.ephemeral() as instance:
            result = Ticker(self.definitions, self.warehouse, self.settings, instance).tick(words.append)
        assert result.failed == []
        return [told.splitlines()[0] for told in words if told.startswith("[")]

    def later(self, **time: float) -> None:
        self.clock.now += timedelta(**time)  # type: ignore[attr-defined]

    def open(self) -> dict[str, Note]:
        with self.warehouse.store.transaction() as tx:
            return {note.fingerprint: note for note in open_alerts(history(tx))}


def heard_world(home: Path, settings: Settings, **alerts: Any) -> Heard:
    return Heard(home, settings.model_copy(update={"alerts": Alerting.model_validate(alerts)}))


def of_source(source: str, days: Iterable[date]) -> pl.DataFrame:
    sales = daily_sales(DAYS, stores=("s1", "s2")).filter(pl.col("ts").is_in(list(days)))
    return sales.with_columns(pl.lit(source).alias("source"))


def spiked(sales: pl.DataFrame) -> pl.DataFrame:
    """Two days on which one product sells four times as much, within the dark days."""
    up = pl.col("ts").is_in(DARK[5:7]) & (pl.col("sku") == "eggs")
    return sales.with_columns(pl.when(up).then(pl.col("units") * 4).otherwise(pl.col("units")).alias("units"))


@pytest.fixture(scope="module")
def dark(tmp_path_factory: pytest.TempPathFactory) -> tuple[Heard, list[str]]:
    """One of two sources falls silent for 20 days, on which reports are raised."""
    home = tmp_path_factory.mktemp("dark")
    declared = {"timezone": "Europe/London", "reports_from": REPORTS_FROM - timedelta(days=15)}
    settings = settings_for(home, acme=declared | {"sources": {"till": {}, "web": {}}})
    world = heard_world(home, settings, channels={"console": {"kinds": ["operational"]}})
    every_day = [FIRST_DAY + timedelta(days=n) for n in range(DAYS)]
    world.send(spiked(of_source("till", every_day)), "till.csv")
    world.send(of_source("web", every_day[:-20]), "web.csv")
    return world, world.tick_and_hear()


def test_one_silent_source_that_degrades_many_logs_and_partitions_is_one_alert(dark: tuple[Heard, list[str]]) -> None:
    world, heard = dark
    degraded = world.open()["missing:web_down:acme"]
    assert set(degraded.members) >= {"sales_timeseries_data", DETECTED.name, FINALISED.name}
    assert degraded.size > len(DARK)
    assert heard == [f"[warn, open] {degraded.title}"]
    others = [note for note in world.open().values() if note != degraded and note.kind == "operational"]
    assert all(note.parent_id == degraded.alert_id for note in others), others


def test_looking_again_tells_nothing_and_writes_nothing(dark: tuple[Heard, list[str]]) -> None:
    world, _ = dark
    before = world.rows_ever()
    assert world.tick_and_hear() == []
    assert world.rows_ever() == before
    assert world.warehouse.publisher.is_current()


def test_when_the_source_speaks_again_it_is_told_to_be_over_once_and_only_after_the_hold_down(
    dark: tuple[Heard, list[str]],
) -> None:
    world, _ = dark
    world.send(spiked(of_source("web", DARK)), "late.csv")
    assert world.tick_and_hear() == []
    assert world.open()["missing:web_down:acme"].cleared_at is not None
    world.later(hours=1)
    assert world.tick_and_hear() == ["[resolved] Rows of acme do without something they wanted: web_down"]
    world.later(hours=1)
    assert world.tick_and_hear() == []
    told = world.live(ALERTS, SYSTEM_RUN).filter(pl.col("tells") & (pl.col("kind") == "operational"))
    sent = world.live(DELIVERIES, SYSTEM_RUN)
    assert told.height == sent.height == 2


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Heard, list[str]]:
    """Tills count three days twice."""
    home = tmp_path_factory.mktemp("doubled")
    channels = {"console": {"kinds": ["business"], "minimum_severity": "warn"}}
    world = heard_world(home, settings_for(home), channels=channels, ui_url="http://mrs.example:3000/")
    world.send(daily_sales(WEEKEND_DAYS, change=twice))
    return world, world.tick_and_hear()


WEEKEND_DAYS = (WEEKEND[-1] - FIRST_DAY).days + 1


def test_a_large_event_is_told_with_where_to_look(doubled: tuple[Heard, list[str]]) -> None:
    world, heard = doubled
    events = {name: note for name, note in world.open().items() if note.kind == "business"}
    assert len(heard) == 1
    assert events
    for name, note in events.items():
        assert name.removeprefix("event:") in note.body
        assert "mrs explain MR-" in note.body
        assert note.link == "http://mrs.example:3000/assets/minority_events"
        assert note.retailers == ("acme",)


def test_the_same_rows_again_tell_nothing(doubled: tuple[Heard, list[str]]) -> None:
    world, _ = doubled
    world.send(daily_sales(WEEKEND_DAYS, change=twice), "again.csv")
    assert world.tick_and_hear() == []


def test_a_correction_that_ends_an_event_is_told_as_that_and_at_once(doubled: tuple[Heard, list[str]]) -> None:
    world, _ = doubled
    before = {name for name, note in world.open().items() if note.kind == "business"}
    world.send(resent(), "right.csv")
    (heard,) = world.tick_and_hear()
    assert "resolved" in heard
    resolved = world.live(ALERTS, SYSTEM_RUN).filter(pl.col("fingerprint").is_in(before), state="resolved")
    assert set(resolved["fingerprint"]) == before
    assert all("never real" in body for body in resolved["body"])
