"""What measuring an objective gives: one value per subject, and what is furthest off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

EVERYTHING = "*"
"""Subject of an objective that is about no retailer alone."""

SHOWN = 20
"""Partitions that are shown as the worst."""

Worst = Mapping[str, str | int | float | None]
"""One partition, file or edit, as a table shows it."""


@dataclass(frozen=True)
class Measured:
    """One objective for one subject at one instant.

    Attributes:
        subject: a retailer, or `*`.
        value: in the objective's unit; None: nothing is there to measure, which is not a value of 0.
        worst: what is furthest off, worst first; at most `SHOWN`.

    """

    subject: str
    value: float | None
    worst: Sequence[Worst] = ()
