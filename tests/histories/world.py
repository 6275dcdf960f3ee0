"""One world: the stories of several seeds, in files that share ticks, crashes and failing models, in one warehouse."""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.resilience import Fault
from tests.histories import in_memory
from tests.histories.driver import Came, Home
from tests.histories.naive import Naive
from tests.histories.start import Start, sales_file, signals_file
from tests.histories.story import RETAILERS, Calendar, Story, Teller, dice

FAULTS = (
    Fault(point=f"{BASELINE.name}.baseline_model", action="drop"),
    Fault(point=CLUSTERED.name, action="raise"),
    Fault(point=CLUSTERED.name, action="corrupt"),
    Fault(point=ATTRIBUTED.name, action="raise"),
    Fault(point=ATTRIBUTED.name, action="corrupt"),
    Fault(point=f"{ATTRIBUTED.name}.contextual_events", action="raise"),
    Fault(point=COHORTED.name, action="raise"),
    Fault(point=COHORTED.name, action="corrupt"),
    Fault(point="contextual_events_feed", action="raise"),
    Fault(point=SALES_TIMESERIES.name, action="raise"),
)
"""What may fail for some ticks: models and inputs that are missing, and one stage without which nothing goes on."""

LONGEST_LIFE = 300
"""Moments at which a tick can die that dies; most ticks have more."""

MOST_TICKS_TO_SETTLE = 12


class Died(BaseException):
    """The process ended here."""


@dataclass(frozen=True)
class Course:
    """What befalls a world as a whole.

    Attributes:
        calendar: when which days are told.
        failing: tick → what fails in it.
        deaths: tick → the moments, counted from its begin, at which it dies before it comes through.
    """

    calendar: Calendar
    failing: dict[int, tuple[Fault, ...]]
    deaths: dict[int, tuple[int, ...]]

    @classmethod
    def drawn(cls, rng: random.Random) -> Course:
        calendar = Calendar.drawn(rng)
        failing: dict[int, tuple[Fault, ...]] = {}
        for _ in range(rng.choice((0, 1, 1, 2))):
            fault, first = rng.choice(FAULTS), rng.randrange(calendar.ticks)
            for tick in range(first, min(first + rng.choice((1, 1, 2)), calendar.ticks)):
                failing[tick] = (*failing.get(tick, ()), fault)
        deaths = {}
        for tick in range(calendar.ticks):
            times = rng.choice((0, 0, 1, 2))
            deaths[tick] = tuple(rng.randint(1, LONGEST_LIFE) for _ in range(times))
        return cls(calendar, failing, deaths)


