"""A PostgreSQL of the tests' own: Debian's, on the loopback interface, without a password, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

from tests.ports import free_ports

USER = "mrs"
_SETTINGS = {"listen_addresses": "127.0.0.1", "fsync": "off", "max_connections": "200", "unix_socket_directories": ""}
_UNPRIVILEGED = "postgres"
"""The account that the server runs under where the tests are run by root, whom it refuses."""


def binaries() -> Path | None:
    """Where PostgreSQL's programs are; None: it is not installed."""
    found = sorted(glob("/usr/lib/postgresql/*/bin/pg_ctl"), key=lambda path: int(path.split("/")[4]))
    on_path = shutil.which("pg_ctl")
    return Path(found[-1]).parent if found else Path(on_path).resolve().parent if on_path else None


class Postgres:
    """One server.

    Attributes:
        address: connection string of its database.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self._port,) = free_ports(1)
        self.address = f"host=127.0.0.1 port={self._port} user={USER} dbname=postgres"
        self._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "--encoding=UTF8", "--locale=C")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = " ".join(f"-c {name}={value!r}" for name, value in _SETTINGS.items())
        self._run("pg_ctl", "start", "-w", "-o", f"-p {self._port} {options}", "-l", str(self._folder / "log"))

    def stop(self, how: str = "fast") -> None:
        """Stop it: `fast`, or `immediate`, which is a crash."""
        self._run("pg_ctl", "stop", "-w", "-m", how)

    def locks(self) -> int:
        """Advisory locks that are held or waited for."""
        folder = binaries()
        assert folder is not None
        asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        command = [str(folder / "psql"), f"--dbname={self.address}", "--tuples-only", f"--command={asked}"]
        return int(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)

    def _run(self, program: str, *arguments: str) -> None:
        folder = binaries()
        assert folder is not None
        command = [str(folder / program), *arguments, "-D", str(self._folder / "data")]
        if os.geteuid() == 0:
            command = ["setpriv", f"--reuid={_UNPRIVILEGED}", f"--regid={_UNPRIVILEGED}", "--clear-groups", *command]
        done = subprocess.run(
            command, cwd=self._folder, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=-1
        )
        if done.returncode:
            sys.stderr.write(done.stderr.decode(errors="replace"))
            raise RuntimeError(f"{program} failed: {done.stderr.decode(errors='replace')}")


@contextmanager
def running() -> Iterator[Postgres]:
    """A server for as long as this lasts."""
    with tempfile.TemporaryDirectory(prefix="mrs-postgres-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _UNPRIVILEGED)
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def copy_schema(address: str, schema: str, target: str) -> None:
    """Copy a schema of a database under another name."""
    folder = binaries()
    assert folder is not None
    dump = [str(folder / "pg_dump"), f"--dbname={address}", f"--schema={schema}"]
    told = subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout
    restore = [str(folder / "psql"), "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", f"--dbname={address}"]
    subprocess.run(restore, input=told.replace(schema.encode(), target.encode()), check=True, stdout=subprocess.DEVNULL)
