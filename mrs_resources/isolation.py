"""A process beside this one that computes what may hang, die or eat all memory, and that can be lost without harm."""

from __future__ import annotations

import atexit
import contextlib
import resource
from collections.abc import Callable
from concurrent.futures import TimeoutError as TooSlow
from multiprocessing import get_context
from typing import TypeVar

from pebble import ProcessExpired, ProcessPool

from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.resilience import Isolation as Limits

T = TypeVar("T")


class StageTimedOut(MrsError):
    """It computed longer than it may; its process was ended."""


class StageKilled(MrsError):
    """Its process died: killed from outside, or by what it did."""


class StageOutOfMemory(MrsError):
    """It asked for more memory than it may hold."""


class Isolation:
    """One worker process, started when first needed and again whenever it was lost.

    The worker is a fresh interpreter: no lock or connection of this process lives in it. It stays warm between
    computations, so that starting it is paid once.
    """

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None
        self._memory_mb = 0
        atexit.register(self.close)

    def run(self, limits: Limits, function: Callable[..., T], *args: object) -> T:
        """Compute in the worker.

        Args:
            limits: how long it may take and how much memory it may hold.
            function: importable by name.
            *args: what it is called with; they and its result are copied.

        Raises:
            StageTimedOut, StageKilled, StageOutOfMemory: the worker was lost.
            Exception: whatever the function raised.
        """
        future = self._worker(limits.memory_mb).schedule(function, args=list(args), timeout=limits.seconds)
        try:
            return future.result()
        except TooSlow as error:
            raise StageTimedOut(f"It computed for more than {limits.seconds:g} s and was ended.") from error
        except ProcessExpired as error:
            raise StageKilled(f"Its process ended with exit code {error.exitcode}.") from error
        except MemoryError as error:
            self.close()  # what is left of it may still hold most of what it may have
            raise StageOutOfMemory(f"It needs more than {limits.memory_mb} MiB.") from error

    def _worker(self, memory_mb: int) -> ProcessPool:
        if self._pool is not None and (not self._pool.active or memory_mb != self._memory_mb):
            self.close()
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1, context=get_context("spawn"), initializer=_limit_memory, initargs=[memory_mb]
            )
            self._memory_mb = memory_mb
        return self._pool

    def close(self) -> None:
        """End the worker."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None


WORKER = Isolation()
"""The worker of this process."""


def _limit_memory(memory_mb: int) -> None:
    # Systems without the limit still have the timeout and the separate process.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory_mb << 20, memory_mb << 20))
