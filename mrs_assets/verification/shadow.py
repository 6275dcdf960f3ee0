"""A shadow: a home of its own beside the real one, in which a run is built again and compared with a copy of it.

The run is read from the published snapshot, so that the warehouse is neither opened nor locked.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import STAGES
from mrs_resources.archive import Archive, Arrival
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, LogStore, Transaction
from mrs_resources.model_store import ArtefactMissing
from mrs_resources.warehouse import Warehouse

SHADOWS = "shadow"
REBUILD = Provenance("rebuild", __version__)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Copy:
    """A run as it is published, copied into the folder in which it is to be built again.

    Attributes:
        run_id: the run.
        known_at: up to when the snapshot knows of it; UTC, ISO 8601.
        began_at: when it was copied; UTC.
        folder: the folder.
        store: the copied warehouse.
    """

    run_id: str
    known_at: str
    began_at: datetime
    folder: Path
    store: LogStore


@contextmanager
def copied_run(settings: Settings, warehouse: Warehouse, asked: str | None) -> Iterator[Copy]:
    """Copy a run (the one in force where none is asked for); where the work on it fails, the folder is removed.

    Raises:
        UserMistake: nothing is published yet.
        UnknownName: there is no such run.
    """
    if asked is not None and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", asked):
        raise UnknownName(f"There is no run {asked!r}.")
    published = warehouse.publisher.published()
    if published is None:
        raise UserMistake("Nothing is published yet.", remedy="Run `mrs tick` first.")
    began_at = warehouse.clock()
    run_id = asked or published.run_id
    folder = settings.home / SHADOWS / f"{run_id}-{began_at:%Y%m%dT%H%M%S%fZ}"
    try:
        published = warehouse.publisher.copy_to(folder / "compared") or published
        store = LogStore(folder / "compared", warehouse.clock)
        _refuse_unknown(store, run_id)
        yield Copy(run_id, published.known_at, began_at, folder, store)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@dataclass(frozen=True)
class Filed:
    """One file that a run admitted.

    Attributes:
        arrival: the file.
        first_at, newest_at: when it was first and last read; UTC.
    """

    arrival: Arrival
    first_at: datetime
    newest_at: datetime


def filed(tx: Transaction, archive: Archive, run_id: str) -> tuple[list[Filed], int]:
    """Files that a run admitted, in the order of their arrival, and how many the archive has not got any more."""
    kept = {(a.feed, a.retailer, a.file_hash, a.received_at): a for a in archive.arrivals()}
    accounts = tx.history(ARRIVALS, run_id=run_id).filter(~pl.col("is_retracted"))
    facts = ["feed", "retailer", "file_hash", "received_at"]
    read = accounts.group_by(facts).agg(
        pl.col("written_at").min().alias("first"), pl.col("written_at").max().alias("newest")
    )
    found = []
    for *key, first, newest in read.select(*facts, "first", "newest").rows():
        arrival = kept.get(tuple(key))
        if arrival is not None and archive.content(arrival).exists():
            found.append(Filed(arrival, first, newest))
    return sorted(found, key=lambda file: file.arrival.sequence), read.height - len(found)


class SetClock:
    """Shows the instant that it was set to; a microsecond passes with every look."""

    def __init__(self) -> None:
        self.now = _BEGINNING

    def __call__(self) -> datetime:
        """The present instant of the rebuild, UTC."""
        self.now += timedelta(microseconds=1)
        return self.now


class Shadow:
    """A home in which a run is built again.

    Attributes:
        clock: the rebuild's.
        settings: what is configured today, without faults.
        warehouse: the shadow's own.
        run_id: the namespace built.
    """

    def __init__(self, copy: Copy, real: Warehouse, settings: Settings) -> None:
        self.clock = SetClock()
        self.settings = settings.model_copy(update={"home": copy.folder, "faults": ()})
        self.warehouse = Warehouse(copy.folder, self.clock)
        self.run_id = f"shadow-{copy.run_id}"
        self.copy = copy
        self._real = real
        with self.warehouse.store.transaction() as tx:
            tx.start_run(self.run_id, _BEGINNING, REBUILD)

    def lend(self, arrival: Arrival) -> None:
        """Let the shadow's archive have a file."""
        self._real.archive.lend(arrival, self.warehouse.archive)

    def put_in_force(self, as_of: datetime) -> None:
        """Have the models that were in force at an instant, and no others."""
        with self.copy.store.looking() as tx:
            registry = tx.live(MODEL_REGISTRY, as_of=as_of, run_id=SYSTEM_RUN)
        for artefact in registry["artefact_hash"].unique(maintain_order=True):
            try:
                self.warehouse.models.save(self._real.models.read(artefact))
            except ArtefactMissing:
                continue  # as it would be for the run itself: rows say that the model is down
        rows = registry.select(list(MODEL_REGISTRY.body))
        with self.warehouse.store.transaction() as tx:
            tx.append(MODEL_REGISTRY, rows, EVER, REBUILD, run_id=SYSTEM_RUN)


def notes_on(shadow: Shadow, lost: int) -> Iterator[str]:
    """Why a rebuild may rightly differ, as far as that can be told, in words.

    Args:
        shadow: the rebuild.
        lost: files that the run admitted and that the archive has not got any more.
    """
    if lost:
        yield f"{lost} files that the run admitted are not in the archive any more."
    with shadow.copy.store.looking() as tx:
        other = _written_with_other_code(tx, shadow.copy.run_id)
    if other:
        yield f"Rows of the run were written by other versions of the code: {', '.join(other)}."


_CODE = {log.name: f"{__version__}+{stage.code_version}" for stage in STAGES for log in stage.writes}
"""Log of a stage → what its rows are written with today."""


def _written_with_other_code(tx: Transaction, run_id: str) -> list[str]:
    found = tx.query(
        "SELECT DISTINCT log_name, code_version FROM append_batches WHERE run_id = ? AND code_version IS NOT NULL",
        [run_id],
    )
    return sorted({code for log, code in found.rows() if code not in (__version__, _CODE.get(log))})


def _refuse_unknown(store: LogStore, run_id: str) -> None:
    with store.looking() as tx:
        found = tx.query("SELECT DISTINCT run_id FROM append_batches WHERE run_id <> ? ORDER BY ALL", [SYSTEM_RUN])
    runs = found["run_id"].to_list()
    if run_id not in runs:
        raise UnknownName(f"There is no run {run_id!r} in the snapshot.", remedy=f"Runs: {', '.join(runs)}.")
