"""Channels that take nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mrs_assets.alert_watch.delivering import deliver
from mrs_resources.notifier import Notifier
from tests.alerting.receivers import webhook
from tests.slo.levels import DAYS, checks, copied, sales, time_passes, value_of
from tests.slo.stories.story import Acts, Story
from tests.world import World

CHANNELS = {
    "desk": {"url_env": "MRS_TEST_DESK", "kinds": ["operational"]},
    "pager": {"url_env": "MRS_TEST_PAGER", "kinds": ["operational"], "digest": False},
}
SECONDS = 10
"""How long a receiver may take to answer; it answers at once."""


def the_alert_that_alerts_are_late_is_late_itself(known: World, home: Path) -> Acts:
    world = copied(known, home, alerts={"channels": CHANNELS})
    with webhook(faults=("500",)) as desk, webhook(faults=("500",)) as pager:
        addresses = {"MRS_TEST_DESK": desk.url, "MRS_TEST_PAGER": pager.url}

        def delivered() -> dict[tuple[str, str], int]:
            return deliver(world.warehouse, world.settings, Notifier(SECONDS, addresses, lambda _: None))

        world.send(pl.DataFrame({"shop": ["s1"], "amount": [3]}), "strange.csv")
        world.tick()
        checks(world)
        assert delivered() == {("desk", "sent"): 1, ("pager", "sent"): 1}
        desk.outages = 1
        time_passes(world, hours=37)
        checks(world)
        assert delivered() == {("desk", "failed"): 1, ("pager", "sent"): 1}
        yield world
        time_passes(world, minutes=6)
        late = yield world
        assert value_of(late) == 3 / 4
        pager.outages = 1
        assert delivered() == {("desk", "failed"): 1, ("pager", "failed"): 1}
        time_passes(world, minutes=6)
        later = yield world
        assert value_of(later) == 3 / 5
        desk.outages = pager.outages = 0
        assert {outcome for _, outcome in delivered()} == {"sent"}
        assert any("alerts_are_delivered_in_time is not true" in one.title for one in pager.taken)
        assert not checks(world)["alerts_are_delivered_in_time"].passed, "being told now does not undo that it was late"
        time_passes(world, days=8)
        world.send(sales(DAYS, DAYS + 1), "next.csv")
        world.tick()
        yield world


STORIES = {"alerts_are_delivered_in_time": Story(the_alert_that_alerts_are_late_is_late_itself, subject="*")}
