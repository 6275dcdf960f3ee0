"""Run as a process of its own: a day on which one feed flaps 1,000 times, which may kill itself with SIGKILL.

Arguments: home, address of a webhook, moment and number. Moments: `inside` the nth transaction, with everything
written; `committed`, after the nth; `sent`, when the nth message was taken and nobody has noted it yet. Number 0: it
lives on. Started again, it goes on where the logs say that it was.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from mrs_assets.alerting.rules.missing_inputs import DEGRADED_ROWS, missing_inputs
from mrs_assets.contracts.alerting import Channel
from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.watch.delivering import DELIVERING, deliver
from mrs_assets.watch.raising import raise_alerts
from mrs_assets.watch.warehouse import breaker_states
from mrs_resources.breaker import breaker, feed_breaker, note_failure, note_success
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.notifier import Notifier, Outgoing
from mrs_resources.warehouse import Warehouse
from tests.alerting.faults import MORNING

FLAPS = 1000
STEP = timedelta(days=1) / (2 * FLAPS)
QUIET_LOOKS = 30
FEED = feed_breaker("promotions", "acme")


def storm_settings(home: Path) -> Settings:
    declared = {"home": home, "retailers": {"acme": {"timezone": "Europe/London"}}, "breakers": {"failures": 1}}
    return Settings.model_validate(declared | {"alerts": {"channels": {"ops": {"url_env": "MRS_STORM"}}}})


class Storm:
    """The day, look by look: the feed fails, and comes back, and fails again; at the end it stays."""

    def __init__(self, home: Path, url: str) -> None:
        self.settings = storm_settings(home)
        self.now = MORNING
        self.warehouse = Warehouse(home, self._clock)
        self.notifier = Notifier(5, {"MRS_STORM": url})

    def _clock(self) -> datetime:
        return self.now

    def run(self) -> None:
        place = self._place()
        self.now = MORNING + place * STEP
        deliver(self.warehouse, self.settings, self.notifier)
        for look in range(place, 2 * FLAPS + QUIET_LOOKS):
            quiet = max(look - 2 * FLAPS + 1, 0)
            self.now = MORNING + (look + 1) * STEP + quiet * timedelta(minutes=30)
            self._look(look)
            deliver(self.warehouse, self.settings, self.notifier)

    def _place(self) -> int:
        with self.warehouse.store.transaction() as tx:
            tx.ensure(BREAKERS)
            return int(tx.query(f"SELECT count(*) AS n FROM {BREAKERS.name}")["n"][0])

    def _look(self, look: int) -> None:
        with self.warehouse.store.transaction() as tx:
            if look < 2 * FLAPS and look % 2 == 0:
                note_failure(tx, FEED, ValueError("its newest file has no column `sku`"), DELIVERING)
            elif look < 2 * FLAPS:
                note_success(tx, breaker(tx, FEED, self.settings.breakers), DELIVERING)
            states = breaker_states(tx, self.settings, STAGES, CLOSING)
            found = missing_inputs(states, DEGRADED_ROWS.to_frame(), None)
            raise_alerts(tx, self.settings, lambda _: found, DELIVERING)


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


def main(home: Path, url: str, moment: str, fatal: int) -> None:
    counts = dict.fromkeys(("inside", "committed", "sent"), 0)

    def came(what: str) -> None:
        counts[what] += 1
        if what == moment and counts[what] == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    at_moments(came)
    Storm(home, url).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
