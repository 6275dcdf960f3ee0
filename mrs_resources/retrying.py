"""Which errors are worth another try, and how that try is made."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

import duckdb
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_before_delay, wait_exponential_jitter

from mrs_assets.contracts.resilience import Retries
from mrs_resources.isolation import StageKilled

T = TypeVar("T")

_PASSING = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EINTR,
    errno.EIO,
    errno.ENETUNREACH,
    errno.ENOSPC,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""System errors that pass by themselves: a busy or stale device, a full disk, a lost network."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work could succeed if it were done again at once.

    A process that somebody killed, a device that was busy, a connection that broke: yes. A value that does not fit, a
    contract that is broken, a computation that took all the time or memory it may have: no, it would do so again.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _PASSING or isinstance(error, ConnectionError)
    return isinstance(error, (StageKilled, ConnectionError, duckdb.IOException, duckdb.TransactionException))


def with_retries(work: Callable[[], T], policy: Retries, *, sleep: Callable[[float], None] = time.sleep) -> T:
    """Do work, again after a growing pause where the error is transient and the budget allows.

    Args:
        work: raises where it fails; it must be safe to repeat.
        policy: attempts, pauses and budget.
        sleep: how to pause.

    Raises:
        Exception: the last error of the work.
    """
    attempts = Retrying(
        retry=retry_if_exception(is_transient),
        stop=stop_after_attempt(policy.attempts) | stop_before_delay(policy.budget_seconds),
        wait=wait_exponential_jitter(
            initial=policy.first_pause_seconds, max=policy.longest_pause_seconds, jitter=policy.first_pause_seconds
        ),
        sleep=sleep,
        reraise=True,
    )
    return attempts(work)
