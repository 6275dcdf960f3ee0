"""Sends one message over one channel, by Apprise or on the console, and says plainly what came of it.

An address is a secret: it is read from the environment when a message is sent, and nothing of what Apprise or the
network said is repeated, because that may hold it. What went wrong is told in words of our own.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mrs_assets.contracts.alerting import Channel, Severity

DELIVERY_HEADER = "X-MRS-Delivery-Id"
MESSAGE_HEADER = "X-MRS-Message-Id"
_HTTP_ANSWER = re.compile(r"error=(\d{3})\b")
_INCIDENT = ("dedup", "alias")
"""Arguments by which services that keep incidents (PagerDuty, Opsgenie) recognise one."""


@dataclass(frozen=True)
class Outgoing:
    """What is to be said.

    Attributes:
        title, text: the words.
        severity: of the most severe alert in it.
        is_over: whether all of it is resolved.
        message_id: the same at each try.
        delivery_ids: what it tells of, for receivers that drop repetitions.
        incident: identity of the alert, where it tells of one.
    """

    title: str
    text: str
    severity: Severity
    is_over: bool
    message_id: str
    delivery_ids: tuple[str, ...]
    incident: str | None = None


class Notifier:
    """Sends.

    Attributes:
        seconds: how long one try may take.
    """

    def __init__(
        self, seconds: float, environ: Mapping[str, str] | None = None, write: Callable[[str], None] | None = None
    ) -> None:
        self.seconds = seconds
        self._environ = os.environ if environ is None else environ
        self._write = write or _to_stderr

    def send(self, channel: Channel, outgoing: Outgoing) -> str | None:
        """Send a message.

        Returns:
            None where it was accepted; otherwise what went wrong, which never holds an address.
        """
        if channel.url_env is None:
            self._write(f"{outgoing.title}\n{outgoing.text}")
            return None
        address = self._environ.get(channel.url_env, "").strip()
        if not address:
            return f"the environment variable {channel.url_env} is not set"
        try:
            with _without_their_logs():
                return _by_apprise(address, channel.url_env, outgoing, self.seconds)
        except Exception as error:  # a service may raise anything, and its words may hold the address
            return f"it failed with {type(error).__name__}"


def _by_apprise(address: str, variable: str, outgoing: Outgoing, seconds: float) -> str | None:
    from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyType  # noqa: PLC0415 - slow to import

    asset = AppriseAsset(app_id="MRS", app_desc="Minority Report System", async_mode=False)
    service = Apprise.instantiate(address, asset=asset)
    if service is None:
        return f"what {variable} holds is not an address that Apprise knows"
    _identify(service, outgoing)
    service.socket_read_timeout = service.socket_connect_timeout = seconds / 2
    kinds = {"info": NotifyType.INFO, "warn": NotifyType.WARNING}
    kind = NotifyType.SUCCESS if outgoing.is_over else kinds.get(outgoing.severity, NotifyType.FAILURE)
    result = Apprise(service, asset=asset).notify(
        title=outgoing.title, body=outgoing.text, notify_type=kind, timeout=seconds
    )
    if result:
        return None
    if result.status == AppriseResultStatus.TIMEOUT:
        return f"it did not answer within {seconds:g} seconds"
    answers = [found[1] for entry in result.logs() if (found := _HTTP_ANSWER.search(entry.message))]
    return f"it answered {answers[-1]}" if answers else "it could not be reached, or refused the message"


def _identify(service: Any, outgoing: Outgoing) -> None:
    """Tell the receiver what this is, where its protocol has a place for it."""
    if "headers" in service.template_kwargs:
        service.headers[MESSAGE_HEADER] = outgoing.message_id
        service.headers[DELIVERY_HEADER] = ",".join(outgoing.delivery_ids)
    for argument in _INCIDENT:
        if argument in service.template_args and outgoing.incident is not None:
            setattr(service, argument, outgoing.incident)


@contextmanager
def _without_their_logs() -> Iterator[None]:
    """Keep to itself what the libraries that know the address would log."""
    theirs = [logging.getLogger(name) for name in ("apprise", "urllib3", "requests")]
    before = [(logger.propagate, list(logger.handlers)) for logger in theirs]
    for logger in theirs:
        logger.propagate, logger.handlers = False, [logging.NullHandler()]
    try:
        yield
    finally:
        for logger, (propagate, handlers) in zip(theirs, before, strict=True):
            logger.propagate, logger.handlers = propagate, handlers


def _to_stderr(words: str) -> None:
    sys.stderr.write(words + "\n")
