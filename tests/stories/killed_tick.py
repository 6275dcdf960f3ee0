"""Run as a process of its own: a tick that kills itself with SIGKILL at a moment that is counted, never timed.

Arguments: home, moment and number. Moments: `before` or `after` the nth commit; `publication`, before it
begins for the nth time; `line`, before the nth line that it executes of our own code; `effect`, the same for the
resources, where every effect is. Number 0: it lives on. Then prints how often the moment came; of lines, both kinds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import mrs_assets
import mrs_resources
import sensors
from mrs_resources.clock import utc_now
from mrs_resources.log_store import LogStore, Transaction
from mrs_resources.publisher import Published, Publisher
from mrs_resources.snapshot_draft import Companion
from tests.world import World, settings_for

ROOMS = {"effect": (mrs_resources,), "line": (mrs_resources, mrs_assets, sensors)}


class Countdown:
    """Ends the process at the nth call."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def at_lines(came: Mapping[str, Callable[[], None]]) -> None:
    """Call before every line that this thread executes of the packages of each of some moments."""
    folders = {moment: tuple(str(Path(p.__file__).parent) + os.sep for p in ROOMS[moment]) for moment in came}

    def entered(frame: FrameType, _event: str, _argument: object) -> Any:
        calls = [came[moment] for moment, rooms in folders.items() if frame.f_code.co_filename.startswith(rooms)]

        def line(_frame: FrameType, event: str, _argument: object) -> Any:
            if event == "line":
                for call in calls:
                    call()
            return line

        return line if calls else None

    sys.settrace(entered)


def at_commits(moment: str, came: Callable[[], None]) -> None:
    """Call before or after every commit."""
    undisturbed = LogStore.transaction

    @contextmanager
    def counted(self: LogStore) -> Iterator[Transaction]:
        with undisturbed(self) as tx:
            yield tx
            if moment == "before":
                came()
        if moment == "after":
            came()

    LogStore.transaction = counted  # type: ignore[method-assign]


def at_publications(came: Callable[[], None]) -> None:
    """Call before every publication."""
    undisturbed = Publisher.publish

    def counted(self: Publisher, *companions: Companion) -> Published | None:
        came()
        return undisturbed(self, *companions)

    Publisher.publish = counted  # type: ignore[method-assign]


def main(home: Path, moment: str, fatal: int) -> None:
    world = World(home, settings_for(home), clock=utc_now)
    moments = ROOMS if moment in ROOMS and not fatal else (moment,)
    countdowns = {each: Countdown(fatal) for each in moments}
    if moment in ROOMS:
        at_lines(countdowns)
    elif moment == "publication":
        at_publications(countdowns[moment])
    else:
        at_commits(moment, countdowns[moment])
    world.tick()
    sys.settrace(None)
    sys.stdout.write(json.dumps({each: countdown.count for each, countdown in countdowns.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
