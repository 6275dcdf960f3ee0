"""The lock that lets one process at a time open the warehouse file.

DuckDB refuses a second process while one writes. The lock is a `flock` on a file beside the warehouse: waiters are
woken in the order in which they came, and the operating system frees it when its holder dies.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mrs_assets.contracts.errors import ContractBroken

_held = threading.local()


@contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Hold the lock; wait for it as long as it takes.

    Raises:
        ContractBroken: this thread holds the lock already, which would wait for ever.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with not_twice(str(path)), path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


@contextmanager
def not_twice(lock: str) -> Iterator[None]:
    """Refuse a lock to the thread that has it.

    Raises:
        ContractBroken: this thread has it.
    """
    held: frozenset[str] = getattr(_held, "locks", frozenset())
    if lock in held:
        raise ContractBroken(f"{lock} is already locked by this thread: transactions do not nest.")
    _held.locks = held | {lock}
    try:
        yield
    finally:
        _held.locks = _held.locks - {lock}
