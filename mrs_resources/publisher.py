"""Publishes snapshots: one directory per state, and a link that readers follow to the newest.

A snapshot holds `mrs.duckdb` (a copy of the warehouse with a `<log>_live` view per log and a `publication` table), the
views as Parquet, and the live series as one Parquet file per retailer and month; what else it holds, its companions
write (`snapshot_draft.py`). It is built under another name and becomes visible by replacing one symbolic link, so that
a reader sees all of a state or all of the state before. Readers never hold the warehouse.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from mrs_assets.contracts.logs.alerts import DELIVERIES
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.views import VIEWS
from mrs_resources.backend import Backend, open_backend
from mrs_resources.engine import table_names, text_literal
from mrs_resources.file_backend import FileBackend
from mrs_resources.file_copy import copy_file
from mrs_resources.hydrator import STATE_TABLE
from mrs_resources.log_store import SYSTEM_RUN, Transaction
from mrs_resources.published_sql import LIVE_SERIES, live_view_sql, series_months_sql
from mrs_resources.snapshot_draft import Companion, SnapshotDraft
from mrs_resources.writer_lock import writer_lock

LINK = "published"
SNAPSHOTS = "snapshots"
DATABASE = "mrs.duckdb"
ACCOUNT = "publication.json"
SERIES_FOLDER = SALES_TIMESERIES.name


@dataclass(frozen=True)
class Published:
    """One publication.

    Attributes:
        directory: the snapshot, relative to the home directory.
        run_id: namespace that the views show.
        known_at: `written_at` of the newest row in the warehouse, deliveries of alerts left out: telling of a state is
            no other state. UTC, ISO 8601.
        hydrated_to: `written_at` up to which the views reflect the logs. UTC, ISO 8601.
        fingerprint: equal for equal states.
        series_files_written: months of series written anew; the rest is shared with the snapshot before.
        left_out: companions that failed → why; the snapshot holds nothing of theirs.
    """

    directory: str
    run_id: str
    known_at: str
    hydrated_to: str
    fingerprint: str
    series_files_written: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)


class Publisher:
    """Publishes the warehouse of one home directory.

    Attributes:
        link: what readers open: `<home>/published`.
    """

    def __init__(self, home: Path, backend: Backend | None = None) -> None:
        self._home = home
        self._backend = backend or open_backend(home)
        self._snapshots = home / SNAPSHOTS
        self.link = home / LINK

    def publish(self, *companions: Companion) -> Published | None:
        """Publish the present state; None where it is published already or no view was ever hydrated.

        A crash at any point leaves the former publication in place, and the next call starts over. The snapshot
        before the new one is kept for readers that have it open; older ones are removed.

        Args:
            companions: write what else the snapshot holds. One that raises is left out, and the account says so:
                what people decide on is published whatever becomes of it.
        """
        if not self._backend.exists():
            return None
        with writer_lock(self._snapshots / "publisher.lock"):
            before = self.published()
            building = self._snapshots / "building"
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(parents=True)
            state = self._copy_warehouse(before, building / DATABASE)
            if state is None:
                shutil.rmtree(building)
                return None
            written, left_out = self._complete(building, before, state, companions)
            published = replace(state, series_files_written=written, left_out=left_out)
            (building / ACCOUNT).write_text(json.dumps(asdict(published), indent=2) + "\n", encoding="utf-8")
            self._show(building, self._home / published.directory)
            return published

    def published(self) -> Published | None:
        """What readers see now; None where nothing was published."""
        try:
            return Published(**json.loads((self.link / ACCOUNT).read_text("utf-8")))
        except FileNotFoundError:
            return None

    def copy_to(self, home: Path) -> Published | None:
        """Copy the published warehouse to another home, as a warehouse of its own; None where nothing was published.

        Nobody is kept waiting: the snapshot is read, never the warehouse.
        """
        published = self.published()
        if published is not None:
            target = FileBackend(home).file
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(self._home / published.directory / DATABASE, target)
        return published

    def is_current(self) -> bool:
        """Whether readers see the newest row; also where no row was ever written."""
        if not self._backend.exists():
            return True
        with self._backend.reading() as connection:
            state = _state(connection)
            if state is None:
                return connection.execute("SELECT 1 FROM append_batches LIMIT 1").fetchone() is None
        before = self.published()
        return before is not None and before.fingerprint == state.fingerprint

    def _copy_warehouse(self, before: Published | None, target: Path) -> Published | None:
        """Copy the warehouse as it is at one instant, unless that state is published already."""

        def unpublished(connection: duckdb.DuckDBPyConnection) -> Published | None:
            state = _state(connection)
            return None if state and before and before.fingerprint == state.fingerprint else state

        return self._backend.copy(unpublished, target, self._database_of(before))

    def _database_of(self, before: Published | None) -> Path | None:
        return self._home / before.directory / DATABASE if before is not None else None

    def _complete(
        self, building: Path, before: Published | None, state: Published, companions: Sequence[Companion]
    ) -> tuple[int, dict[str, str]]:
        with _opened(building / DATABASE) as connection:
            connection.execute(
                "CREATE OR REPLACE TABLE publication (run_id VARCHAR, known_at TIMESTAMPTZ, hydrated_to TIMESTAMPTZ)"
            )
            connection.execute(
                "INSERT INTO publication VALUES (?, ?, ?)", [state.run_id, state.known_at, state.hydrated_to]
            )
            tables = table_names(connection)
            for contract in LOGS:
                if contract.name in tables:
                    connection.execute(live_view_sql(contract, SYSTEM_RUN))
            for view in VIEWS:
                if view.name in tables:
                    _export(connection, f'FROM {view.name} ORDER BY "{view.key}"', building / f"{view.name}.parquet")
            written = self._write_series(connection, building, before, state) if SERIES_FOLDER in tables else 0
            known_at = datetime.fromisoformat(state.known_at)
            draft = SnapshotDraft(connection, building, state.run_id, known_at, self._database_of(before))
            left_out = dict(filter(None, (draft.add(companion) for companion in companions)))
        _to_disk(building / DATABASE)
        return written, left_out

    def _write_series(
        self, connection: duckdb.DuckDBPyConnection, building: Path, before: Published | None, state: Published
    ) -> int:
        """One file per retailer and month. Months without newer rows are the former snapshot's files, linked."""
        shared = before if before is not None and before.run_id == state.run_id else None
        former = self._home / shared.directory / SERIES_FOLDER if shared else None
        since = shared.known_at if shared and former and former.is_dir() else None
        changed = connection.execute(series_months_sql(), {"run_id": state.run_id, "since": since}).fetchall()
        folder = building / SERIES_FOLDER
        folder.mkdir()
        if former is not None and since is not None:
            for file in sorted(former.glob("*/*.parquet")):
                (folder / file.parent.name).mkdir(exist_ok=True)
                os.link(file, folder / file.parent.name / file.name)
        for retailer, first_day, last_day in changed:
            target = folder / retailer / f"{first_day:%Y-%m}.parquet"
            target.parent.mkdir(exist_ok=True)
            target.unlink(missing_ok=True)
            parameters = {"run_id": state.run_id, "retailer": retailer, "first_day": first_day, "last_day": last_day}
            connection.execute(f"CREATE OR REPLACE TEMP TABLE month AS {LIVE_SERIES}", parameters)
            _export(connection, "FROM month ORDER BY store_id, sku, ts", target)
        return len(changed)

    def _show(self, building: Path, directory: Path) -> None:
        """Give the snapshot its name, swap the link to it, and remove what is older than the one before."""
        former = self.link.resolve() if self.link.exists() else None
        shutil.rmtree(directory, ignore_errors=True)
        building.rename(directory)
        _to_disk(self._snapshots)
        fresh = self._home / f".{LINK}.new"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(directory.relative_to(self._home), target_is_directory=True)
        fresh.replace(self.link)
        _to_disk(self._home)
        for old in self._snapshots.iterdir():
            if old.is_dir() and old.resolve() not in (former, directory.resolve()):
                shutil.rmtree(old, ignore_errors=True)


