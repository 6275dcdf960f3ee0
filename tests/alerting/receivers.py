"""Receivers on this machine: a webhook and a mail server, which may fail on purpose, and remember what they took."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mrs_resources.notifier import DELIVERY_HEADER, MESSAGE_HEADER
from tests.ports import free_ports


@dataclass(frozen=True)
class Taken:
    """One message that a receiver has read, whatever it answered."""

    message_id: str
    delivery_ids: tuple[str, ...]
    title: str
    text: str
    status: str


@dataclass
class Webhook:
    """Takes JSON.

    Attributes:
        port: on the loopback interface.
        taken: every message read, in order.
        outages: chance of one of the faults.
        faults: an answer of 500, none in time, a line that breaks before it is read, and one that breaks after.
    """

    outages: float = 0.0
    faults: tuple[str, ...] = ("500", "slow", "broken", "lost answer")
    slow_seconds: float = 1.0
    seed: int = 0
    taken: list[Taken] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._drawn = random.Random(self.seed)  # noqa: S311 - faults, not secrets
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/services/s3cr3t-t0ken"

    def fault(self) -> str | None:
        with self._lock:
            if self._drawn.random() >= self.outages:
                return None
            return self._drawn.choice(self.faults)

    def take(self, headers: Any, body: bytes) -> None:
        told = json.loads(body)
        ids = tuple(headers[DELIVERY_HEADER].split(","))
        with self._lock:
            self.taken.append(
                Taken(headers[MESSAGE_HEADER], ids, told["title"], told["message"], told.get("type", "info"))
            )

    def delivered(self) -> dict[str, Taken]:
        """Delivery → the first message that brought it: what a receiver sees that drops repetitions."""
        found: dict[str, Taken] = {}
        for message in self.taken:
            for delivery in message.delivery_ids:
                found.setdefault(delivery, message)
        return found


@contextmanager
def webhook(**how: Any) -> Iterator[Webhook]:
    """A webhook that listens until the end of the block."""
    hook = Webhook(**how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            fault = hook.fault()
            if fault == "broken":
                self.connection.close()
                return
            if fault in (None, "lost answer", "slow"):
                hook.take(self.headers, body)
            if fault == "lost answer":
                self.connection.close()
                return
            if fault == "slow":
                time.sleep(hook.slow_seconds)
            self.send_response(500 if fault == "500" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    hook.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """Takes mail over SMTP.

    Attributes:
        refusals: how many messages it still answers with a temporary error.
        mails: what it took, in order.
    """

    port: int = 0
    refusals: int = 0
    mails: list[Message] = field(default_factory=list)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refusals:
            self.refusals -= 1
            return "451 try again later"
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"


@contextmanager
def mail_server(**how: Any) -> Iterator[Mailbox]:
    """A mail server that listens until the end of the block."""
    from aiosmtpd.controller import Controller

    (port,) = free_ports(1)
    mailbox = Mailbox(port=port, **how)
    controller = Controller(mailbox, hostname="127.0.0.1", port=mailbox.port)
    controller.start()
    try:
        yield mailbox
    finally:
        controller.stop()
