"""The inbox and the archive: how a received file becomes a numbered arrival whose bytes are kept for ever.

    inbox/<feed>/<retailer>/<any file name>       what others drop
    archive/<feed>/<retailer>/<sha-256>           every content ever received, once
    archive/arrivals/<sequence>.json              one record per arrival, in order
    archive/scratch/                              half-made copies; never looked at again

A file is copied and hashed in one pass, its record written, and only then taken out of the inbox. Whatever instant
the process dies at, collecting again neither loses nor doubles an arrival: content is replaced atomically by equal
content, and a file whose record is the newest one is recognised by its inode and change time and only removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.settings import Settings
from mrs_resources.clock import Clock
from mrs_resources.file_copy import copy_file
from mrs_resources.writer_lock import writer_lock

_PART = 1 << 22
_HALF_WRITTEN = (".tmp", ".part")


@dataclass(frozen=True)
class Arrival:
    """One file that arrived.

    Attributes:
        sequence: 1, 2, 3 … in the order of arrival.
        feed, retailer: the inbox folders in which it lay.
        file_hash: SHA-256 of its bytes, hex.
        file_name: name under which it arrived; data, never a path.
        byte_size: size, bytes.
        received_at: when it was found, UTC; strictly rising with `sequence`.
    """

    sequence: int
    feed: str
    retailer: str
    file_hash: str
    file_name: str
    byte_size: int
    received_at: datetime


@dataclass(frozen=True)
class LeftInInbox:
    """Something in the inbox that was not collected, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class _Dropped:
    path: Path
    feed: str
    retailer: str
    status: os.stat_result


