"""The inbox and the archive: what is collected, in which order, and what a crash leaves behind."""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mrs_assets.contracts.settings import Retailer, Settings
from mrs_resources.archive import Archive
from tests.conftest import SteppingClock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    zone = Retailer(timezone="Europe/London")
    return Settings(home=tmp_path, retailers={"acme": zone, "zenith": zone})


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def drop(archive: Archive, name: str | bytes, content: bytes, feed: str = "sales", retailer: str = "acme") -> Path:
    folder = archive.inbox / feed / retailer
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(os.fsdecode(os.path.join(os.fsencode(folder), os.fsencode(name))))
    path.write_bytes(content)
    return path


def test_a_collected_file_is_kept_under_its_hash_and_leaves_the_inbox(
    archive: Archive, settings: Settings, clock: SteppingClock
) -> None:
    path = drop(archive, "monday.csv", b"a,b\n")
    (arrival,) = archive.collect(settings, clock)
    assert arrival.file_hash == hashlib.sha256(b"a,b\n").hexdigest()
    assert (arrival.feed, arrival.retailer, arrival.file_name, arrival.byte_size) == ("sales", "acme", "monday.csv", 4)
    assert archive.content(arrival).read_bytes() == b"a,b\n"
    assert not path.exists()
    assert archive.arrivals() == [arrival]


def test_arrivals_keep_the_order_in_which_files_were_dropped(
    archive: Archive, settings: Settings, clock: SteppingClock
) -> None:
    for name, content in (("z", b"1"), ("a", b"2"), ("m", b"1")):
        drop(archive, name, content)
        archive.collect(settings, clock)
    arrivals = archive.arrivals()
    assert [a.file_name for a in arrivals] == ["z", "a", "m"]
    assert [a.sequence for a in arrivals] == [1, 2, 3]
    assert arrivals[0].file_hash == arrivals[2].file_hash


def test_received_at_rises_even_if_the_clock_stands_still(archive: Archive, settings: Settings) -> None:
    for name in "abc":
        drop(archive, name, name.encode())
    archive.collect(settings, lambda: datetime(2024, 1, 1, tzinfo=UTC))
    moments = [a.received_at for a in archive.arrivals()]
    assert moments == sorted(set(moments))


@pytest.mark.parametrize("name", [".hidden.csv", "half.csv.tmp", "half.part", "HALF.PART"])
def test_half_written_files_stay(archive: Archive, settings: Settings, clock: SteppingClock, name: str) -> None:
    path = drop(archive, name, b"x")
    assert archive.collect(settings, clock) == []
    assert path.exists()


def test_symbolic_links_and_folders_are_never_followed(
    archive: Archive, settings: Settings, clock: SteppingClock, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "passwords").write_bytes(b"x")
    drop(archive, "good.csv", b"x")
    (archive.inbox / "sales" / "acme" / "link.csv").symlink_to(secret / "passwords")
    (archive.inbox / "sales" / "acme" / "folder").mkdir()
    (archive.inbox / "sales" / "zenith").symlink_to(secret)
    assert [a.file_name for a in archive.collect(settings, clock)] == ["good.csv"]
    assert (secret / "passwords").exists()
    left = {Path(item.path).name: item.reason for item in archive.left_in_inbox(settings)}
    assert set(left) == {"link.csv", "folder", "zenith"}


def test_folders_that_nobody_configured_are_told_and_left(
    archive: Archive, settings: Settings, clock: SteppingClock
) -> None:
    stray = [drop(archive, "a", b"x", retailer="nobody"), drop(archive, "a", b"x", feed="gossip")]
    assert archive.collect(settings, clock) == []
    assert all(path.exists() for path in stray)
    assert {Path(item.path).name for item in archive.left_in_inbox(settings)} == {"nobody", "gossip"}


@pytest.mark.parametrize(
    "name",
    ["; DROP TABLE x --.csv", "a'b\"c.csv", "=cmd|' calc'!A0", "line\nbreak", "😀.csv", b"\xff\xfe.csv", "x" * 200],
)
def test_hostile_names_are_data(archive: Archive, settings: Settings, clock: SteppingClock, name: str | bytes) -> None:
    drop(archive, name, b"x")
    (arrival,) = archive.collect(settings, clock)
    arrival.file_name.encode("utf-8")
    assert archive.content(arrival).parent == settings.home / "archive" / "sales" / "acme"
    assert archive.arrivals() == [arrival]


class Killed(BaseException):
    """The process dies here."""


@pytest.mark.parametrize("after", range(1, 8))
def test_a_crash_at_any_step_loses_and_doubles_nothing(
    archive: Archive, settings: Settings, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    drop(archive, "a", b"first")
    drop(archive, "b", b"second")
    steps = 0

    def dying(real: object) -> object:
        def step(*args: object, **kwargs: object) -> object:
            nonlocal steps
            steps += 1
            if steps == after:
                raise Killed
            return real(*args, **kwargs)  # type: ignore[operator]

        return step

    with monkeypatch.context() as patched:
        for name in ("replace", "fsync"):
            patched.setattr(os, name, dying(getattr(os, name)))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        with pytest.raises(Killed):
            archive.collect(settings, clock)
    archive.collect(settings, clock)
    assert [archive.content(a).read_bytes() for a in archive.arrivals()] == [b"first", b"second"]
    assert list((archive.inbox / "sales" / "acme").iterdir()) == []
    assert [p for p in archive.scratch.iterdir() if p.is_file()] == []


def test_the_same_file_copied_in_again_is_another_arrival(
    archive: Archive, settings: Settings, clock: SteppingClock, tmp_path: Path
) -> None:
    original = tmp_path / "original"
    original.write_bytes(b"x")
    folder = archive.inbox / "sales" / "acme"
    folder.mkdir(parents=True)
    for _ in range(2):
        shutil.copy2(original, folder / "same.csv")
        archive.collect(settings, clock)
    assert len(archive.arrivals()) == 2


def test_a_forgotten_arrival_keeps_its_content(archive: Archive, settings: Settings, clock: SteppingClock) -> None:
    drop(archive, "a", b"x")
    (arrival,) = archive.collect(settings, clock)
    archive.forget(arrival)
    assert archive.arrivals() == []
    assert archive.content(arrival).read_bytes() == b"x"