def _state(connection: duckdb.DuckDBPyConnection) -> Published | None:
    """What would be published now; None where no view was ever hydrated."""
    tx = Transaction(connection, datetime.now(UTC))
    if STATE_TABLE not in table_names(connection):
        return None
    newest = [at for log, at in tx.kernel.batches.newest().items() if log != DELIVERIES.name]
    views = connection.execute(f"SELECT * FROM {STATE_TABLE} ORDER BY ALL").fetchall()
    known_at = max(newest, default=datetime.min.replace(tzinfo=UTC))
    hydrated_to = min(view[3] for view in views)
    fingerprint = hashlib.sha256(json.dumps([tx.run_id, known_at, views], default=str).encode()).hexdigest()
    name = f"{known_at.astimezone(UTC):%Y%m%dT%H%M%S%fZ}-{fingerprint[:8]}"
    return Published(
        directory=f"{SNAPSHOTS}/{name}",
        run_id=tx.run_id,
        known_at=known_at.astimezone(UTC).isoformat(),
        hydrated_to=hydrated_to.astimezone(UTC).isoformat(),
        fingerprint=fingerprint,
    )


@contextmanager
def _opened(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(str(file))
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


def _export(connection: duckdb.DuckDBPyConnection, query: str, file: Path) -> None:
    connection.execute(f"COPY ({query}) TO {text_literal(file)} (FORMAT parquet, COMPRESSION zstd)")


def _to_disk(path: Path) -> None:
    """Have the operating system write a file or directory out, so that a power cut cannot tear what readers see."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