class Archive:
    """Inbox and archive of one home directory.

    Attributes:
        inbox: where files are dropped.
        scratch: where copies are made.
    """

    def __init__(self, home: Path) -> None:
        self.inbox = home / "inbox"
        self._archive = home / "archive"
        self._records = self._archive / "arrivals"
        self.scratch = self._archive / "scratch"

    def collect(self, settings: Settings, clock: Clock) -> list[Arrival]:
        """Take every complete file out of the inbox, in the order in which they were dropped.

        Left alone: names that begin with a dot or end in `.tmp` or `.part`, directories, symbolic links, files that
        changed while they were read, and folders of feeds or retailers that are not configured.
        """
        with writer_lock(self._archive / "collect.lock"):
            self._clear_dead_copies()
            collected = []
            for dropped in self._dropped(settings):
                arrival = self._take(dropped, clock)
                if arrival is not None:
                    collected.append(arrival)
            return collected

    def left_in_inbox(self, settings: Settings) -> list[LeftInInbox]:
        """What `collect` will never take, sorted by path, each with the reason."""
        found: list[LeftInInbox] = []
        for feed in _entries(self.inbox):
            if feed.name not in FEED_DECLARATIONS or not feed.is_dir(follow_symlinks=False):
                found.append(LeftInInbox(_told(feed.path), f"not a feed; feeds: {', '.join(FEED_DECLARATIONS)}"))
                continue
            for retailer in _entries(Path(feed.path)):
                if retailer.name not in settings.retailers or not retailer.is_dir(follow_symlinks=False):
                    found.append(LeftInInbox(_told(retailer.path), "not the folder of a retailer in feeds.toml"))
                    continue
                for entry in _entries(Path(retailer.path)):
                    if entry.is_symlink():
                        found.append(LeftInInbox(_told(entry.path), "a symbolic link; drop the file itself"))
                    elif not entry.is_file(follow_symlinks=False):
                        found.append(LeftInInbox(_told(entry.path), "not a file"))
        return sorted(found, key=lambda left: left.path)

    def arrivals(self) -> list[Arrival]:
        """Every arrival on record, oldest first."""
        return [_arrival(self._record(path)) for path in self._record_paths()]

    def content(self, arrival: Arrival) -> Path:
        """The archived bytes of an arrival."""
        return self._archive / arrival.feed / arrival.retailer / arrival.file_hash

    def forget(self, arrival: Arrival) -> None:
        """Strike an arrival that changed nothing off the record; its content stays."""
        self._record_path(arrival).unlink(missing_ok=True)

    def lend(self, arrival: Arrival, other: Archive) -> None:
        """Let another archive have an arrival too: the same record and the same bytes, which take no room twice.

        Raises:
            FileNotFoundError: the bytes are not here any more.
        """
        for source, target in (
            (self.content(arrival), other.content(arrival)),
            (self._record_path(arrival), other._record_path(arrival)),
        ):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                continue
            try:
                os.link(source, target)
            except FileNotFoundError:
                raise
            except OSError:  # another file system, or one without hard links
                copy_file(source, target)

    def _dropped(self, settings: Settings) -> list[_Dropped]:
        found = []
        order = {feed: place for place, feed in enumerate(FEED_DECLARATIONS)}
        for feed in order:
            for retailer in sorted(settings.retailers):
                for entry in _entries(self.inbox / feed / retailer):
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode) and not entry.name.lower().endswith(_HALF_WRITTEN):
                        found.append(_Dropped(Path(entry.path), feed, retailer, status))
        return sorted(found, key=lambda d: (d.status.st_ctime_ns, order[d.feed], d.retailer, d.path.name))

    def _clear_dead_copies(self) -> None:
        for entry in _entries(self.scratch):
            if entry.is_file(follow_symlinks=False):
                os.unlink(entry.path)

    def _take(self, dropped: _Dropped, clock: Clock) -> Arrival | None:
        paths = self._record_paths()
        last = self._record(paths[-1]) if paths else None
        if last is not None and last["inbox_file"] == _identity(dropped):
            dropped.path.unlink(missing_ok=True)
            return None
        file_hash = self._keep(dropped)
        if file_hash is None:
            return None
        received_at = clock()
        if last is not None:
            received_at = max(received_at, datetime.fromisoformat(last["received_at"]) + timedelta(microseconds=1))
        record = {
            "sequence": last["sequence"] + 1 if last else 1,
            "feed": dropped.feed,
            "retailer": dropped.retailer,
            "file_hash": file_hash,
            "file_name": _told(dropped.path.name),
            "byte_size": dropped.status.st_size,
            "received_at": received_at.isoformat(),
            "inbox_file": _identity(dropped),
        }
        self._write_record(record)
        dropped.path.unlink(missing_ok=True)
        return _arrival(record)

    def _keep(self, dropped: _Dropped) -> str | None:
        """Copy a file into the archive; its hash, or None where it cannot be read or was still being written."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        handle, name = tempfile.mkstemp(dir=self.scratch)
        try:
            source = os.open(dropped.path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            os.close(handle)
            os.unlink(name)
            return None
        with os.fdopen(source, "rb") as reader, os.fdopen(handle, "wb") as writer:
            while part := reader.read(_PART):
                digest.update(part)
                writer.write(part)
            writer.flush()
            os.fsync(writer.fileno())
            after = os.fstat(reader.fileno())
        before = dropped.status
        if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
            os.unlink(name)
            return None
        target = self._archive / dropped.feed / dropped.retailer / digest.hexdigest()
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(name, target)
        return digest.hexdigest()

    def _write_record(self, record: dict[str, Any]) -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.scratch, delete=False, encoding="ascii") as handle:
            json.dump(record, handle, ensure_ascii=True, sort_keys=True)
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(handle.name, self._records / f"{record['sequence']:012d}.json")

    def _record_path(self, arrival: Arrival) -> Path:
        return self._records / f"{arrival.sequence:012d}.json"

    def _record_paths(self) -> list[Path]:
        return sorted(self._records.glob("[0-9]*.json"))

    def _record(self, path: Path) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(path.read_text("ascii"))
        return record


def scratch_directory(archive: Archive) -> tempfile.TemporaryDirectory[str]:
    """A directory of one's own for the time of a `with` block; what dead processes left a day ago is cleared."""
    archive.scratch.mkdir(parents=True, exist_ok=True)
    newest = max((entry.stat(follow_symlinks=False).st_mtime for entry in _entries(archive.scratch)), default=0.0)
    for entry in _entries(archive.scratch):
        if entry.is_dir(follow_symlinks=False) and newest - entry.stat(follow_symlinks=False).st_mtime > 86_400:
            shutil.rmtree(entry.path, ignore_errors=True)
    return tempfile.TemporaryDirectory(dir=archive.scratch)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, by name, dot-files left out; nothing where it is not a real directory."""
    if folder.is_symlink() or not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        yield from sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)


def _identity(dropped: _Dropped) -> list[str | int]:
    """What tells one dropped file from every other: a file dropped again has a new change time."""
    status = dropped.status
    return [dropped.feed, dropped.retailer, _told(dropped.path.name), status.st_ino, status.st_ctime_ns]


def _told(name: str) -> str:
    """A file name as text that can be stored: bytes that are not UTF-8 are written as escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _arrival(record: dict[str, Any]) -> Arrival:
    return Arrival(
        sequence=record["sequence"],
        feed=record["feed"],
        retailer=record["retailer"],
        file_hash=record["file_hash"],
        file_name=record["file_name"],
        byte_size=record["byte_size"],
        received_at=datetime.fromisoformat(record["received_at"]),
    )
