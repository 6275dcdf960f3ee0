"""Where the time comes from, so that a test or a rehearsal can bring its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present instant, UTC."""


def utc_now() -> datetime:
    """The present instant of this machine, UTC."""
    return datetime.now(UTC)
