"""Admits the files that wait: sales in this process, every other feed apart and behind a breaker.

What is wrong with one optional feed of one retailer stays there: the file waits, nothing else does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mrs_assets.boundary.faults import strike
from mrs_assets.contracts.feed import FeedContract
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.settings import Settings
from mrs_resources.admission import Admitted, admit, pending_arrivals
from mrs_resources.archive import Arrival
from mrs_resources.breaker import approach, feed_breaker, note_failure, note_success
from mrs_resources.isolation import WORKER
from mrs_resources.kernel import Provenance
from mrs_resources.retrying import with_retries
from mrs_resources.warehouse import Warehouse


@dataclass
class Admission:
    """What became of the files of one feed that waited.

    Attributes:
        admitted: files that were decided on, in order.
        failures: retailer → what went wrong with the file that it waits behind.
        left_alone: retailers whose files wait because earlier tries failed.
    """

    admitted: list[Admitted] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    left_alone: list[str] = field(default_factory=list)


def admit_pending(
    warehouse: Warehouse,
    settings: Settings,
    feed: FeedContract,
    retailers: Sequence[str],
    provenance: Provenance,
    sleep: Callable[[float], None] = time.sleep,
) -> Admission:
    """Admit every file of a feed that waits in the inbox or the archive, in order of arrival, each atomically.

    A dry run admits none: what a file is depends on those before it, of which none would have stayed.

    Raises:
        Exception: a file of a critical feed could not be decided on; files before it were.
    """
    if not warehouse.keeps:
        return Admission()
    warehouse.archive.collect(settings, warehouse.clock)
    with warehouse.store.looking() as tx:
        waiting = pending_arrivals(tx, warehouse.archive, feed.name, retailers)
    done = Admission()
    for retailer in sorted({arrival.retailer for arrival in waiting}):
        own = [arrival for arrival in waiting if arrival.retailer == retailer]
        if feed.critical:
            done.admitted += [_admit(warehouse, arrival, settings, provenance) for arrival in own]
        else:
            _admit_apart(warehouse, settings, own, provenance, done, sleep)
    return done


def _admit_apart(
    warehouse: Warehouse,
    settings: Settings,
    arrivals: Sequence[Arrival],
    provenance: Provenance,
    done: Admission,
    sleep: Callable[[float], None],
) -> None:
    """Admit the files of one retailer, none after one that failed: a later file corrects an earlier one."""
    retailer = arrivals[0].retailer
    with warehouse.store.transaction() as tx:
        known = approach(tx, feed_breaker(arrivals[0].feed, retailer), settings.breakers, provenance)
    if known.state == "open":
        done.left_alone.append(retailer)
        return
    for arrival in arrivals:
        given = (warehouse.home, warehouse.clock(), arrival, settings, provenance)
        try:
            done.admitted.append(
                with_retries(
                    lambda given=given: WORKER.run(settings.isolation, admit_here, *given),  # type: ignore[misc]
                    settings.retries,
                    sleep=sleep,
                )
            )
        except Exception as error:
            with warehouse.store.transaction() as tx:
                note_failure(tx, known.name, error, provenance)
            done.failures[retailer] = f"{arrival.file_name}: {type(error).__name__}: {error}"
            return
    with warehouse.store.transaction() as tx:
        note_success(tx, known, provenance)


def admit_here(home: Path, now: datetime, arrival: Arrival, settings: Settings, provenance: Provenance) -> Admitted:
    """Admit one file in the process that this is called in, at the instant of the caller's clock."""
    strike(settings, f"{arrival.feed}_feed")
    return _admit(Warehouse(home, lambda: now, settings.storage), arrival, settings, provenance)


def _admit(warehouse: Warehouse, arrival: Arrival, settings: Settings, provenance: Provenance) -> Admitted:
    with warehouse.store.transaction() as tx:
        return admit(tx, warehouse.archive, arrival, settings, FEED_DECLARATIONS[arrival.feed], provenance)
