"""Kills a tick with SIGKILL at a chosen moment of a chosen step, and finishes it: real processes, a real file.

A kill is run in a child of a server that has everything imported, so that it costs a tick and not an interpreter. Most
are finished in memory, from the file as it was left; some where they were left, up to the publication.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from pathlib import Path

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_resources.file_backend import FileBackend
from tests.conftest import SteppingClock
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.histories.start import MORNING, Start, sales_file, settings_of, signals_file
from tests.histories.story import Calendar, Signal, Story, Teller
from tests.histories.world import store_of

MOMENTS = ("begin", "inside", "committed", "told")
"""Before a transaction, in it with everything written, after its commit, and after an asset's event."""

ACCOUNT = ["rows_received", "rows_accepted", "rows_duplicate", "rows_dead_lettered", "decision"]
NOON = MORNING + timedelta(hours=6)


@dataclass(frozen=True)
class Kill:
    """One moment to die at.

    Attributes:
        step: how many assets had been told by then.
        moment: one of `MOMENTS`.
        number: the moment, counted over the whole tick.
    """

    step: int
    moment: str
    number: int


class Morning:
    """A home with a working day waiting in its inbox: new days, corrections, a shared cause, words of analysts.

    Attributes:
        folder: the home as it is before the tick.
        kills: every moment of the tick that is to be killed.
    """

    def __init__(self, start: Start, folder: Path, seeds: Sequence[int]) -> None:
        self.folder = folder / "morning"
        self._finished = folder / "finished"
        calendar = Calendar(tick_of=(0, 0, 0, 0, 0, 0, 1, 1), ticks=3)
        stories = [Teller(seed, store_of(place), calendar).tell() for place, seed in enumerate(seeds)]
        home = start.open("known", self.folder)
        for tick in (0, 1):
            rows = [r for s in stories for told in (s.fresh, s.again) for r in told.get((tick, "acme"), ())]
            home.send("sales", "acme", sales_file(rows))
            home.send("contextual_events", "acme", signals_file(s for s in _signals(stories) if tick))
            if tick == 0:
                home.tick()
        reports = home.rows("SELECT report_id FROM minority_reports ORDER BY ALL")
        home.send("edits", "acme", "".join(_word(n, str(row["report_id"])) for n, row in enumerate(reports)))
        file = FileBackend(self.folder).file
        file.parent.mkdir(exist_ok=True)
        in_memory.save(self.folder, file)
        in_memory.forget(self.folder)
        self.kills = [*self._finish_undisturbed()]

    def _finish_undisturbed(self) -> Iterator[Kill]:
        came: list[str] = []
        shutil.copytree(self.folder, self._finished)
        _take_into_memory(self._finished)
        undisturbed = home_at(self._finished)
        assert not undisturbed.tick(came=came.append).failed
        step = 0
        for number, moment in enumerate(came, start=1):
            yield Kill(step, moment, number)
            step += moment == "told"

    def unlike_undisturbed(self, kill: Kill, folder: Path, *, where_it_was: bool = False) -> Iterator[str]:
        """Die there, start again, and say what is not as if nothing had been.

        Args:
            kill: when to die.
            folder: where; removed at the end.
            where_it_was: finish on disk, publication included.
        """
        shutil.copytree(self.folder, folder)
        server = multiprocessing.get_context("forkserver")
        server.set_forkserver_preload([__name__])
        child = server.Process(target=tick_and_die, args=(folder, kill.number))
        child.start()
        child.join()
        if child.exitcode != -signal.SIGKILL:
            yield f"{kill}: the child ended with {child.exitcode}"
        try:
            if not where_it_was:
                _take_into_memory(folder)
            yield from (f"{kill}: {what}" for what in self._unlike(home_at(folder), published=where_it_was))
        finally:
            if not where_it_was:
                in_memory.forget(folder)
            shutil.rmtree(folder)

    def _unlike(self, home: Home, *, published: bool) -> Iterator[str]:
        done = home.tick()
        yield from done.failed
        if again := home.tick().appended:
            yield f"the next tick still appended {dict(again)}"
        if published and not home.warehouse.publisher.is_current():
            yield "the newest row is not published"
        with home.warehouse.store.transaction() as tx:
            if (open_plans := tx.live(REPLAY_PLANS).filter(pl.col("state") != "done").height) > 0:
                yield f"{open_plans} plans are not finished"
        undisturbed = home_at(self._finished)
        for log in (log for log in LOGS if log.stage != "operations"):
            found, expected = _versions(home, log), _versions(undisturbed, log)
            if not found.equals(expected):
                yield f"{log.name} has {found.height} rows, not the {expected.height} of a tick that lived"


def _versions(home: Home, log: Contract) -> pl.DataFrame:
    """Every row ever written, as far as it does not tell when."""
    own = ACCOUNT if log is ARRIVALS else ["row_hash"]
    with home.warehouse.store.transaction() as tx:
        return tx.history(log).select(*log.key, "version", "is_retracted", *own)


def _take_into_memory(home: Path) -> None:
    """Go on in memory with a warehouse as its file was left; what is no file any more is not published."""
    file = FileBackend(home).file
    in_memory.begin(home, file)
    file.unlink()


def _signals(stories: Iterable[Story]) -> Iterator[Signal]:
    for story in stories:
        yield from {told.event_id: told for told in chain(*story.signals.values())}.values()


def _word(number: int, report: str) -> str:
    said = {"annotation_id": str(uuid.UUID(int=number)), "report_id": report, "actor": "ada", "user_role": "analyst"}
    said |= {"action": "edit", "field": "final_cause", "value": f"cause {number}", "acted_at": MORNING.isoformat()}
    return json.dumps(said) + "\n"


def home_at(folder: Path) -> Home:
    """The home in a folder, at noon."""
    return Home(settings_of(folder), SteppingClock(NOON))


def tick_and_die(folder: Path, fatal: int) -> None:
    """Tick, and end this process at a moment: counted, never timed."""
    came = 0

    def count(_moment: str) -> None:
        nonlocal came
        came += 1
        if came == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    home_at(folder).tick(came=count)


def chosen(kills: Sequence[Kill], wanted: int) -> list[Kill]:
    """So many kills: first one of every step, the moments in turn, then every step again with its next moment."""
    left: dict[tuple[int, str], list[Kill]] = {}
    for kill in kills:
        left.setdefault((kill.step, kill.moment), []).append(kill)
    in_turn = sorted(left, key=lambda kind: ((MOMENTS.index(kind[1]) - kind[0]) % len(MOMENTS), kind[0]))
    ordered: list[Kill] = []
    while len(ordered) < len(kills):
        ordered += [left[kind].pop(len(left[kind]) // 2) for kind in in_turn if left[kind]]
    return ordered[:wanted]
