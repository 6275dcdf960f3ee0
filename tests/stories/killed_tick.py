"""Run by test_crash as a process of its own: a tick that kills itself with SIGKILL at the nth transaction.

Arguments: home, number of the transaction (0: never), and whether to die before or after its commit.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrs_resources.clock import utc_now
from mrs_resources.log_store import LogStore, Transaction
from tests.world import World, settings_for

home, fatal, moment = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
undisturbed = LogStore.transaction
opened = itertools.count(1)


@contextmanager
def deadly(self: LogStore) -> Iterator[Transaction]:
    count = next(opened)
    with undisturbed(self) as tx:
        yield tx
        if count == fatal and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
    if count == fatal and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)


LogStore.transaction = deadly  # type: ignore[method-assign]
World(home, settings_for(home), clock=utc_now).tick()
