"""An object store of the tests' own: Debian's OpenStack Swift, spoken to by S3's protocol on the loopback interface.

To try things out, with a bucket `mrs`, until it is interrupted: python -m tests.object_store
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from pwd import getpwuid

from pyarrow import fs

from tests.ports import free_ports

ACCOUNT, USER, SECRET = "mrs", "tester", "a-key-that-nobody-may-see"
STORAGE = ("account", "container", "object")
PROGRAMS = ("memcached", "swift-ring-builder", *(f"swift-{kind}-server" for kind in (*STORAGE, "proxy")))
STARTS_WITHIN = 120.0

_ANY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {owner}
swift_dir = {folder}
log_address = {folder}/no-syslog
"""
_STORAGE = (
    _ANY
    + """\
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
[pipeline:main]
pipeline = healthcheck {kind}-server
[filter:healthcheck]
use = egg:swift#healthcheck
[app:{kind}-server]
use = egg:swift#{kind}
"""
)
_PROXY = (
    _ANY
    + """\
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats bulk s3api tempauth copy slo symlink proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{cache}
{filters}"""
)
_PLAIN = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "s3api", "copy", "slo", "symlink")
"""Filters of the proxy that need no setting."""


def installed() -> bool:
    """Whether this machine has the server."""
    return all(shutil.which(program) for program in PROGRAMS)


class ObjectStore:
    """One server with one account.

    Attributes:
        endpoint: its address.
        keys: what the environment has to say to whoever may use it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        (folder / "devices" / "disk").mkdir(parents=True)
        *ports, self._cache, proxy = free_ports(len(STORAGE) + 2)
        self.endpoint = f"http://127.0.0.1:{proxy}"
        self._ports = (*ports, proxy)
        self.keys = {"AWS_ACCESS_KEY_ID": f"{ACCOUNT}:{USER}", "AWS_SECRET_ACCESS_KEY": SECRET}
        given = {"folder": folder, "owner": getpwuid(os.geteuid()).pw_name, "account": ACCOUNT, "user": USER}
        for kind, port in zip(STORAGE, ports, strict=True):
            (folder / f"{kind}.conf").write_text(_STORAGE.format(kind=kind, port=port, **given), "utf-8")
            ring = str(folder / f"{kind}.builder")
            _run("swift-ring-builder", ring, "create", "4", "1", "1")
            _run("swift-ring-builder", ring, "add", f"r1z1-127.0.0.1:{port}/disk", "1")
            _run("swift-ring-builder", ring, "rebalance")
        filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n" for name in _PLAIN)
        (folder / "proxy.conf").write_text(
            _PROXY.format(filters=filters, port=proxy, cache=self._cache, secret=SECRET, **given), "utf-8"
        )

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._spawn("memcached", "-l", "127.0.0.1", "-p", str(self._cache), "-U", "0", "-u", "nobody")
        for kind in (*STORAGE, "proxy"):
            self._spawn(f"swift-{kind}-server", str(self._folder / f"{kind}.conf"), "--verbose")
        last = time.monotonic() + STARTS_WITHIN
        while not all(_answers(port) for port in self._ports):
            if time.monotonic() > last:
                logs = "\n".join(file.read_text("utf-8")[-2000:] for file in sorted(self._folder.glob("*.log")))
                raise RuntimeError(f"the object store does not answer: {logs}")
            time.sleep(0.1)

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        self.files().create_dir(name)

    def files(self) -> fs.S3FileSystem:
        """What lies there."""
        return fs.S3FileSystem(
            access_key=self.keys["AWS_ACCESS_KEY_ID"],
            secret_key=SECRET,
            endpoint_override=self.endpoint,
            allow_bucket_creation=True,
        )

    def stop(self) -> None:
        """Stop it as a crash would."""
        for server in self._running:
            server.kill()
        for server in self._running:
            server.wait()
        self._running.clear()

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self._folder / f"{program}.log").open("ab") as log:
            self._running.append(subprocess.Popen([program, *arguments], stdout=log, stderr=log, env=_environment()))


@contextmanager
def running() -> Iterator[ObjectStore]:
    """A server for as long as this lasts."""
    with tempfile.TemporaryDirectory(prefix="mrs-objects-") as name:
        server = ObjectStore(Path(name))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=1):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _environment() -> dict[str, str]:
    """Nothing of this process's Python: the server is the system's."""
    return {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"}


def _run(*command: str) -> None:
    # 1: "warning", such as of a ring on one machine
    done = subprocess.run(command, check=False, capture_output=True, env=_environment())
    if done.returncode > 1:
        raise RuntimeError(f"{command}: {done.stdout!r} {done.stderr!r}")


def main() -> None:
    """Run one until it is interrupted, or ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running() as server, suppress(KeyboardInterrupt):
        server.make_bucket("mrs")
        print("".join(f"export {name}={value}\n" for name, value in server.keys.items()) + f"# {server.endpoint}")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main()
