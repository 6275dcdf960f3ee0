"""Faults on purpose: what `[[faults]]` asks for, at the point that is reached."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

import polars as pl

from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.resilience import FaultAction
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Frames

_BLOCK = 64 << 20


class FaultOnPurpose(MrsError):
    """A drill asked for this failure."""


def asked_at(settings: Settings, point: str) -> set[FaultAction]:
    """The faults asked for at a point."""
    return {fault.action for fault in settings.faults if fault.point == point}


def strike(settings: Settings, point: str) -> None:
    """Delay, raise, kill this process or exhaust its memory, where that was asked for at the point.

    Raises:
        FaultOnPurpose: `raise` was asked for.
    """
    for fault in settings.faults:
        if fault.point != point:
            continue
        if fault.action == "delay":
            time.sleep(fault.seconds)
        elif fault.action == "raise":
            raise FaultOnPurpose(f"A fault was asked for at {point}.")
        elif fault.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.action == "exhaust":
            _exhaust()


def out_of_order(frames: Frames, log: str) -> Frames:
    """The answer of a service that lost one row and moved the others up: every value under its neighbour's key."""
    frame = frames[log]
    keys = pl.col("report_id", "tick", "store_id", "sku") if "sku" in frame.columns else pl.col("report_id", "tick")
    moved: Mapping[str, pl.DataFrame] = {log: frame.with_columns(keys.shift(1)).slice(1)}
    return {**frames, **moved}


def _exhaust() -> None:
    held = []
    while True:
        held.append(bytearray(_BLOCK))
