"""Where the warehouse is: what the logs need of their storage, and who of those that can give it is asked.

`file_backend` and `lake_backend` are the only modules that know how storage is attached and locked.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, TypeVar

import duckdb

from mrs_assets.contracts.storage import ON_FILE, Storage
from mrs_resources.file_backend import FileBackend
from mrs_resources.lake_backend import LakeBackend

T = TypeVar("T")


class Backend(Protocol):
    """Storage of one home's logs."""

    def exists(self) -> bool:
        """Whether anything was ever written."""

    def writing(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A transaction in which nobody else writes; committed at the end, rolled back where it raises.

        The warehouse is the current catalog, attached as `mrs`. Waits for its turn.

        Raises:
            ContractBroken: this thread has its turn already.
        """

    def reading(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A transaction that sees one state and leaves nothing behind, whatever is done in it."""

    def copy(
        self, look: Callable[[duckdb.DuckDBPyConnection], T | None], target: Path, former: Path | None, /
    ) -> T | None:
        """Copy every table to a DuckDB file, as they are where `look` sees them.

        Args:
            look: looks at the warehouse in a transaction; None: it is not to be copied.
            target: file to make.
            former: what an earlier call made, and others may have added tables to since: may be begun with.

        Returns:
            What `look` found.
        """


def open_backend(home: Path, storage: Storage = ON_FILE) -> Backend:
    """The storage of a home's logs. Nothing is opened, and no secret read, before the first transaction."""
    return LakeBackend(home, storage) if storage.backend == "ducklake" else FileBackend(home)
