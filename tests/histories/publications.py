"""A home on disk that publishes while others read: what was published when, and what a polling reader saw."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import polars as pl

from mrs_assets.contracts.views import VIEWS
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.publisher import ACCOUNT, DATABASE, LINK
from tests.histories.start import Start, sales_file, signals_file
from tests.histories.story import RETAILERS, Calendar, Teller
from tests.histories.world import store_of


@dataclass(frozen=True)
class Publication:
    """One state that readers could see.

    Attributes:
        known_at: newest row that it holds.
        until: the last instant before a row was written that it does not hold; a day later for the last.
        views: the views' tables in the warehouse at that moment, by name.
        digest: of both.
    """

    known_at: datetime
    until: datetime
    views: dict[str, pl.DataFrame]
    digest: str


@dataclass(frozen=True)
class Poll:
    """What a reader saw in one look: the state it was told of, and what database and Parquet held of it."""

    known_at: str
    in_database: str
    in_parquet: str


class Publishing:
    """A home that is corrected over and over, with a reader that polls in a process of its own.

    Attributes:
        home: on disk.
        publications: in order.
        polls: in order; None: there was nothing to read.
    """

    def __init__(self, start: Start, folder: Path, stores: int) -> None:
        self.home = start.put("known", folder / "live")
        self.publications: list[Publication] = []
        self.polls: list[Poll | str] = []
        self._stores = stores

    def happen(self, least_polls: int, least_ticks: int = 4) -> None:
        """Tick and be polled, until there were so many of both."""
        self.home.tick()
        self.home.warehouse.publisher.publish()
        self._note("told")
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        reader = context.Process(target=poll_until_told, args=(self.home.settings.home, there))
        reader.start()
        polls = 0
        for number in count():
            self._send(number)
            self.home.tick(came=self._note)
            self.home.clock.now += timedelta(hours=2)
            here.send("how many")
            polls = here.recv()
            if polls >= least_polls and number + 1 >= least_ticks:
                break
        here.send("stop")
        self.polls = here.recv()
        reader.join()

    def _send(self, number: int) -> None:
        """Another story of the same days: nearly everything is corrected."""
        calendar = Calendar(tick_of=(0,) * 8, ticks=2)
        stories = [Teller(1000 * number + n, store_of(n), calendar).tell() for n in range(self._stores)]
        for retailer in RETAILERS[: 1 + number % 2]:
            rows = [row for story in stories for row in story.fresh.get((0, retailer), ())]
            self.home.send("sales", retailer, sales_file(rows))
            self.home.send(
                "contextual_events",
                retailer,
                signals_file(x for s in stories for x in s.signals.get((0, retailer), ())),
            )

    def _note(self, moment: str) -> None:
        published = self.home.warehouse.publisher.published() if moment == "told" else None
        if published is None:
            return
        known_at = datetime.fromisoformat(published.known_at)
        if self.publications and self.publications[-1].known_at == known_at:
            return
        with self.home.warehouse.store.transaction() as tx:
            views = {view.name: Hydrator(FOLDS).current(tx, view) for view in VIEWS}
        self.publications.append(Publication(known_at, known_at, views, digest(views)))

    def known_for(self) -> Iterator[Publication]:
        """The publications, each with the moment up to which nothing newer was written."""
        for found in self.publications:
            with self.home.warehouse.store.transaction() as tx:
                newer = tx.query(
                    "SELECT min(written_from) AS at FROM append_batches WHERE written_from > ?", [found.known_at]
                )["at"][0]
            until = newer - timedelta(microseconds=1) if newer else found.known_at + timedelta(days=1)
            yield Publication(found.known_at, until, found.views, found.digest)


def digest(views: dict[str, pl.DataFrame]) -> str:
    """The same for the same rows."""
    text = "".join(f"{name}{views[name].sort(views[name].columns[0]).write_json()}" for name in sorted(views))
    return hashlib.sha256(text.encode()).hexdigest()


def poll_until_told(home: Path, told: Connection) -> None:
    """Read the published snapshot again and again; answer how often, and at last what was seen."""
    polls: list[Poll | str] = []
    while True:
        try:
            polls.append(_poll(home))
        except (OSError, duckdb.Error) as error:
            polls.append(f"{type(error).__name__}: {error}")
        if told.poll():
            if told.recv() == "stop":
                told.send(polls)
                return
            told.send(len(polls))


def _poll(home: Path) -> Poll:
    snapshot = (home / LINK).resolve()
    connection = duckdb.connect(str(snapshot / DATABASE), read_only=True)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        stored = {view.name: _typed(connection, view.name, view.name) for view in VIEWS}
        files = {view.name: _typed(connection, f"'{snapshot / view.name}.parquet'", view.name) for view in VIEWS}
    finally:
        connection.close()
    account = json.loads((snapshot / ACCOUNT).read_text("utf-8"))
    return Poll(account["known_at"], digest(stored), digest(files))


def _typed(connection: duckdb.DuckDBPyConnection, source: str, name: str) -> pl.DataFrame:
    view = next(view for view in VIEWS if view.name == name)
    frame = connection.execute(f'SELECT * FROM {source} ORDER BY "{view.key}"').pl()
    return frame.select(pl.col(column).cast(dtype) for column, dtype in view.schema.items())


def mixed(polls: Sequence[Poll | str], publications: Sequence[Publication]) -> list[str]:
    """What of the polls is a gap, a mix of two states, or a step back."""
    known = {found.known_at.isoformat(): found.digest for found in publications}
    found = []
    before = ""
    for poll in polls:
        if isinstance(poll, str):
            found.append(f"a gap: {poll}")
            continue
        if poll.in_database != poll.in_parquet or known.get(poll.known_at) != poll.in_database:
            found.append(f"a mix: {poll}")
        if poll.known_at < before:
            found.append(f"a step back: {poll.known_at} after {before}")
        before = poll.known_at
    return found
