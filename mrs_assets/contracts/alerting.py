"""Whom alerts are told, how soon they are over, and what is worth one: `[alerts]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from pydantic import Field, field_validator

from mrs_assets.contracts.section import Section

CONSOLE = "console"
"""The channel that is always there."""

Severity = Literal["info", "warn", "error", "page"]
Kind = Literal["operational", "business"]

_CHANNEL = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")
_VARIABLE = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


class Channel(Section):
    """One way to somebody: `[alerts.channels.<name>]`. What it is not limited in, it is told all of.

    Attributes:
        url_env: environment variable that holds the channel's Apprise address; without it, the message is printed on
            the console of whoever delivers.
        kinds: which alerts: `operational`, `business`.
        minimum_severity: the least severe that it is told.
        retailers, regions, categories: only alerts that concern one of these. An alert that does not know its regions
            or has no category concerns all of them.
        digest: whether alerts that wait together are told in one message; `false` for a pager, which keeps one
            incident per alert.
    """

    url_env: str | None = None
    kinds: tuple[Kind, ...] = ("operational", "business")
    minimum_severity: Severity = "info"
    retailers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    digest: bool = True

    @field_validator("url_env")
    @classmethod
    def _names_a_variable(cls, value: str | None) -> str | None:
        if value is not None and not _VARIABLE.match(value):
            raise ValueError("is not the name of an environment variable; the address itself does not belong here")
        return value


class Alerting(Section):
    """What is worth an alert, and how it is told: `[alerts]`.

    Attributes:
        channels: who is told; one console that is told all when absent.
        ui_url: address of the Dagster UI, for links; no links without it.
        hold_down_minutes: how long what an alert is about must be gone before it is resolved; until then, coming back
            is no news. Doubles with every time that it opened within a day.
        longest_hold_down_minutes: the longest it doubles to.
        growth_step: factor by which an alert must grow or shrink to be told again.
        repeat_minutes: after how long an open alert of severity `page` is told again.
        event_severity: severity score from which an active event is worth an alert, in its retailer's money.
        event_impact: impact from which it is, whatever its severity; no such limit when absent.
        attempts: how often a message is tried before it is given up.
        first_pause_seconds, longest_pause_minutes: the pause between tries doubles from the first to the longest.
        send_seconds: how long one try may take.
        sensor_minutes: how long a sensor may fail or be silent before that is worth an alert.
        heartbeat_minutes: age from which the heartbeat counts as lost.
        ping_url_env: environment variable that holds an address to call with every heartbeat.
    """

    channels: Mapping[str, Channel] = Field(default_factory=lambda: {CONSOLE: Channel()})
    ui_url: str | None = None
    hold_down_minutes: float = Field(default=30, gt=0)
    longest_hold_down_minutes: float = Field(default=480, gt=0)
    growth_step: float = Field(default=1.5, gt=1)
    repeat_minutes: float = Field(default=240, gt=0)
    event_severity: float = Field(default=100, ge=0, allow_inf_nan=False)
    event_impact: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    attempts: int = Field(default=10, ge=1)
    first_pause_seconds: float = Field(default=30, gt=0)
    longest_pause_minutes: float = Field(default=15, gt=0)
    send_seconds: float = Field(default=10, gt=0)
    sensor_minutes: float = Field(default=10, gt=0)
    heartbeat_minutes: float = Field(default=15, gt=0)
    ping_url_env: str | None = None

    @field_validator("channels")
    @classmethod
    def _plain_names(cls, value: Mapping[str, Channel]) -> Mapping[str, Channel]:
        for name in value:
            if not _CHANNEL.match(name):
                raise ValueError(f"channel {name!r}: use lower-case letters, digits, - and _")
        return value

    def hold_down(self, openings: int) -> timedelta:
        """How long something must be gone to be over, that opened so many times within a day."""
        minutes = min(self.hold_down_minutes * 2 ** min(max(openings - 1, 0), 30), self.longest_hold_down_minutes)
        return timedelta(minutes=max(minutes, self.hold_down_minutes))

    def pause(self, attempt: int) -> timedelta:
        """How long to wait after a try that failed, counted from 1."""
        longest = timedelta(minutes=self.longest_pause_minutes)
        return min(timedelta(seconds=self.first_pause_seconds * 2 ** min(attempt - 1, 30)), longest)
