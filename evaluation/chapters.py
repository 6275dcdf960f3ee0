"""The chapters of the report in order: which modules measure, and how one is asked."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence

from evaluation.section import Section

Measure = Callable[..., Sequence[Section]]
"""`(seed: int, *, quick: bool)` → the chapter's sections."""

CHAPTERS = {
    "detection": "evaluation.detection",
    "clusters": "evaluation.clusters",
    "causes": "evaluation.causes",
    "natural": "evaluation.natural",
}
"""Name → module whose `measure` is asked."""

APART = {"peers": "evaluation.peers"}
"""Chapters that are written only when they are asked for: what they need is not installed everywhere."""

PEERS = ("pyod", "statsforecast")
"""Libraries that the chapter `peers` compares with."""


def is_installed() -> bool:
    """Whether the libraries to compare with are there."""
    return all(importlib.util.find_spec(name) is not None for name in PEERS)


def measure_of(name: str) -> Measure:
    """What measures a chapter, loaded when it is wanted."""
    measure: Measure = importlib.import_module({**CHAPTERS, **APART}[name]).measure
    return measure
