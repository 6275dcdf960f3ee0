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
    if path in getattr(_held, "paths", ()):
        raise ContractBroken(f"{path} is already locked by this thread: transactions do not nest.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _held.paths = {*getattr(_held, "paths", ()), path}
        try:
            yield
        finally:
            _held.paths = _held.paths - {path}
            fcntl.flock(handle, fcntl.LOCK_UN)
