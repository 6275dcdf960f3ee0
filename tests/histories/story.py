"""Draws from a seed what happens to one store at two retailers: what was sold, and how it comes to be told.

Told wrongly and put right, late, twice, in part, back and forth; a shared cause; past days restated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import date, timedelta

FIRST_DAY = date(2024, 1, 1)
KNOWN_DAYS = 28
"""Days that every history begins with."""

STORY_DAYS = 8
RETAILERS = ("acme", "bolt")
SKUS = ("eggs", "tea")


def dice(drawn_from: str) -> random.Random:
    """Randomness that is the same whenever it is drawn from the same text."""
    return random.Random(drawn_from)  # noqa: S311 - stories, not secrets


@dataclass(frozen=True)
class Row:
    """One sales fact as sent; units None: declared to have no value."""

    store: str
    sku: str
    day: date
    units: int | None


@dataclass(frozen=True)
class Signal:
    """One contextual event as sent."""

    event_id: str
    store: str
    first_day: date
    days: int
    direction: str


@dataclass
class Story:
    """What comes of one store, per tick and retailer.

    Attributes:
        seed: what it is drawn from.
        store: which store.
        fresh: (tick, retailer) → rows of days that were not told before.
        again: (tick, retailer) → rows about days that were.
        signals: (tick, retailer) → signals.
        traits: what it holds, in words, for counting.
    """

    seed: int
    store: str
    fresh: dict[tuple[int, str], list[Row]] = field(default_factory=dict)
    again: dict[tuple[int, str], list[Row]] = field(default_factory=dict)
    signals: dict[tuple[int, str], list[Signal]] = field(default_factory=dict)
    traits: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Calendar:
    """When which days of the story come: tick of each day; the last tick only restates."""

    tick_of: tuple[int, ...]
    ticks: int

    @classmethod
    def drawn(cls, rng: random.Random) -> Calendar:
        """Two or three deliveries, and one more tick."""
        deliveries = rng.choice((2, 2, 3))
        cuts = sorted(rng.sample(range(3, STORY_DAYS), deliveries - 1))
        return cls(tuple(sum(day >= cut for cut in cuts) for day in range(STORY_DAYS)), deliveries + 1)


def known_sales(store: str, retailer: str) -> list[Row]:
    """Quiet sales of the days that every history begins with."""
    rng = dice(f"{store} {retailer}")
    days = [FIRST_DAY + timedelta(days=n) for n in range(KNOWN_DAYS)]
    return [Row(store, sku, day, _usual(rng)) for day in days for sku in SKUS]


def _usual(rng: random.Random) -> int:
    return 20 + rng.randint(-3, 3)


def story_day(number: int) -> date:
    """A day of the story, counted from its first."""
    return FIRST_DAY + timedelta(days=KNOWN_DAYS + number)


class Teller:
    """Draws one story."""

    def __init__(self, seed: int, store: str, calendar: Calendar) -> None:
        self.rng = dice(f"story {seed}")
        self.calendar = calendar
        self.story = Story(seed, store)
        self.truth: dict[tuple[str, str, int], int | None] = {}
        self.told: dict[tuple[str, str, int], int | None] = {}
        self.usual: dict[tuple[str, str, int], int] = {}

    def tell(self) -> Story:
        self._what_was_sold()
        for _ in range(self.rng.choice((0, 1, 1, 2))):
            self._lie()
        self._first_telling()
        for happens, share in (
            (self._late, 0.25),
            (self._twice, 0.3),
            (self._resend_that_lacks_rows, 0.2),
            (self._back_and_forth, 0.15),
            (self._past_restated, 0.2),
        ):
            if self.rng.random() < share:
                happens()
        return self.story

    def _what_was_sold(self) -> None:
        rng = self.rng
        every = [(r, s, d) for r in RETAILERS for s in SKUS for d in range(STORY_DAYS)]
        self.usual = {key: _usual(rng) for key in every}
        self.truth = dict(self.usual)
        factor = rng.choice((None, 2.5, 3.0, 4.0, 0.1))
        if factor is not None:
            first, length = rng.randint(0, 4), rng.randint(2, 4)
            retailers = RETAILERS if rng.random() < 0.6 else (rng.choice(RETAILERS),)
            skus = SKUS if rng.random() < 0.3 else SKUS[:1]
            for key in every:
                if key[0] in retailers and key[1] in skus and first <= key[2] < first + length:
                    self.truth[key] = round(self.usual[key] * factor)
            if len(retailers) > 1 and rng.random() < 0.85:
                self._signals(first, length, "up" if factor > 1 else "down")
        self.told = dict(self.truth)

    def _signals(self, first: int, length: int, direction: str) -> None:
        for retailer in RETAILERS:
            tick = self.rng.randrange(self.calendar.ticks)
            signal = Signal(f"c{self.story.seed}", self.story.store, story_day(first), length, direction)
            self.story.signals.setdefault((tick, retailer), []).append(signal)
            if tick + 1 < self.calendar.ticks and self.rng.random() < 0.25:
                moved = Signal(signal.event_id, signal.store, story_day(first + 1), length, direction)
                self.story.signals.setdefault((tick + 1, retailer), []).append(moved)
                self.story.traits.add("signal moved")
        self.story.traits.add("shared cause")

    def _lie(self) -> None:
        """Something else than the truth is told first; mostly it is put right."""
        rng = self.rng
        retailer, sku = rng.choice(RETAILERS), rng.choice(SKUS)
        first = rng.randint(0, STORY_DAYS - 2)
        days = range(first, min(first + rng.randint(1, 3), STORY_DAYS))
        kind = rng.choice(("inflated", "inflated", "inflated", "flattened", "lost", "blank", "zero"))
        later = max(self.calendar.tick_of[day] for day in days) + 1
        put_right = rng.randrange(later, self.calendar.ticks) if rng.random() < 0.85 else None
        for day in days:
            key = (retailer, sku, day)
            said = {"inflated": 3 * self.usual[key], "flattened": self.usual[key], "zero": 0}
            self.told[key] = said.get(kind)
            if kind == "lost":
                del self.told[key]
            if put_right is not None:
                self._again(put_right, retailer, sku, day, self.truth[key])
        self.story.traits.add(kind)

    def _first_telling(self) -> None:
        for (retailer, sku, day), units in self.told.items():
            rows = self.story.fresh.setdefault((self.calendar.tick_of[day], retailer), [])
            rows.append(Row(self.story.store, sku, story_day(day), units))

    def _again(self, tick: int, retailer: str, sku: str, day: int, units: int | None) -> None:
        rows = self.story.again.setdefault((tick, retailer), [])
        rows.append(Row(self.story.store, sku, story_day(day), units))

    def _late(self) -> None:
        tick, retailer = self.rng.randrange(self.calendar.ticks - 1), self.rng.choice(RETAILERS)
        rows = self.story.fresh.pop((tick, retailer), [])
        self.story.fresh.setdefault((tick + 1, retailer), [])[:0] = rows
        self.story.traits.add("late")

    def _twice(self) -> None:
        """A row is in the file twice: the same, or with something else said first."""
        rows = self.story.fresh.get((self.rng.randrange(self.calendar.ticks - 1), self.rng.choice(RETAILERS)))
        if rows:
            row = self.rng.choice(rows)
            other = Row(row.store, row.sku, row.day, row.units if self.rng.random() < 0.6 else 77)
            rows.insert(0, other)
            self.story.traits.add("twice")

    def _resend_that_lacks_rows(self) -> None:
        """Days told before come again without one product: it still holds, unless files speak for store-days."""
        tick, retailer = self.rng.randrange(1, self.calendar.ticks), self.rng.choice(RETAILERS)
        kept = self.rng.choice(SKUS)
        for day in range(STORY_DAYS):
            if self.calendar.tick_of[day] < tick:
                self._again(tick, retailer, kept, day, self.truth[retailer, kept, day])
        self.story.traits.add("resend that lacks rows")

    def _back_and_forth(self) -> None:
        retailer, day = self.rng.choice(RETAILERS), self.rng.randrange(STORY_DAYS)
        tick = self.calendar.tick_of[day] + 1
        if tick + 1 < self.calendar.ticks:
            self._again(tick, retailer, "eggs", day, 95)
            self._again(tick + 1, retailer, "eggs", day, self.truth[retailer, "eggs", day])
            self.story.traits.add("back and forth")

    def _past_restated(self) -> None:
        tick, retailer = self.rng.randrange(self.calendar.ticks), self.rng.choice(RETAILERS)
        first, factor = self.rng.randint(-14, -3), self.rng.choice((0.5, 1.6, 3.0))
        for day in range(first, first + self.rng.randint(1, 3)):
            self._again(tick, retailer, "eggs", day, round(20 * factor))
        self.story.traits.add("past restated")
