"""Run as a process of its own: a day on which one feed flaps hundreds of times, which may kill itself with SIGKILL.

Arguments: home, address of a webhook, look and moment. Up to the look the warehouse is kept in memory, where a day
costs a minute; from there on it is the file, and the process dies at the first such moment. Moments: `inside` a
transaction, with everything written; `committed`, after one; `sent`, when a message was taken and nobody has noted it
yet. No moment: it lives on. Started again, it goes on where the logs say that it was. MRS_FLAPS says how many times.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from mrs_assets.alert_watch.delivering import DELIVERING, deliver
from mrs_assets.alert_watch.raising import raise_alerts
from mrs_assets.alerting.rules.missing_inputs import BREAKER_STATES, DEGRADED_ROWS, missing_inputs
from mrs_assets.contracts.alerting import Channel
from mrs_assets.contracts.logs.alerts import ALERTS
from mrs_assets.contracts.settings import Settings
from mrs_resources.file_backend import FileBackend
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.notifier import Notifier, Outgoing
from mrs_resources.warehouse import Warehouse
from tests.alerting.faults import MORNING
from tests.conftest import SteppingClock
from tests.histories import in_memory

FLAPS = int(os.environ.get("MRS_FLAPS", "300"))
STEP = timedelta(days=1) / (2 * FLAPS)
LOOKS = 2 * FLAPS + 30
LOOKS_PER_DELIVERY = 5
FEED = {
    "breaker": "feed:promotions:acme",
    "failures": 3,
    "detail": "its newest file has no column `sku`",
    "reason": "promotions_down",
    "retailer": "acme",
}


def storm_settings(home: Path) -> Settings:
    declared = {"home": home, "retailers": {"acme": {"timezone": "Europe/London"}}}
    return Settings.model_validate(declared | {"alerts": {"channels": {"ops": {"url_env": "MRS_STORM"}}}})


class Storm:
    """The day, look by look: the feed fails, and comes back, and fails again; at the end it stays."""

    def __init__(self, home: Path, url: str) -> None:
        self.settings = storm_settings(home)
        self.clock = SteppingClock(MORNING)
        self.warehouse = Warehouse(home, self.clock)
        self.notifier = Notifier(5, {"MRS_STORM": url})

    def run(self, until: int = LOOKS) -> None:
        """Look until so many looks were made."""
        place = self._place()
        self._deliver(max(place - 1, 0))
        for look in range(place, until):
            self._look(look)
            if look % LOOKS_PER_DELIVERY == 0:
                self._deliver(look)

    def _place(self) -> int:
        """How many looks were made: each of the day leaves a note; those after it are made again."""
        with self.warehouse.store.transaction() as tx:
            tx.ensure(ALERTS)
            return int(tx.query(f"SELECT least(count(*), $day) AS n FROM {ALERTS.name}", {"day": 2 * FLAPS})["n"][0])

    def _deliver(self, look: int) -> None:
        self.clock.now = _instant(look) + STEP / 2
        deliver(self.warehouse, self.settings, self.notifier)

    def _look(self, look: int) -> None:
        self.clock.now = _instant(look)
        is_open = look < 2 * FLAPS and look % 2 == 0
        states = pl.DataFrame([FEED | {"state": "open" if is_open else "closed"}], schema=BREAKER_STATES)
        found = missing_inputs(states, DEGRADED_ROWS.to_frame(), None)
        with self.warehouse.store.transaction() as tx:
            raise_alerts(tx, self.settings, lambda _: found, DELIVERING)


def _instant(look: int) -> datetime:
    return MORNING + (look + 1) * STEP + max(look - 2 * FLAPS + 1, 0) * timedelta(minutes=30)


def at_moments(came: Callable[[str], None]) -> None:
    """Call at every moment at which the process may die."""
    undisturbed, send = LogStore.transaction, Notifier.send

    @contextmanager
    def counted(self: LogStore) -> Iterator[Transaction]:
        with undisturbed(self) as tx:
            yield tx
            came("inside")
        came("committed")

    def sent(self: Notifier, channel: Channel, outgoing: Outgoing) -> str | None:
        problem = send(self, channel, outgoing)
        came("sent")
        return problem

    LogStore.transaction = counted  # type: ignore[method-assign]
    Notifier.send = sent  # type: ignore[method-assign]


def main(home: Path, url: str, fatal_look: int, fatal: str) -> None:
    def came(moment: str) -> None:
        if moment == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    file = FileBackend(home).file
    file.parent.mkdir(parents=True, exist_ok=True)
    with in_memory.warehouses_in_memory():
        in_memory.begin(home, file if file.exists() else None)
        Storm(home, url).run(fatal_look if fatal else LOOKS)
        file.unlink(missing_ok=True)
        in_memory.save(home, file)
    if fatal:
        at_moments(came)
        Storm(home, url).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
