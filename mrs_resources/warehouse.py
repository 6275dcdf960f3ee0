"""The resource through which assets, sensors and commands reach everything under one home directory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mrs_assets.contracts.storage import ON_FILE, Storage
from mrs_resources.archive import Archive
from mrs_resources.backend import Backend, open_backend
from mrs_resources.clock import Clock, utc_now
from mrs_resources.log_store import LogStore
from mrs_resources.model_store import ModelStore
from mrs_resources.publisher import Publisher


@dataclass(frozen=True)
class Warehouse:
    """Logs, archive, models and snapshots of one home directory.

    Attributes:
        home: the directory, `MRS_HOME`.
        clock: where the time comes from; tests bring their own.
        storage: where the logs lie.
        keeps: whether what is written lasts; otherwise every transaction is rolled back at its end.
    """

    home: Path
    clock: Clock = utc_now
    storage: Storage = ON_FILE
    keeps: bool = True

    @cached_property
    def backend(self) -> Backend:
        """Storage of the logs."""
        return open_backend(self.home, self.storage)

    @cached_property
    def store(self) -> LogStore:
        """The logs."""
        return LogStore(self.home, self.clock, keeps=self.keeps, backend=self.backend)

    @cached_property
    def archive(self) -> Archive:
        """Raw submissions, as received."""
        return Archive(self.home)

    @cached_property
    def models(self) -> ModelStore:
        """Trained artefacts."""
        return ModelStore(self.home)

    @cached_property
    def publisher(self) -> Publisher:
        """Snapshots for readers."""
        return Publisher(self.home, self.backend)
