"""Tries some seeds: lets their world happen, judges it, and says what was found."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.histories.judging import unlike_a_clean_build, unlike_the_naive_model, what_happened
from tests.histories.start import Start
from tests.histories.world import World, close, store_of

SEEDS_A_WORLD = 100
"""More in a world cost little more: most of a tick is the same however many stores it is about."""


@dataclass(frozen=True)
class Tried:
    """What came of some seeds.

    Attributes:
        first_seed: of the world.
        found: differences, in words; none is right.
        counts: what happened.
        seconds: processor time.
    """

    first_seed: int
    found: tuple[str, ...]
    counts: Counter[str]
    seconds: float

    @property
    def told(self) -> str:
        """What to say of a failure, and how to see it again."""
        seeds = self.counts["seeds"]
        again = f"MRS_FIRST_SEED={self.first_seed} MRS_SEEDS={seeds} pytest tests/histories/test_histories.py"
        return "\n".join([f"{len(self.found)} differences; again: {again}", *self.found[:20]])


def attempt(first_seed: int, seeds: int, start: Start, folder: Path) -> Tried:
    """Try the seeds of one world. Call within `warehouses_in_memory`."""
    began = time.process_time()
    world = World.drawn(tuple(range(first_seed, first_seed + seeds)), start, folder / "live")
    try:
        world.happen()
        found = [*unlike_the_naive_model(world), *unlike_a_clean_build(world, start, folder / "clean")]
        counts = what_happened(world) + world.counts
    finally:
        close(world.home)
        shutil.rmtree(folder, ignore_errors=True)
    return Tried(first_seed, tuple(found), counts, time.process_time() - began)


def start_for(folder: Path, seeds: int = SEEDS_A_WORLD) -> Start:
    """What worlds of so many seeds begin with."""
    return Start.made(folder, [store_of(place) for place in range(seeds)])


def worlds(first_seed: int, seeds: int, a_world: int = SEEDS_A_WORLD) -> Sequence[tuple[int, int]]:
    """Seeds as worlds: first seed and number of each."""
    ends = range(first_seed, first_seed + seeds, a_world)
    return [(first, min(a_world, first_seed + seeds - first)) for first in ends]
