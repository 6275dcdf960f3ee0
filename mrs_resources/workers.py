"""Processes that compute beside this one, on this machine or on others: Dask's, connected to when first needed."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from mrs_assets.contracts.errors import SettingsMistake, StageFailed, WorkersUnreachable
from mrs_assets.contracts.execution import Execution

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

T = TypeVar("T")

ANSWERS_WITHIN = 15.0
"""Seconds that a scheduler may take to answer, and its workers to come."""

_LOOKS = 2
"""How often in a row there may be no worker before work that waits is given up: a replacement takes a moment."""


class Workers:
    """The workers of one setting.

    A worker that dies is replaced, and what it computed is computed again: whatever they are given has to be safe to
    repeat.
    """

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._client: Client | None = None
        self._cluster: LocalCluster | None = None
        self._one_at_a_time = Lock()

    def count(self) -> int:
        """How many can compute at the same time.

        Raises:
            WorkersUnreachable: the scheduler does not answer, or has none.
        """
        if self._execution.scheduler is None:
            return self._execution.workers or os.cpu_count() or 1
        return sum(self.connected().nthreads().values())

    def run(self, function: Callable[..., T], calls: Sequence[tuple[object, ...]]) -> list[T]:
        """Call a function once per entry, as many at the same time as there are workers.

        Args:
            function: importable by name where the workers are; safe to repeat.
            calls: what it is called with; they and its results are copied.

        Returns:
            The results, in the order of the calls.

        Raises:
            WorkersUnreachable: the workers were lost, and none came in their place.
            StageFailed: every worker that one of the calls was given to died.
            Exception: what the first of the calls that failed raised; the others were made too.
        """
        client = self.connected()
        from distributed import KilledWorker  # noqa: PLC0415

        futures = [client.submit(function, *call, pure=False) for call in calls]
        try:
            for future in futures:
                self._wait(client, future)
            return [future.result() for future in futures]
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            raise StageFailed(f"{deaths} workers died of the same work, one after the other.", remedy=_DIED) from error
        except CancelledError as error:  # the scheduler went away, and with it what it knew
            self.close()
            raise WorkersUnreachable(f"The workers were lost: {error}", remedy=_LOOK) from error
        finally:
            for future in futures:  # nobody waits for them where this was interrupted
                future.release()

    def connected(self) -> Client:
        """The connection to them; made, and where they are this machine's they are started, when there is none.

        Raises:
            SettingsMistake: Dask is not installed.
            WorkersUnreachable: the scheduler does not answer, or no worker comes.
        """
        with self._one_at_a_time:
            if self._client is not None and not self._stands(self._client):
                self.close()
            if self._client is None:
                self._client = self._opened()
            return self._client

    def close(self) -> None:
        """Let go of them; those of this machine are ended."""
        for opened in (self._client, self._cluster):
            if opened is not None:
                opened.close()
        self._client = self._cluster = None

    def _stands(self, client: Client) -> bool:
        """Whether all are there to be given work: Dask does not replace every worker that dies."""
        if client.status != "running":
            return False
        try:
            client.wait_for_workers(self.count() if self._cluster else 1, timeout=ANSWERS_WITHIN)
        except TimeoutError:
            return False
        return True

    def _wait(self, client: Client, future: Future) -> None:
        """Wait until a call has ended, as long as there are workers."""
        nobody = 0
        while nobody < _LOOKS:
            try:
                future.exception(timeout=ANSWERS_WITHIN)
            except TimeoutError:
                nobody = 0 if client.nthreads() else nobody + 1
            else:
                return
        self.close()
        raise WorkersUnreachable("No worker is left.", remedy=_LOOK)

    def _opened(self) -> Client:
        try:
            import dask  # noqa: PLC0415
            from distributed import Client, LocalCluster  # noqa: PLC0415
        except ModuleNotFoundError:
            raise SettingsMistake(
                'executor = "dask" needs packages that are not installed.',
                remedy="Install the extra: pip install 'minority-report-system[workers]'.",
            ) from None
        atexit.register(self.close)  # after Dask's own, so that it is called before them
        if self._execution.scheduler is None:
            dask.config.set(_OF_THIS_MACHINE)
            self._cluster = LocalCluster(
                n_workers=self.count(),
                threads_per_worker=1,
                memory_limit=None,
                dashboard_address="127.0.0.1:0",
                env={"POLARS_MAX_THREADS": str(max(1, (os.cpu_count() or 1) // self.count()))},
            )
            return Client(self._cluster, set_as_default=False)
        address = self._execution.scheduler
        try:
            client = Client(address, timeout=ANSWERS_WITHIN, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise WorkersUnreachable(f"No scheduler answers at {address}: {error}.", remedy=_LOOK) from error
        try:
            client.wait_for_workers(1, timeout=ANSWERS_WITHIN)
        except TimeoutError as error:
            client.close()
            raise WorkersUnreachable(f"The scheduler at {address} has no workers.", remedy=_LOOK) from error
        return client


_OF_THIS_MACHINE = {
    "distributed.worker.daemon": False,  # which may not start the process that stages which may fail compute in
    "distributed.worker.profile.enabled": False,  # a look at every stack each hundredth of a second
}
_LOOK = "Parts that were done are kept. Look at [execution] scheduler, and at the scheduler and its workers."
_DIED = "Rows that were written stand. Look for what ends them: memory, most of the time."


@cache
def workers_of(execution: Execution) -> Workers:
    """The workers of a setting, one and the same in all of this process."""
    return Workers(execution)
