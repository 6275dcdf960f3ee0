from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.clustering.features import NAMES, Windows, vectors
from mrs_assets.clustering.library import build_library, match
from mrs_assets.clustering.shapes import FAMILIES, Family, drawn_onto, made_up
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.settings import Retailer
from tests.clustering.world import World, keeps_contract, range_equals_days, run

SHAPES = {
    "exact-doubling": [2.0] * 4,
    "drop-to-zero": [0.0] * 8,
    "partial-drop": [0.35] * 6,
    "single-tick-spike": [5.0],
    "single-tick-dip": [0.2],
    "gradual-rise": [1.1, 1.3, 1.6, 1.9, 2.2, 2.6, 3.0, 3.5, 4.0],
    "spike-decay": [4.5, 3.2, 2.4, 2.0, 1.6, 1.4, 1.2, 1.15],
    "sustained-uplift": [4.0] * 8,
    "level-shift-up": [1.6] * 45,
}


def simulate(
    family: Family, duration: tuple[int, int], peak: tuple[float, float], *, reach: str, count: int, seed: int
) -> Windows:
    return drawn_onto(made_up(count, seed), family, duration, peak, reach, seed)


def last_row(world: World) -> dict[str, object]:
    logs = world.logs()
    day = logs["detected"]["business_day"].max()
    rows = run(CLUSTERING_STAGE, logs, world.settings(), day, day)[CLUSTERED.name]
    return CLUSTERED.conform(rows).row(0, named=True)


@pytest.mark.parametrize(("cluster", "ratios"), SHAPES.items())
def test_a_clear_shape_gets_its_name(cluster: str, ratios: list[float]) -> None:
    world = World(days=90)
    world.anomaly("s1", "PIZZA", 40, ratios)
    row = last_row(world)
    assert row["cluster_id"] == cluster
    assert row["similarity_score"] > 0.5
    assert len(row["feature_vector"]) == len(NAMES)


def test_a_shape_like_nothing_known_is_novel() -> None:
    world = World()
    world.anomaly("s1", "PIZZA", 40, [9.0, 0.0, 0.0, 9.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0, 9.0])
    row = last_row(world)
    assert row["cluster_id"] == row["cluster_name"] == "novel"
    assert row["similarity_score"] < 0.5


def test_a_drop_of_the_whole_store_is_broad() -> None:
    world = World(stores=("s1", "s2", "s3"))
    for sku in world.skus:
        world.anomaly("s1", sku, 40, [0.2] * 3)
    assert last_row(world)["cluster_id"] == "broad-drop"


def test_missing_ticks_are_not_zeros() -> None:
    world = World()
    world.anomaly("s1", "PIZZA", 40, [3.0, None, None, 3.0, None, 3.0])
    vector = dict(zip(NAMES, last_row(world)["feature_vector"], strict=True))
    assert vector["zero_share"] == 0
    assert vector["shape_07"] == pytest.approx(np.log(305 / 105), abs=0.01)


def test_without_any_expectation_the_report_is_unclustered_and_says_why() -> None:
    world = World()
    world.anomaly("s1", "PIZZA", 40, [3.0, 3.0])
    logs = world.logs()
    logs["baseline"] = logs["baseline"].with_columns(expected_units=pl.lit(None, dtype=pl.Float64))
    rows = run(CLUSTERING_STAGE, logs, world.settings(), world.day(40), world.day(41))[CLUSTERED.name]
    assert rows["cluster_id"].null_count() == rows["feature_vector"].null_count() == rows.height == 2
    assert rows["degraded_reasons"].to_list() == [["baseline_down"]] * 2
    keeps_contract(CLUSTERING_STAGE, {CLUSTERED.name: rows})


