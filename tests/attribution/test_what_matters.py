"""What attribution leaves unread of the sales: days that no answer depends on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.attribution.candidates import sales_matter_from
from mrs_assets.attribution.facts import BEFORE_DAYS, ZONE_DAYS
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.feeds.contextual_events import SIGNAL_TYPES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.stage import Frames, Inputs
from tests.attribution.feeds import (
    QUIET,
    START,
    campaign,
    promoted,
    signal,
    uplift,
    with_campaigns,
    with_promotions,
    with_signals,
)
from tests.clustering.world import Logs, World, clustered_as, run, same_rows

DAYS, ASKED = 220, 205


def uneven(**more: object) -> World:
    """A retailer whose sales and prices differ from day to day."""
    world = World(days=DAYS, stores=("s1", "s2", "s3"), skus=("PIZZA", "BREAD"), **more)  # type: ignore[arg-type]
    rng = np.random.default_rng(5)
    for store in world.stores:
        for sku in world.skus:
            for n, (units, price) in enumerate(zip(rng.poisson(100, DAYS), rng.uniform(1.5, 2.5, DAYS), strict=True)):
                world.units[store, sku, n] = float(units)
                world.prices[store, sku, n] = round(float(price), 2)
    return world


@given(
    st.lists(st.tuples(st.integers(1, 80), st.floats(0, 4)), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(60, 215), st.integers(0, 120)), max_size=3),
    st.lists(st.tuples(st.floats(60, 215), st.floats(0, 30), st.sampled_from(SIGNAL_TYPES)), max_size=3),
    st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_sales_of_the_days_before_what_matters_change_no_answer(
    reports: list[tuple[int, float]],
    spans: list[tuple[int, int]],
    signals: list[tuple[float, float, str]],
    holidays: bool,
) -> None:
    world = uneven() if holidays else uneven(retailer=QUIET)
    places = [(store, sku) for store in world.stores for sku in world.skus]
    for (store, sku), (age, ratio) in zip(places, reports, strict=False):
        world.anomaly(store, sku, ASKED + 3 - age, [ratio] * age)
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "exact-doubling")
    logs = with_promotions(logs, *(promoted(world, s, s + n, promotion_id=f"P{i}") for i, (s, n) in enumerate(spans)))
    logs = with_campaigns(logs, *(campaign(world, s, s + n, campaign_id=f"C{i}") for i, (s, n) in enumerate(spans)))
    logs = with_signals(logs, *(signal(world, s, s + n, k, event_id=f"E{i}") for i, (s, n, k) in enumerate(signals)))
    days = world.day(ASKED), world.day(ASKED + 1)
    answers, again = (
        run(stage, logs, world.settings(), *days)[ATTRIBUTED.name]
        for stage in (ATTRIBUTION_STAGE, replace(ATTRIBUTION_STAGE, compute=from_what_matters))
    )
    same_rows(ATTRIBUTED, answers, again)


def from_what_matters(inputs: Inputs) -> Frames:
    """What attribution says without the sales of earlier days."""
    series = inputs["series"].filter(pl.col("business_day") >= sales_matter_from(inputs))
    return ATTRIBUTION_STAGE.compute(replace(inputs, frames={**inputs.frames, "series": series}))


def first_that_matters(world: World, logs: Logs, first: int, last: int) -> date:
    told: list[date] = []

    def ask(inputs: Inputs) -> Frames:
        told.append(sales_matter_from(inputs))
        return {}

    run(replace(ATTRIBUTION_STAGE, compute=ask), logs, world.settings(), world.day(first), world.day(last))
    return told[0]


def test_where_nothing_dated_could_explain_a_report_only_the_weeks_before_its_window_matter() -> None:
    world = World(retailer=QUIET)
    before = timedelta(days=BEFORE_DAYS + ZONE_DAYS)
    assert first_that_matters(world, uplift(world), 42, 43) == world.day(START) - before


def test_of_days_without_a_report_no_earlier_sales_matter() -> None:
    world = World(retailer=QUIET)
    assert first_that_matters(world, uplift(world), 20, 21) == world.day(20)
