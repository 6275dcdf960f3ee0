"""Conformance: what holds for every declared stage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.boundary import pieces
from mrs_assets.boundary.reading import InputReader
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.contract import COORDINATES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import ContextFeed
from mrs_assets.contracts.stage import Frames, Input, Inputs, Others, Stage
from mrs_assets.graph import STAGES
from mrs_resources.isolation import WORKER
from mrs_resources.kernel import Provenance
from tests.conftest import SteppingClock
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.stories.test_one_anomaly import SPIKE
from tests.world import FIRST_DAY, REPORTS_FROM, World, daily_sales, settings_for, unsteady_price

DAYS = 124
MOVED = {("s1", "eggs"), ("s2", "eggs"), ("s3", "tea")}
EACH_STAGE = pytest.mark.parametrize("stage", STAGES, ids=lambda s: s.name)
EACH_WANT = pytest.mark.parametrize(
    ("stage", "want"), [(s, w) for s in STAGES for w in s.wants], ids=lambda v: v if isinstance(v, str) else v.name
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with in_memory.warehouses_in_memory():
        yield world_at(tmp_path_factory.mktemp("stages"))


def moved(store: str, sku: str, day: date, units: float) -> float:
    """Eggs when much speaks for a cause, tea at another price, and milk when nothing does."""
    is_quiet_time = REPORTS_FROM < day < REPORTS_FROM + timedelta(days=4)
    return units * 3 if (is_quiet_time if sku == "milk" else day in SPIKE and (store, sku) in MOVED) else units


def world_at(home: Path) -> World:
    in_memory.begin(home)
    feeds = {name: ContextFeed() for name in ("promotions", "campaigns", "contextual_events", "stores")}
    clock = SteppingClock()
    world = World(home, settings_for(home).model_copy(update={"feeds": feeds}), clock)
    first, last = FIRST_DAY + timedelta(days=117), FIRST_DAY + timedelta(days=121)
    price = pl.when(pl.col("sku") == "tea").then(unsteady_price("s3", SPIKE)).otherwise(1.0)
    world.send(daily_sales(DAYS, change=moved).with_columns(revenue=pl.col("revenue") * price))
    span = {"start_day": [first], "end_day": [last]}
    world.send(
        pl.DataFrame({"promotion_id": ["p1"], "store_id": ["s2"], "sku": ["eggs"], **span}), "p.json", feed="promotions"
    )
    world.send(pl.DataFrame({"campaign_id": ["c1"], "skus": [["eggs"]], **span}), "c.json", feed="campaigns")
    signal = {"event_id": ["e1"], "signal_type": ["social"], "title": ["Egg clip"], "skus": [["eggs"]]}
    when = {"starts_at": [f"{first}T00:00:00Z"], "ends_at": [f"{last}T00:00:00Z"]}
    world.send(pl.DataFrame({**signal, **when}), "e.json", feed="contextual_events")
    stores = {"store_id": ["s1", "s2", "s3"], "region": ["north", "north", "south"]}
    world.send(pl.DataFrame(stores), "s.json", feed="stores")
    assert Home(world.settings, clock).tick().failed == []
    return world


def inputs_of(world: World, stage: Stage, stores: tuple[str, ...] | None = None) -> Inputs:
    last = FIRST_DAY + timedelta(days=DAYS - 1)
    retailer = None if stage.span == "everything" else "acme"
    reader = InputReader(world.warehouse.models, world.settings, Provenance("test", "1"))
    with world.warehouse.store.transaction() as tx:
        return reader.read(tx, stage, Scope(REPORTS_FROM, last, retailer, stores))


def without(inputs: Inputs, stage: Stage, wants: set[str]) -> Inputs:
    """The same inputs with some wants configured and not there."""
    configured = replace(inputs, unconfigured=frozenset())
    return configured.withholding({name: stage.wants[name] for name in wants})


def logs_of(stage: Stage) -> dict[str, Input]:
    """Every log that a stage reads, by the name of the input."""
    return stage.needs | {name: want.log for name, want in stage.wants.items() if want.log is not None}


def seeing_all(stage: Stage) -> Stage:
    """The same stage, shown every row of its needs."""
    return replace(stage, needs={name: replace(need, others=Others()) for name, need in stage.needs.items()})


def column_for_others(stage: Stage) -> str:
    """The column by which its answers say whether other stores matter to them."""
    return next(filter(None, (w.others.told_by for w in logs_of(stage).values() if w.others)), "")


def content(stage: Stage, frames: Frames) -> dict[str, pl.DataFrame]:
    return {c.name: c.conform(frames[c.name]).select(list(dict.fromkeys(c.hashed))).sort(c.key) for c in stage.writes}


def assert_same(stage: Stage, left: Frames, right: Frames) -> None:
    ours, theirs = content(stage, left), content(stage, right)
    for name, frame in ours.items():
        assert_frame_equal(frame, theirs[name])


@EACH_STAGE
def test_it_is_described_and_has_rows_to_show_for(stage: Stage, world: World) -> None:
    assert len(stage.description) > 20
    assert stage.compute(inputs_of(world, stage))[stage.writes[0].name].height > 0


@EACH_STAGE
def test_the_same_inputs_in_any_order_give_the_same_rows(stage: Stage, world: World) -> None:
    inputs = inputs_of(world, stage)
    shuffled = {name: frame.sample(fraction=1.0, shuffle=True, seed=3) for name, frame in inputs.frames.items()}
    once = stage.compute(inputs)
    assert_same(stage, once, stage.compute(inputs))
    assert_same(stage, once, stage.compute(replace(inputs, frames=shuffled)))


@pytest.mark.parametrize("stage", [s for s in STAGES if any(w.matters_from for w in s.reads)], ids=lambda s: s.name)
def test_days_that_matter_to_no_row_are_not_read(stage: Stage, world: World) -> None:
    inputs = inputs_of(world, stage)
    for name, want in stage.wants.items():
        if want.log is not None and want.log.matters_from is not None:
            assert FIRST_DAY < want.log.matters_from(inputs) == inputs[name]["business_day"].min()


@EACH_STAGE
def test_its_rows_keep_their_contracts_and_lie_in_scope(stage: Stage, world: World) -> None:
    inputs = inputs_of(world, stage)
    for contract in stage.writes:
        frame = contract.conform(stage.compute(inputs)[contract.name])
        assert contract.admit(frame)[1].height == 0
        assert frame["business_day"].is_between(inputs.scope.first_day, inputs.scope.last_day).all()
        assert frame.unique(contract.key).height == frame.height


@EACH_WANT
def test_it_emits_the_same_keys_without_an_input_that_it_only_wants(stage: Stage, want: str, world: World) -> None:
    inputs = inputs_of(world, stage)
    whole, poorer = stage.compute(inputs), stage.compute(without(inputs, stage, {want}))
    main = stage.writes[0]
    assert set(poorer[main.name].select(main.key).rows()) == set(whole[main.name].select(main.key).rows())
    assert main.admit(main.conform(poorer[main.name]))[1].height == 0


@EACH_STAGE
def test_it_survives_without_anything_that_it_only_wants(stage: Stage, world: World) -> None:
    inputs = inputs_of(world, stage)
    poorest = stage.compute(without(inputs, stage, set(stage.wants)))
    main = stage.writes[0]
    assert set(poorest[main.name].select(main.key).rows()) == set(
        stage.compute(inputs)[main.name].select(main.key).rows()
    )


@pytest.mark.parametrize("stage", [s for s in STAGES if not s.critical], ids=lambda s: s.name)
def test_its_fallback_keeps_every_key(stage: Stage, world: World) -> None:
    inputs = inputs_of(world, stage)
    assert stage.fallback is not None
    main = stage.writes[0]
    fallen = main.conform(stage.fallback(inputs)[main.name])
    assert set(fallen.select(main.key).rows()) == set(stage.compute(inputs)[main.name].select(main.key).rows())
    assert main.admit(fallen)[1].height == 0


@pytest.mark.parametrize("stage", [s for s in STAGES if s.span == "retailer"], ids=lambda s: s.name)
def test_a_store_alone_is_told_what_it_is_told_among_all(stage: Stage, world: World) -> None:
    (log,) = stage.writes
    among_all = content(stage, stage.compute(inputs_of(world, seeing_all(stage))))[log.name]
    assert among_all.height > 0
    for store in among_all["store_id"].unique():
        alone = content(stage, stage.compute(inputs_of(world, stage, (store,))))[log.name]
        assert_frame_equal(alone, among_all.filter(store_id=store))


@pytest.mark.parametrize(
    ("stage", "name"),
    [(s, name) for s in STAGES for name, w in logs_of(s).items() if w.others and w.others.columns is not None],
    ids=lambda v: v if isinstance(v, str) else v.name,
)
def test_of_other_stores_it_sees_the_columns_that_it_declares(stage: Stage, name: str, world: World) -> None:
    wanted = logs_of(stage)[name]
    assert wanted.others is not None
    shown = {*COORDINATES, "store_id", "sku", *wanted.contract.key, *(wanted.others.columns or ())}
    hidden = [pl.lit(None, dtype=t).alias(c) for c, t in wanted.contract.body.items() if c not in shown]
    assert hidden
    log = stage.writes[0]
    for store in (None,) if stage.span == "everything" else ("s1", "s2", "s3"):
        inputs = inputs_of(world, seeing_all(stage), None if store is None else (store,))
        rows, is_other = inputs[name], pl.lit(value=True) if store is None else pl.col("store_id") != store
        others = rows.filter(is_other).with_columns(hidden)
        assert others.height > 0
        frames = {**inputs.frames, name: pl.concat([rows.filter(~is_other), others])}
        seen = content(stage, stage.compute(inputs))[log.name]
        assert seen.height > 0
        assert_frame_equal(content(stage, stage.compute(replace(inputs, frames=frames)))[log.name], seen)


@pytest.mark.parametrize("stage", [s for s in STAGES if column_for_others(s)], ids=lambda s: s.name)
def test_an_answer_says_whether_other_stores_matter_to_it(stage: Stage, world: World) -> None:
    column, log = column_for_others(stage), stage.writes[0]
    inputs = inputs_of(world, stage)
    answers = content(stage, stage.compute(inputs))[log.name]
    assert {*answers[column]} == {True, False}
    concerned = [name for name, wanted in logs_of(stage).items() if wanted.others and wanted.others.told_by]
    differing = False
    for store in answers["store_id"].unique():
        alone = {name: inputs[name].filter(store_id=store) for name in concerned}
        by_itself = content(stage, stage.compute(replace(inputs, frames={**inputs.frames, **alone})))[log.name]
        own = answers.filter(store_id=store)
        assert_frame_equal(by_itself.filter(~own[column]), own.filter(~own[column]))
        differing |= not by_itself.equals(own)
    assert differing


@pytest.mark.parametrize(
    ("stage", "name"),
    [(s, name) for s in STAGES for name, w in logs_of(s).items() if w.others and w.others.outdated],
    ids=lambda v: v if isinstance(v, str) else v.name,
)
def test_answers_that_others_make_different_are_outdated(stage: Stage, name: str, world: World) -> None:
    inputs, log = inputs_of(world, seeing_all(stage)), stage.writes[0]
    wanted = logs_of(stage)[name]
    assert wanted.others is not None
    assert wanted.others.outdated is not None
    answers = content(stage, stage.compute(inputs))[log.name]
    assert wanted.others.outdated(inputs, answers).is_empty()
    different = same = 0
    for store in ("s1", "s2"):
        others, kept = pl.col("store_id") != store, ~((pl.col("store_id") == store) & (pl.col("sku") == "eggs"))
        without_it = replace(inputs, frames={**inputs.frames, name: inputs[name].filter(kept)})
        then, now = (rows.filter(others) for rows in (answers, content(stage, stage.compute(without_it))[log.name]))
        outdated = wanted.others.outdated(without_it, then).sort(log.key)
        assert_frame_equal(outdated, then.filter(then.hash_rows() != now.hash_rows()))
        different, same = different + outdated.height, same + then.height - outdated.height
    assert different
    assert same


@pytest.mark.parametrize("stage", [s for s in STAGES if s.span != "everything"], ids=lambda s: s.name)
def test_in_small_pieces_it_writes_what_it_wrote_at_once(
    stage: Stage, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(pieces, "LEAST_DAYS", 2)
    monkeypatch.setattr(WORKER, "run", lambda _limits, compute, *inputs: compute(*inputs))
    runner = StageRunner(world.warehouse.store, world.warehouse.models, world.settings)
    scope = Scope(REPORTS_FROM, FIRST_DAY + timedelta(days=DAYS - 1), "acme")
    done = runner.run(stage, scope, Provenance("test", "1"))
    assert len(done.parts) > 1
    assert sum(each.offered for each in done.appended[stage.name]) > 0
    assert [each.changed for each in done.appended[stage.name]] == [0] * len(done.parts)