@dataclass
class World:
    """A history as it goes.

    Attributes:
        seeds: what is drawn.
        home: where it happens.
        naive: what was sent, folded.
        stories: one per seed.
        course: what befalls all of them.
        words: actions sent, as (seed, retailer, action).
        known: report or event ever seen → (seed, retailer).
        counts: what happened, for the record.
    """

    seeds: tuple[int, ...]
    home: Home
    naive: Naive
    stories: list[Story]
    course: Course
    rng: random.Random
    words: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    known: dict[str, tuple[int, str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _sent: list[tuple[str, str, str]] = field(default_factory=list)

    @classmethod
    def drawn(cls, seeds: tuple[int, ...], start: Start, home: Path) -> World:
        rng = rng_of(seeds)
        course = Course.drawn(rng)
        stories = [Teller(seed, store_of(place), course.calendar).tell() for place, seed in enumerate(seeds)]
        naive = Naive()
        for retailer, text in start.files:
            naive.read("sales", retailer, text)
        return cls(seeds, start.open("known", home), naive, stories, course, rng)

    def happen(self) -> None:
        """Everything that is drawn, tick by tick, until nothing is left to do."""
        ticks = self.course.calendar.ticks
        for tick in range(ticks):
            self._send_files(tick)
            if tick:
                self._speak(tick)
            self._tick(tick)
            self._look()
        self._speak(ticks)
        self.settle()

    def settle(self) -> None:
        """Tick until there is nothing left to do."""
        for _ in range(MOST_TICKS_TO_SETTLE):
            self.home.clock.now += timedelta(hours=5)
            done = self.home.tick()
            assert not done.failed, done.failed
            if not (done.admitted or done.plans or done.appended):
                return
        raise AssertionError(f"still not settled after {MOST_TICKS_TO_SETTLE} ticks: {done}")

    def _send_files(self, tick: int) -> None:
        files: list[tuple[str, str, str]] = []
        for retailer in RETAILERS:
            fresh = [row for story in self.stories for row in story.fresh.get((tick, retailer), ())]
            again = [row for story in self.stories for row in story.again.get((tick, retailer), ())]
            signals = [signal for story in self.stories for signal in story.signals.get((tick, retailer), ())]
            files += [("sales", retailer, sales_file(rows)) for rows in (fresh, again) if rows]
            files += [("contextual_events", retailer, signals_file(signals))] if signals else []
        if files and self.rng.random() < 0.3:
            files.append(self.rng.choice(files))
            self.counts["identical file"] += 1
        if self._sent and self.rng.random() < 0.2:
            files.append(self.rng.choice(self._sent))
            self.counts["old file again"] += 1
        for feed, retailer, text in files:
            self._send(feed, retailer, text)

    def _send(self, feed: str, retailer: str, text: str) -> None:
        self.home.send(feed, retailer, text)
        self.naive.read(feed, retailer, text)
        if feed != "edits":
            self._sent.append((feed, retailer, text))

    def _tick(self, tick: int) -> None:
        """A tick that may die, several times over, before it comes through."""
        faults = self.course.failing.get(tick, ())
        self.counts.update(f"{fault.action} at {fault.point}" for fault in faults)
        for fatal in self.course.deaths[tick]:
            try:
                self.home.tick(*faults, came=self._dying(fatal))
            except Died:
                self.counts["died"] += 1
        self.home.tick(*faults)
        self.home.clock.now += timedelta(hours=self.rng.choice((1, 3, 6)))

    def _dying(self, fatal: int) -> Came:
        moments = Counter[str]()

        def came(moment: str) -> None:
            moments[moment] += 1
            if moments.total() == fatal:
                raise Died

        return came

    def _look(self) -> None:
        of_store = {story.store: story.seed for story in self.stories}
        for row in self.home.rows("SELECT report_id, report_group_id, retailer, store_id FROM minority_reports"):
            who = (of_store[str(row["store_id"])], str(row["retailer"]))
            for subject in (row["report_id"], row["report_group_id"]):
                if subject is not None:
                    self.known.setdefault(str(subject), who)

    def _speak(self, tick: int) -> None:
        """Analysts act on what they have seen so far, also on what is no longer there."""
        said: dict[str, list[str]] = {retailer: [] for retailer in RETAILERS}
        for story in self.stories:
            rng = dice(f"words {story.seed} {tick}")
            subjects = sorted(subject for subject, (seed, _) in self.known.items() if seed == story.seed)
            for number in range(rng.choice((0, 1, 1, 2))):
                if subjects:
                    subject = rng.choice(subjects)
                    word = self._word(rng, subject, story.seed, 10 * tick + number)
                    retailer = self.known[subject][1]
                    self.words.append((story.seed, retailer, word))
                    said[retailer].append(json.dumps(word) + "\n")
        for retailer, lines in said.items():
            if lines:
                self._send("edits", retailer, "".join(lines))

    def _word(self, rng: random.Random, subject: str, seed: int, number: int) -> dict[str, Any]:
        about_event = subject.startswith("ME-")
        earlier = [w["annotation_id"] for s, _, w in self.words if s == seed and subject in w.values()]
        choices = [("approve", None, None), ("reject", None, None), ("edit", "final_cause", f"cause {number}")]
        choices += [("edit", "final_cause_category", "Weather"), ("clear", "final_cause", None)]
        if about_event:
            choices += [("edit", "cohort_name", f"event {number}"), ("clear", "cohort_name", None)]
            choices += [(action, None, None) for action in ("defer", "request_review", "reopen")]
        else:
            events = sorted(known for known in self.known if known.startswith("ME-"))
            choices += [("edit", "report_group_id", event) for event in rng.sample(events, min(len(events), 3))]
            choices += [("clear", "report_group_id", None)]
            choices += [
                ("approve", None, "Heatwave"),
                ("edit", "cluster_name", f"shape {number}"),
                ("edit", "window_end", "2024-02-20T00:00:00Z"),
                ("edit", "window_start", "no instant"),
                ("clear", "cluster_name", None),
                ("clear", "window_end", None),
                ("add_evidence", None, None),
                ("request_review", None, None),
                ("reopen", None, None),
                ("defer", None, None),
            ]
        choices += [("undo", None, None)] if earlier else []
        action, field_, value = rng.choice(choices)
        return {
            "annotation_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            "report_group_id" if about_event else "report_id": subject,
            "actor": f"analyst {seed}",
            "user_role": "analyst",
            "action": action,
            "field": field_,
            "value": value,
            "acted_at": (self.home.clock.now - timedelta(minutes=30) + timedelta(seconds=number)).isoformat(),
            "undoes": rng.choice(earlier) if action == "undo" else None,
        }


def rng_of(seeds: tuple[int, ...]) -> random.Random:
    """What a world of these seeds is drawn from."""
    return dice(f"world {seeds[0]} {len(seeds)}")


def store_of(place: int) -> str:
    """The store that the story in a place is about."""
    return f"s{place:03d}"


def close(home: Home) -> None:
    """Let go of a home's warehouse."""
    in_memory.forget(home.settings.home)
