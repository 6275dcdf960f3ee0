"""Whether an optional feed is there on a day: told by whether it ever spoke, and by how its newest files fared."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl

from mrs_assets.contracts.calendar import business_day_of
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds import CONTEXT_FEEDS
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.settings import Settings
from mrs_resources.breaker import breaker, feed_breaker
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

    That is every day where it never said anything; the days that its newest file came too long before; and the days
    since its files cannot be admitted, or are rejected. A feed that has nothing to say of a day is not down.

    Args:
        tx: the open transaction.
        contract: the log that the feed writes.
        settings: what is configured.
        retailer: for one retailer; None: the last day on which it is there for any.
    """
    if not is_configured(contract, settings, retailer):
        return date.max
    if retailer is None:
        own = [name for name in settings.retailers if is_configured(contract, settings, name)]
        return max(down_from(tx, contract, settings, name) for name in own)
    if not tx.ever_spoke(contract, replace(EVER, retailer=retailer)):
        return date.min
    return min(_late_from(tx, contract, settings, retailer), _failing_from(tx, contract, settings, retailer))


def _late_from(tx: Transaction, contract: Contract, settings: Settings, retailer: str) -> date:
    limit = settings.feeds[_feed(contract)].late_after_days
    if limit is None:
        return date.max
    good = _arrivals(tx, contract, retailer).filter(pl.col("decision") != "rejected")
    if good.is_empty():
        return date.min
    return business_day_of(good["received_at"][-1], settings.retailers[retailer]) + timedelta(days=limit + 1)


def _failing_from(tx: Transaction, contract: Contract, settings: Settings, retailer: str) -> date:
    """Day of the first file after the last good one that could not be used."""
    moments = []
    known = breaker(tx, feed_breaker(_feed(contract), retailer), settings.breakers)
    if known.since is not None:
        moments.append(known.since)
    arrivals = _arrivals(tx, contract, retailer)
    good = arrivals.filter(pl.col("decision") != "rejected")["received_at"]
    moments += [at for at in arrivals["received_at"] if good.is_empty() or at > good[-1]][:1]
    return min((business_day_of(at, settings.retailers[retailer]) for at in moments), default=date.max)


def _arrivals(tx: Transaction, contract: Contract, retailer: str) -> pl.DataFrame:
    """A feed's files of one retailer in order: received_at, decision."""
    tx.ensure(ARRIVALS)
    of_feed = "run_id = ? AND feed = ? AND retailer = ?"
    return tx.query(
        f"SELECT received_at, decision FROM {ARRIVALS.name} WHERE {of_feed} ORDER BY ALL",
        [tx.run_id, _feed(contract), retailer],
    )


def _feed(contract: Contract) -> str:
    return contract.name.removesuffix("_log")
