"""What attribution leaves unread of the sales: days, and other stores, that no answer depends on."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import partial

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.attribution.candidates import others_matter, sales_matter_from
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


@st.composite
def reported(draw: st.DrawFn) -> tuple[World, Logs]:
    """A few reports, and what could explain them, or nothing that could."""
    world = uneven() if draw(st.booleans()) else uneven(retailer=QUIET)
    places = [(store, sku) for store in world.stores for sku in world.skus]
    reports = draw(st.lists(st.tuples(st.integers(1, 80), st.floats(0, 4)), min_size=1, max_size=6))
    spans = draw(st.lists(st.tuples(st.integers(60, 215), st.integers(0, 120)), max_size=3))
    signal_of = st.tuples(st.floats(60, 215), st.floats(0, 30), st.sampled_from(SIGNAL_TYPES))
    signals = draw(st.lists(signal_of, max_size=3))
    for (store, sku), (age, ratio) in zip(places, reports, strict=False):
        world.anomaly(store, sku, ASKED + 3 - age, [ratio] * age)
        if draw(st.booleans()):
            for n in range(ASKED + 3 - age, ASKED + 3):
                world.prices[store, sku, n] = 0.9
    logs = world.logs()
    logs["clustered"] = clustered_as(logs, {}, "exact-doubling")
    logs = with_promotions(logs, *(promoted(world, s, s + n, promotion_id=f"P{i}") for i, (s, n) in enumerate(spans)))
    logs = with_campaigns(logs, *(campaign(world, s, s + n, campaign_id=f"C{i}") for i, (s, n) in enumerate(spans)))
    return world, with_signals(
        logs, *(signal(world, s, s + n, k, event_id=f"E{i}") for i, (s, n, k) in enumerate(signals))
    )


@given(reported())
@settings(max_examples=15, deadline=None)
def test_sales_of_the_days_before_what_matters_change_no_answer(told: tuple[World, Logs]) -> None:
    world, logs = told
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


@given(reported())
@settings(max_examples=15, deadline=None)
def test_what_compares_with_no_other_store_is_answered_alike_without_them(told: tuple[World, Logs]) -> None:
    world, logs = told
    days = world.day(ASKED), world.day(ASKED + 1)
    answers = run(ATTRIBUTION_STAGE, logs, world.settings(), *days)[ATTRIBUTED.name]
    assert answers["compares_stores"].null_count() == 0
    alone = answers.filter(~pl.col("compares_stores"))
    for (store,), own in alone.group_by("store_id"):
        by_itself = replace(ATTRIBUTION_STAGE, compute=partial(without_others, str(store)))
        again = run(by_itself, logs, world.settings(), *days)[ATTRIBUTED.name]
        same_rows(ATTRIBUTED, own, again.join(own, on=ATTRIBUTED.key, how="semi"))


def without_others(store: str, inputs: Inputs) -> Frames:
    """What attribution says where it sees one store, and whether it says that this will do."""
    own = {name: inputs[name].filter(store_id=store) for name in ("detected", "series")}
    frames = ATTRIBUTION_STAGE.compute(replace(inputs, frames={**inputs.frames, **own}))
    everything = {**inputs.frames, "series": own["series"]}
    if not others_matter(replace(inputs, frames=everything)):
        assert not frames[ATTRIBUTED.name]["compares_stores"].any()
    return frames


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
