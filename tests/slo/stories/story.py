"""What a story is: four acts, each of which ends with a look."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from tests.world import World

Acts = Generator[World, dg.AssetCheckEvaluation, None]
"""Yields the world when the objective is met, is missed, is missed by more and is met again; is sent the check."""


@dataclass(frozen=True)
class Story:
    """How an objective comes to be missed.

    Attributes:
        tell: a world in which all is well, and where to copy it to → the acts.
        subject: whom the objective is judged for.
        explained_by: fingerprint of the alert that explains that it is missed; None: it stands for itself.
    """

    tell: Callable[[World, Path], Acts]
    subject: str = "acme"
    explained_by: str | None = None
