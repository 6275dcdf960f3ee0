"""Draws episodes onto series: which, where and when, and what each truly changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mrs_assets.injection.families import FAMILIES, Episode, Family, Flags, Floats, Ints, draw_episode

USUAL_DAYS = 28
"""Days before the onset that say what a tick usually sells."""
ATTEMPTS = 4
"""Episodes drawn per one that is wanted, before giving up on series without room for one."""


@dataclass(frozen=True)
class Event:
    """What one episode did to one series.

    Attributes:
        episode: number of the episode; those of one number belong together.
        family: kind of anomaly.
        series: column.
        first, ticks: first row and number of rows.
        sign: +1 where more was sold, −1 where less.
        uplift: units that it added; negative where it took some away.
        price_factor: on the price while it lasted, which the units do not show.
    """

    episode: int
    family: str
    series: int
    first: int
    ticks: int
    sign: int
    uplift: float
    price_factor: float = 1.0

    @property
    def end(self) -> int:
        """First row after it."""
        return self.first + self.ticks


@dataclass(frozen=True)
class Injection:
    """Units with what was injected, ticks × series, and the truth about it."""

    units: Floats
    events: tuple[Event, ...]


def inject(
    units: Floats,
    stores: Sequence[str],
    items: Sequence[str],
    *,
    first: int,
    seed: int,
    rate: float = 1.0,
    families: Sequence[Family] = FAMILIES,
    ticks_per_day: int = 1,
) -> Injection:
    """Draw episodes onto series; a series has at most one. Deterministic: same arguments, same result.

    An episode begins in any tick from `first` on at which a day begins, early enough for half of it to be seen. It
    touches series of which the rows are known, and that sold something in the four weeks before.

    Args:
        units: ticks × series; NaN where a tick is not evidence.
        stores: store of each series.
        items: product of each series.
        first: first row that may change.
        seed: of `TRAINING_SEEDS`, `DEVELOPMENT_SEEDS` or `EVALUATION_SEEDS`.
        rate: events per series, at most 1.
        families: kinds to draw from.
        ticks_per_day: ticks of a day.
    """
    rng = np.random.default_rng(seed)
    places = _Places(stores, items)
    weights = np.array([kind.weight for kind in families])
    changed, events = units.copy(), list[Event]()
    free = np.ones(units.shape[1], dtype=np.bool_)
    wanted, number = round(rate * units.shape[1]), 0
    while len(events) < wanted and number < ATTEMPTS * wanted:
        episode = draw_episode(families[int(rng.choice(len(families), p=weights / weights.sum()))], rng)
        begin = _onset(len(units), first, episode.days, ticks_per_day, rng)
        for column in places.touched(episode.kind, free, rng)[: wanted - len(events)]:
            event = _applied(changed, episode, number, int(column), begin, ticks_per_day, rng)
            if event is not None:
                events.append(event)
                free[column] = False
        number += 1
    return Injection(changed, tuple(events))


class _Places:
    """Which series share a store or an item."""

    def __init__(self, stores: Sequence[str], items: Sequence[str]) -> None:
        self._store = np.unique(np.asarray(stores), return_inverse=True)[1]
        self._item = np.unique(np.asarray(items), return_inverse=True)[1]

    def touched(self, kind: Family, free: Flags, rng: np.random.Generator) -> Ints:
        """Free series that an episode touches, at random around a series drawn first."""
        candidates = np.nonzero(free)[0]
        if not len(candidates):
            return candidates
        centre = int(rng.choice(candidates))
        if kind.footprint == "series":
            return np.array([centre])
        shared = self._store if kind.footprint == "store" else self._item
        same = candidates[shared[candidates] == shared[centre]]
        most = int(rng.integers(1, kind.most_series + 1))
        others = rng.permutation(same[same != centre])[: most - 1]
        return np.concatenate([[centre], others])


def _onset(rows: int, first: int, days: int, ticks_per_day: int, rng: np.random.Generator) -> int:
    latest = max(first, rows - (days // 2 + 1) * ticks_per_day)
    return first + ticks_per_day * int(rng.integers((latest - first) // ticks_per_day + 1))


def _applied(
    changed: Floats,
    episode: Episode,
    number: int,
    column: int,
    begin: int,
    ticks_per_day: int,
    rng: np.random.Generator,
) -> Event | None:
    """Change one series in place; None where nothing is known of it, or nothing changed."""
    end = min(begin + episode.days * ticks_per_day, len(changed))
    before = changed[max(0, begin - USUAL_DAYS * ticks_per_day) : begin, column]
    known = before[~np.isnan(before)]
    own = changed[begin:end, column]
    if not known.size or known.sum() <= 0 or np.isnan(own).all():
        return None
    new = episode.changed(own, float(known.mean()), ticks_per_day, rng)
    uplift = float(np.nansum(new - own))
    if uplift == 0:
        return None
    changed[begin:end, column] = new
    return Event(
        episode=number,
        family=episode.kind.name,
        series=column,
        first=begin,
        ticks=end - begin,
        sign=1 if uplift > 0 else -1,
        uplift=uplift,
        price_factor=episode.price_factor,
    )
