"""The heartbeat: who watches the watcher, and what it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mrs_assets.contracts.alerting import Alerting
from mrs_resources.heartbeat import FILE, beat, worries
from tests.alerting.faults import MORNING

PING = Alerting(ping_url_env="MRS_TEST_PING")


@contextmanager
def watcher(status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """Somebody outside who waits for calls: the address, and the paths that were called."""
    called: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            called.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/s3cr3t", called
    finally:
        server.shutdown()
        server.server_close()


def test_a_young_heartbeat_worries_nobody_and_an_old_one_does(tmp_path: Path) -> None:
    beat(tmp_path, MORNING, "alerts", ["red_runs"], [], Alerting())
    assert worries(tmp_path, MORNING + timedelta(minutes=14), Alerting()) == []
    (worry,) = worries(tmp_path, MORNING + timedelta(minutes=16), Alerting())
    assert "2024-06-01 06:00" in worry


def test_no_heartbeat_at_all_and_one_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert "no heartbeat" in worries(tmp_path, MORNING, Alerting())[0]
    (tmp_path / FILE).write_text("{")
    assert "cannot be read" in worries(tmp_path, MORNING, Alerting())[0]
    (tmp_path / FILE).write_text('{"at": "2024-06-01T06:00:00", "channels_failing": []}')
    assert "cannot be read" in worries(tmp_path, MORNING, Alerting())[0]


def test_a_channel_that_takes_nothing_is_a_worry(tmp_path: Path) -> None:
    beat(tmp_path, MORNING, "alerts", [], ["ops"], Alerting())
    assert worries(tmp_path, MORNING, Alerting()) == ["alerts could not be delivered over ops: `mrs alerts test ops`"]


def test_the_outside_watcher_is_called_and_its_failures_stop_nothing(tmp_path: Path) -> None:
    with watcher() as (address, called):
        beat(tmp_path, MORNING, "alerts", [], [], PING, {"MRS_TEST_PING": address})
    assert called == ["/s3cr3t"]
    beat(tmp_path, MORNING, "alerts", [], [], PING, {"MRS_TEST_PING": address})  # nobody listens any more
    with watcher(500) as (failing, _):
        beat(tmp_path, MORNING, "alerts", [], [], PING, {"MRS_TEST_PING": failing})
    told = (tmp_path / FILE).read_text()
    assert json.loads(told)["ping"] == "answered 500"
    assert "s3cr3t" not in told
    beat(tmp_path, MORNING, "alerts", [], [], PING, {"MRS_TEST_PING": "file:///etc/hostname"})
    assert json.loads((tmp_path / FILE).read_text())["ping"] == "MRS_TEST_PING is no http address"
