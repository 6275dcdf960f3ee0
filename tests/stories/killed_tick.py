"""Run as a process of its own: a tick that kills itself with SIGKILL at a moment that is counted, never timed.

Arguments: home, moment and number. Moments: `before` or `after` the nth commit; `publication`, before it
begins for the nth time; `line`, before the nth line that it executes of our own code; `effect`, the same for the
resources, where every effect is. Number 0: it lives on, and prints how often the moment came.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
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


def at_lines_of(packages: tuple[Any, ...], came: Callable[[], None]) -> None:
    """Call before every line of the packages that this thread executes."""
    folders = tuple(str(Path(package.__file__).parent) + os.sep for package in packages)

    def line(_frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            came()
        return line

    sys.settrace(lambda frame, _event, _argument: line if frame.f_code.co_filename.startswith(folders) else None)


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

    def counted(self: Publisher) -> Published | None:
        came()
        return undisturbed(self)

    Publisher.publish = counted  # type: ignore[method-assign]


def main(home: Path, moment: str, fatal: int) -> None:
    world, countdown = World(home, settings_for(home), clock=utc_now), Countdown(fatal)
    if moment in ROOMS:
        at_lines_of(ROOMS[moment], countdown)
    elif moment == "publication":
        at_publications(countdown)
    else:
        at_commits(moment, countdown)
    world.tick()
    sys.settrace(None)
    sys.stdout.write(str(countdown.count))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
