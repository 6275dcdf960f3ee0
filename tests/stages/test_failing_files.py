"""Every optional feed × every way in which its files fail: reports come out, say why, and heal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_assets.boundary.failure_modes import FEED_MODES, FailureMode
from mrs_assets.contracts.feeds import CONTEXT_FEEDS, FEED_DECLARATIONS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.graph import STAGES
from tests.conftest import SteppingClock
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

Row = dict[str, Any]
FIRST, LAST = FIRST_DAY + timedelta(days=117), FIRST_DAY + timedelta(days=121)
SPAN: Row = {"start_day": str(FIRST), "end_day": str(LAST)}
GOOD: Mapping[str, Row] = {
    "promotions": {"promotion_id": "p1", "store_id": "s2", "sku": "eggs", "promo_price": 2.0} | SPAN,
    "campaigns": {"campaign_id": "c1", "skus": ["eggs"]} | SPAN,
    "contextual_events": {
        "event_id": "e1",
        "signal_type": "social",
        "skus": ["eggs"],
        "strength": 3.0,
        "starts_at": f"{FIRST}T00:00:00Z",
        "ends_at": f"{LAST}T00:00:00Z",
    },
    "stores": {"store_id": "s2", "region": "north", "latitude": 51.5, "opened_on": "2020-01-01"},
}
KEY = {"promotions": "promotion_id", "campaigns": "campaign_id", "contextual_events": "event_id", "stores": "store_id"}
NUMBER = {"promotions": "promo_price", "contextual_events": "strength", "stores": "latitude"}
DAY = {"promotions": "start_day", "campaigns": "start_day", "contextual_events": "starts_at"}
FAULTS = {"hanging": "delay", "raising": "raise", "out of memory": "exhaust", "killed": "kill", "slow": "delay"}
REASON = {"contextual_events": "context_down"}


def with_changed(feed: str, **changes: Any) -> list[Row]:
    return [{name: value for name, value in (GOOD[feed] | changes).items() if value is not ...}]


def other(feed: str) -> Row:
    """A second good row."""
    return GOOD[feed] | {KEY[feed]: "s3" if feed == "stores" else "another"}


def shifted(feed: str) -> list[Row]:
    far = str(date(2030, 1, 1)) + ("T00:00:00Z" if feed == "contextual_events" else "")
    ends = {"start_day": "end_day", "starts_at": "ends_at"}
    return with_changed(feed, **{DAY[feed]: far, ends[DAY[feed]]: far})


def conflicting(feed: str) -> list[Row]:
    """Two rows of one key that say different things, beside a good one."""
    said = {"stores": "region", "contextual_events": "title", "campaigns": "channel", "promotions": "mechanic"}[feed]
    return [other(feed), GOOD[feed] | {said: "one"}, GOOD[feed] | {said: "another"}]


FILES: Mapping[str, Callable[[str], list[Row]]] = {
    "empty": lambda _feed: [],
    "missing column": lambda feed: with_changed(feed, **{KEY[feed]: ...}),
    "renamed column": lambda feed: with_changed(feed, **{KEY[feed]: ..., "zz_top": "x"}),
    "retyped column": lambda feed: with_changed(feed, **{DAY[feed]: "soon"}),
    "extra columns": lambda feed: with_changed(feed, zz_top=1),
    "malformed rows": lambda feed: [GOOD[feed], other(feed) | {KEY[feed]: ""}],
    "not a number": lambda feed: [GOOD[feed], other(feed) | {NUMBER[feed]: "NaN"}],
    "duplicated keys": lambda feed: [GOOD[feed], GOOD[feed]],
    "conflicting keys": conflicting,
    "shifted dates": shifted,
    "wrong units": lambda feed: with_changed(feed, **{NUMBER[feed]: GOOD[feed][NUMBER[feed]] / 4}),
}


def applies(mode: FailureMode, feed: str) -> bool:
    """Campaigns have no number; stores are of no day."""
    if mode.name in ("not a number", "wrong units"):
        return feed in NUMBER
    return feed in DAY or mode.name not in ("retyped column", "shifted dates")


def reason(feed: str) -> str:
    return REASON.get(feed, f"{feed}_down")


def world_at(home: Path, *faults: Fault, kind: type[World] = DirectWorld) -> World:
    said = {
        "feeds": {name: ContextFeed() for name in CONTEXT_FEEDS},
        "environment": "staging",
        "isolation": {"seconds": 20, "memory_mb": 3072},
        "retries": {"attempts": 1},
        "recovery": {"days_at_once": 400},
        "faults": faults,
    }
    return kind(home, Settings.model_validate(settings_for(home).model_dump() | said))


def send(world: World, feed: str, rows: list[Row], name: str) -> None:
    folder = world.home / "inbox" / feed / "acme"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def contents(world: World) -> dict[str, pl.DataFrame]:
    logs = (*(log for stage in STAGES for log in stage.writes), FINALISED)
    return {log.name: world.content(log) for log in logs}


def flags(world: World) -> set[str]:
    found: set[str] = set()
    for stage in STAGES:
        for log in stage.writes:
            found |= set(world.live(log)["degraded_reasons"].explode(empty_as_null=True).drop_nulls())
    return found


@dataclass(frozen=True)
class Homes:
    """A home with sales and reports to which no feed came, and what one says to which every feed came."""

    without: Path
    undisturbed: Mapping[str, pl.DataFrame]


EVERY = frozenset(CONTEXT_FEEDS)
ALONE = [frozenset({feed}) for feed in CONTEXT_FEEDS]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Homes:
    without, undisturbed = (world_at(tmp_path_factory.mktemp("home")) for _ in range(2))
    send_good(undisturbed, EVERY)
    for world in (without, undisturbed):
        world.send(daily_sales(124, change=spike))
        world.tick()
    assert flags(without) == {reason(feed) for feed in EVERY}
    assert flags(undisturbed) == set()
    return Homes(without.home, contents(undisturbed))


def send_good(world: World, feeds: Iterable[str], name: str = "good.json") -> None:
    for feed in feeds:
        send(world, feed, [GOOD[feed], other(feed)], name)


def later(home: Path, hours: float, *faults: Fault, kind: type[World] = DirectWorld) -> World:
    """The same home some hours on."""
    world = world_at(home, *faults, kind=kind)
    assert isinstance(world.clock, SteppingClock)
    world.clock.now += timedelta(hours=hours)
    return world


MODES = [mode for mode in FEED_MODES if mode.name not in ("absent", "late")]  # see `homes` and test_lateness
ON_THE_GRAPH = ("missing column", "killed")
"""A file that is no use and a reader that is lost; what else goes wrong goes the same ways."""
IN_SHORT = {"missing column", "malformed rows", "killed"}
"""A file that is refused, one with rows that are, and a reader that is lost: the others go the same ways."""
CASES = [(EVERY, mode) for mode in sorted(MODES, key=lambda mode: mode.name not in IN_SHORT)]
CASES += [(feeds, MODES[1]) for feeds in ALONE]


@pytest.mark.few(len(IN_SHORT))
@pytest.mark.parametrize(
    ("feeds", "mode"),
    [pytest.param(feeds, mode, id=f"{mode.name}-{'-'.join(sorted(feeds))}") for feeds, mode in CASES],
)
def test_reports_come_out_say_why_and_heal(
    feeds: frozenset[str], mode: FailureMode, homes: Homes, tmp_path: Path
) -> None:
    failing = frozenset(feed for feed in feeds if applies(mode, feed))
    shutil.copytree(homes.without, tmp_path, symlinks=True, dirs_exist_ok=True)
    action: Any = FAULTS.get(mode.name)
    seconds = 600 if mode.name == "hanging" else 0.1
    faults = [Fault(point=f"{feed}_feed", action=action, seconds=seconds) for feed in failing if action]
    kind = World if mode.name in ON_THE_GRAPH and feeds == EVERY else DirectWorld
    world = later(tmp_path, 5, *faults, kind=kind)
    if mode.name == "hanging":
        limits = world.settings.isolation.model_copy(update={"seconds": 1.5})
        world = DirectWorld(world.home, world.settings.model_copy(update={"isolation": limits}), world.clock)
    for feed in failing:
        send(world, feed, FILES[mode.name](feed) if mode.name in FILES else [GOOD[feed], other(feed)], "bad.json")
    send_good(world, EVERY - feeds)
    world.tick()
    assert set(world.live(DETECTED)["report_id"]) == set(homes.undisturbed[DETECTED.name]["report_id"])
    flagged = failing if mode.outcome == "flagged" else frozenset()
    assert flags(world) == {reason(feed) for feed in flagged | (feeds - failing)}
    dead = world.query("SELECT feed FROM feed_arrivals_log WHERE rows_dead_lettered > 0")["feed"]
    assert mode.outcome != "dead letters" or set(dead) == failing
    mended = later(tmp_path, 10, kind=kind)
    send_good(mended, feeds, "good-again.json")
    mended.tick()
    assert flags(mended) == set()
    for name, rows in contents(mended).items():
        assert rows.equals(homes.undisturbed[name]), name


def test_every_feed_has_an_example_and_every_mode_is_tried() -> None:
    assert set(GOOD) == set(CONTEXT_FEEDS) == {name for name, feed in FEED_DECLARATIONS.items() if not feed.always}
    assert {mode.name for mode in FEED_MODES} == {"absent", "late", *FILES, *FAULTS}
