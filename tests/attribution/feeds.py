"""Feeds for the tests of attribution, and the answers that one day gets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.settings import Retailer
from tests.clustering.world import (
    Logs,
    World,
    clustered_as,
    frame_of,
    keeps_contract,
    run,
    stored,
)

START = 40
QUIET = Retailer(timezone="America/New_York")


def promoted(
    world: World, start: int, end: int, *, store: str = "s1", sku: str = "PIZZA", **more: Any
) -> dict[str, Any]:
    first, last = world.day(start), world.day(end)
    return {
        "retailer": world.name,
        "business_day": first,
        "promotion_id": "P1",
        "store_id": store,
        "sku": sku,
        "start_day": first,
        "end_day": last,
        "mechanic": "display",
    } | more


def campaign(world: World, start: int, end: int, **more: Any) -> dict[str, Any]:
    first, last = world.day(start), world.day(end)
    return {
        "retailer": world.name,
        "business_day": first,
        "campaign_id": "13",
        "campaign_name": "TypeA",
        "start_day": first,
        "end_day": last,
    } | more


def signal(world: World, start: float, end: float, kind: str = "weather", **more: Any) -> dict[str, Any]:
    origin = world.starts()[0]
    first = origin + timedelta(days=start)
    return {
        "retailer": world.name,
        "business_day": first.astimezone(world.retailer.zone).date(),
        "event_id": "E1",
        "signal_type": kind,
        "title": "Heat wave",
        "starts_at": first,
        "ends_at": origin + timedelta(days=end),
        "direction": "up",
    } | more


def placed(world: World, regions: Mapping[str, str | None], **more: Any) -> pl.DataFrame:
    rows = [
        {"retailer": world.name, "business_day": date(2015, 1, 1), "store_id": store, "region": region} | more
        for store, region in regions.items()
    ]
    return stored(STORES, frame_of(STORES, rows))


def uplift(world: World, stores: tuple[str, ...] = ("s1",), ratio: float = 3.0, length: int = 5) -> Logs:
    for store in stores:
        world.anomaly(store, "PIZZA", START, [ratio] * length)
    logs = world.logs()
    return logs | {"clustered": clustered_as(logs, {}, "sustained-uplift")}


def answers(logs: Logs, world: World, last: int = START + 4, **missing: str) -> list[dict[str, Any]]:
    """Rows of the last day, by store."""
    frames = run(ATTRIBUTION_STAGE, logs, world.settings(), world.day(last), world.day(last), **missing)
    keeps_contract(ATTRIBUTION_STAGE, frames)
    return frames[ATTRIBUTED.name].sort("store_id", "sku").to_dicts()


def with_promotions(logs: Logs, *rows: dict[str, Any]) -> Logs:
    return logs | {"promotions": stored(PROMOTIONS, frame_of(PROMOTIONS, rows))}


def with_campaigns(logs: Logs, *rows: dict[str, Any]) -> Logs:
    return logs | {"campaigns": stored(CAMPAIGNS, frame_of(CAMPAIGNS, rows))}


def with_signals(logs: Logs, *rows: dict[str, Any]) -> Logs:
    return logs | {"contextual_events": stored(CONTEXTUAL_EVENTS, frame_of(CONTEXTUAL_EVENTS, rows))}
