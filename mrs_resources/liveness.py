"""Whether an optional feed is there on a day: told by whether it ever spoke and by when its newest file came."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from mrs_assets.contracts.calendar import business_day_of
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.settings import CONTEXT_FEEDS, Settings
from mrs_resources.log_store import EVER, Transaction


def is_configured(contract: Contract, settings: Settings, retailer: str | None) -> bool:
    """Whether a log's rows come from an optional feed that somebody configured.

    Args:
        contract: the log.
        settings: what is configured.
        retailer: for one retailer, or for any of them where None.
    """
    feed = _feed(contract)
    retailers = [retailer] if retailer else list(settings.retailers)
    return feed in CONTEXT_FEEDS and any(settings.configured(feed, name) for name in retailers)


def down_from(tx: Transaction, contract: Contract, settings: Settings, retailer: str | None) -> date:
    """First business day on which a configured feed is down; `date.max` where it is there, or not configured.

    That is every day where it never said anything, else the days that its newest file came too long before. A feed
    that has nothing to say of a day is not down.
    """
    if not is_configured(contract, settings, retailer):
        return date.max
    if not tx.ever_spoke(contract, replace(EVER, retailer=retailer)):
        return date.min
    limit = settings.feeds[_feed(contract)].late_after_days
    if limit is None:
        return date.max
    tx.ensure(ARRIVALS)
    newest = tx.query(
        f"SELECT retailer, max(received_at) AS came FROM {ARRIVALS.name} WHERE run_id = ? AND feed = ? "
        "AND (? IS NULL OR retailer = ?) AND decision <> 'rejected' GROUP BY ALL ORDER BY came DESC, retailer",
        [tx.run_id, _feed(contract), retailer, retailer],
    ).filter(pl.col("retailer").is_in(list(settings.retailers)))
    if newest.is_empty():
        return date.min
    came = business_day_of(newest["came"][0], settings.retailers[newest["retailer"][0]])
    return came + timedelta(days=limit + 1)


def _feed(contract: Contract) -> str:
    return contract.name.removesuffix("_log")