def test_when_clustering_is_down_every_report_still_has_a_row() -> None:
    world = World()
    world.anomaly("s1", "PIZZA", 40, [3.0, 3.0])
    assert CLUSTERING_STAGE.fallback is not None
    down = replace(CLUSTERING_STAGE, compute=CLUSTERING_STAGE.fallback)
    frames = run(down, world.logs(), world.settings(), world.day(40), world.day(41))
    rows = frames[CLUSTERED.name]
    assert rows.height == 2
    assert rows["cluster_id"].null_count() == 2
    assert CLUSTERING_STAGE.down == "MRCL_down"
    keeps_contract(CLUSTERING_STAGE, frames)


def test_no_reports_give_an_empty_frame() -> None:
    world = World(days=5)
    frames = run(CLUSTERING_STAGE, world.logs(), world.settings(), world.day(0), world.day(4))
    assert frames[CLUSTERED.name].is_empty()
    keeps_contract(CLUSTERING_STAGE, frames)


@settings(max_examples=4, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(30, 45),
            st.lists(st.one_of(st.none(), st.floats(0, 6)), min_size=1, max_size=10),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from(["America/New_York", "Europe/London"]),
)
def test_a_range_equals_day_by_day(anomalies: list[tuple[int, list[float | None], bool]], zone: str) -> None:
    world = World(retailer=Retailer(timezone=zone), stores=("s1", "s2"), skus=("A", "B", "C"), expected=7.3)
    places = [(store, sku) for store in world.stores for sku in world.skus]
    for (store, sku), (start, ratios, ends) in zip(places, anomalies, strict=False):
        world.anomaly(store, sku, start, ratios, ends=ends)
    range_equals_days(CLUSTERING_STAGE, world.logs(), world.settings(), world.day(38), world.day(48))


def test_hourly_reports_cluster_across_the_change_of_clocks() -> None:
    retailer = Retailer(timezone="Europe/London", grain="1h")
    world = World(retailer=retailer, stores=("s1",), skus=("A", "B"), days=88)
    clocks_change = 84 * 24  # 26 March 2023
    world.anomaly("s1", "A", clocks_change - 2, [2.0] * 8)
    logs = world.logs()
    day = world.day(84)
    rows = range_equals_days(CLUSTERING_STAGE, logs, world.settings(), day - timedelta(days=1), day)[CLUSTERED.name]
    assert rows.height == 8
    assert rows.sort("tick")["cluster_id"].to_list()[-1] == "exact-doubling"


def test_the_library_is_the_same_every_time() -> None:
    first = build_library()
    build_library.cache_clear()
    assert build_library().version == first.version


def test_unseen_windows_find_their_family() -> None:
    library = build_library()
    right = []
    for place, family in enumerate(FAMILIES):
        windows = simulate(family, family.durations[-1], family.peaks[-1], reach=family.reach[0], count=60, seed=5)
        right.append(np.mean(match(library, vectors(windows)).family == place))
    assert np.mean(right) > 0.75
    assert min(right) > 0.4


@given(st.integers(0, 71), st.floats(0.0, 3.0), st.floats(0.01, 1.0))
@settings(max_examples=40, deadline=None)
def test_further_from_an_entry_is_never_more_similar(entry: int, far: float, further: float) -> None:
    library = build_library()
    place = entry % len(library.entries)
    centroid = library.entries[place]
    step = library.scale[place] * np.linspace(-1, 1, len(NAMES))
    near, away = (match(library, (centroid + step * d)[None, :]) for d in (0.0, far + further))
    assert near.similarity[0] == 1.0
    assert 0 <= away.similarity[0] <= 1
    assert 0 < away.confidence[0] <= 1


@given(st.integers(1, 60), st.floats(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_vector_does_not_depend_on_its_neighbours(length: int, ratio: float) -> None:
    windows = simulate(FAMILIES[0], (length, length), (ratio, ratio + 1), reach="own", count=9, seed=3)
    alone = Windows(**{name: value[4:5] for name, value in vars(windows).items()})
    assert np.array_equal(vectors(windows)[4:5], vectors(alone), equal_nan=True)
