"""Files and rows that are not as they should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_resources.dead_letters import dismiss, letters
from mrs_resources.log_store import EVER
from tests.slo.levels import DAYS, WRITER, checks, copied, sales, time_passes, value_of, worst_of
from tests.slo.stories.story import Acts, Story
from tests.world import World


def more_than_one_row_in_a_hundred_is_too_many_until_they_are_dealt_with(known: World, home: Path) -> Acts:
    world = copied(known, home)
    broken = pl.lit("many")
    world.send(sales(DAYS, DAYS + 1).with_columns(units=broken), "broken.csv")
    world.tick()
    few = yield world
    assert value_of(few) == pytest.approx(4 / 492)
    world.send(sales(DAYS + 1, DAYS + 2).with_columns(units=broken), "broken-too.csv")
    world.tick()
    dirty = yield world
    assert value_of(dirty) == pytest.approx(8 / 496)
    assert sum(row["dead letters"] for row in worst_of(dirty)) == 8
    world.send(sales(DAYS + 2, DAYS + 4).with_columns(units=broken), "broken-again.csv")
    world.tick()
    yield world
    with world.warehouse.store.transaction() as tx:
        dismiss(tx, letters(tx), "ada", "The till was being tested.", WRITER)
    yield world


def a_file_that_nothing_was_used_of_is_told_until_somebody_saw_it(known: World, home: Path) -> Acts:
    world = copied(known, home)
    yield world
    world.send(pl.DataFrame({"shop": ["s1"], "amount": [3]}), "strange.csv")
    world.tick()
    strange = yield world
    assert value_of(strange) == 1
    world.send(pl.DataFrame({"shop": ["s2"], "amount": [4]}), "stranger.csv")
    world.tick()
    yield world
    with world.warehouse.store.transaction() as tx:
        dismiss(tx, letters(tx, logs=[ARRIVALS]), "ada", "Not ours.", WRITER)
    yield world
    time_passes(world, days=100)
    assert value_of(checks(world)["every_file_is_used"]) == 0, "silence does not make it unknown"


def rows_that_nobody_accounts_for_are_found(known: World, home: Path) -> Acts:
    world = copied(known, home)
    account = world.live(ARRIVALS).select(list(ARRIVALS.body))

    def accounted(off_by: int) -> None:
        with world.warehouse.store.transaction() as tx:
            short = account.with_columns(pl.col("rows_accepted") - off_by)
            tx.append(ARRIVALS, short, replace(EVER, complete=False), WRITER)

    yield world
    accounted(3)
    wrong = yield world
    assert value_of(wrong) == 3
    assert worst_of(wrong)[0]["file"] == "history.csv"
    accounted(5)
    yield world
    accounted(0)
    yield world


def half_a_delivery_is_not_as_usual_and_the_other_half_mends_it(known: World, home: Path) -> Acts:
    world = copied(known, home)
    yield world
    whole = sales(DAYS, DAYS + 1)
    world.send(whole.head(1), "quarter.csv")
    world.tick()
    unusual = yield world
    assert worst_of(unusual)[0] | {"day": ""} == {"retailer": "acme", "day": "", "rows": 1, "usual": 4.0, "off": 0.75}
    world.send(sales(DAYS + 2, DAYS + 3), "a-day-too-far.csv")
    world.tick()
    skipped = yield world
    assert worst_of(skipped)[0]["rows"] == 0
    world.send(sales(DAYS, DAYS + 2), "whole.csv")
    world.tick()
    yield world


def a_column_that_comes_is_told_once_and_is_then_known(known: World, home: Path) -> Acts:
    world = copied(known, home)
    day = DAYS

    def sent(name: str, *more: str) -> None:
        nonlocal day
        world.send(sales(day, day + 1).with_columns(pl.lit("7").alias(column) for column in more), name)
        world.tick()
        day += 1

    sent("next.csv")
    yield world
    sent("wider.csv", "till")
    drifted = yield world
    assert worst_of(drifted) == [
        {"retailer": "acme", "feed": "sales", "file": "wider.csv", "gone": "", "added": "till"}
    ]
    sent("wider-still.csv", "till", "lane", "clerk")
    yield world
    sent("as-wide.csv", "till", "lane", "clerk")
    yield world


STORIES = {
    "few_rows_are_dead_lettered": Story(more_than_one_row_in_a_hundred_is_too_many_until_they_are_dealt_with),
    "every_file_is_used": Story(a_file_that_nothing_was_used_of_is_told_until_somebody_saw_it),
    "every_received_row_is_accounted_for": Story(rows_that_nobody_accounts_for_are_found),
    "volume_is_as_usual": Story(half_a_delivery_is_not_as_usual_and_the_other_half_mends_it),
    "columns_stay_the_same": Story(a_column_that_comes_is_told_once_and_is_then_known),
}
