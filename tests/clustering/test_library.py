from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from mrs_assets.clustering.features import NAMES
from mrs_assets.clustering.library import ForeignLibraryError, Sample, build_library, dump, library_of, load, match
from mrs_assets.clustering.proposals import decided, proposed
from mrs_assets.clustering.stage import CLUSTERING_STAGE, MODEL
from mrs_assets.clustering.teaching import drawn_samples, learn_library
from mrs_assets.clustering.trainable import CLUSTER_LIBRARY
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.proposed_clusters import PROPOSED_CLUSTERS
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Model
from mrs_assets.contracts.trainable import Lessons
from tests.clustering.world import FIRST, Logs, World, frame_of, run, stored

JAGGED = [9.0, 0.0, 0.0, 9.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0, 9.0]


def lessons(**frames: pl.DataFrame) -> Lessons:
    world = World(retailer=Retailer(timezone="America/New_York"), days=140, stores=("s1", "s2"), skus=("A", "B"))
    rng = np.random.default_rng(5)
    for at in [(s, k, n) for s in world.stores for k in world.skus for n in range(world.days)]:
        world.units[at] = float(rng.poisson(world.expected))
    logs = world.logs()
    empty = {name: log.empty(stored=True) for name, log in CLUSTER_LIBRARY.reads.items()}
    told = {"series": logs["series"], "baseline": logs["baseline"], **frames}
    return Lessons(world.settings(), empty | told)


@pytest.fixture(scope="module")
def novel() -> Logs:
    """Twelve reports of one odd shape, clustered."""
    world = World(stores=tuple(f"s{n}" for n in range(12)), skus=("PIZZA", "BREAD"))
    for store in world.stores:
        world.anomaly(store, "PIZZA", 40, JAGGED)
    logs = world.logs()
    rows = run(CLUSTERING_STAGE, logs, world.settings(), world.day(40), world.day(50))[CLUSTERED.name]
    return logs | {"clustered": stored(CLUSTERED, rows)}


def test_the_same_lessons_give_the_same_library_and_it_is_read_back() -> None:
    once, again = learn_library(lessons()), learn_library(lessons())
    assert once == again
    assert dump(load(once.artefact)) == once.artefact
    assert once.metrics["accuracy"] > 0.75


def test_another_library_has_another_version() -> None:
    built_in = build_library()
    assert load(learn_library(lessons()).artefact).version != built_in.version
    assert load(dump(built_in)).version == built_in.version


@pytest.mark.parametrize(
    "foreign",
    [
        b"",
        b"\x80\x04.",
        b"[]",
        dump(build_library()).replace(b'"parity"', b'"purity"'),
        dump(build_library()).replace(b'"cluster-library-1"', b'"cluster-library-0"'),
        dump(build_library()).replace(b'"softness": ', b'"softness": -'),
        dump(build_library()).replace(b'"radius": [', b'"radius": [1.0,'),
    ],
    ids=["empty", "a pickle", "a list", "other features", "another format", "negative", "one too many"],
)
def test_bytes_that_are_no_library_of_ours_are_refused(foreign: bytes) -> None:
    with pytest.raises(ForeignLibraryError):
        load(foreign)


def test_the_library_in_force_places_reports_and_the_rows_name_its_version() -> None:
    world = World(days=60)
    world.anomaly("s1", "PIZZA", 40, [4.0] * 8)
    library = build_library()
    samples = [Sample("seen-before", "seen before", np.repeat(library.entries[:1], 20, axis=0))]
    models = {MODEL: Model("v-2", library_of([*samples, *samples]))}
    day = world.day(47)
    rows = run(CLUSTERING_STAGE, world.logs(), world.settings(), day, day, models)[CLUSTERED.name]
    assert set(rows["model_version"]) == {"v-2"}
    assert set(rows["cluster_id"]) <= {"seen-before", "novel"}
    without = run(CLUSTERING_STAGE, world.logs(), world.settings(), day, day)[CLUSTERED.name]
    assert set(without["model_version"]) == {library.version}
    assert not without["is_degraded"].any()


def test_a_family_that_the_library_lacks_is_novel_where_nothing_is_like_it() -> None:
    whole = build_library()
    zeros = [place for place, family in enumerate(whole.families) if family == "drop-to-zero"]
    entries = whole.entries[np.isin(whole.family_of, zeros)]
    assert set(match(whole, entries).family) == set(zeros)
    samples = [s for s in drawn_samples_of_formulas() if "drop" not in s.family and "dip" not in s.family]
    assert (match(library_of(samples), entries).family == -1).all()


def drawn_samples_of_formulas() -> list[Sample]:
    from mrs_assets.clustering.backgrounds import QuietTimes

    told = lessons()
    return drawn_samples(QuietTimes(told["series"], told["baseline"]), 1)


def test_novel_reports_that_look_alike_are_proposed_once(novel: Logs) -> None:
    clustered, library = novel["clustered"], build_library()
    found = proposed(clustered, PROPOSED_CLUSTERS.empty(stored=True), library)
    assert found.height == 1
    row = found.row(0, named=True)
    assert row["member_count"] == len(row["members"]) >= 8
    assert row["decision"] == "proposed"
    assert row["stability"] > 0.5
    assert "jagged" in row["suggested_name"]
    assert PROPOSED_CLUSTERS.admit(found)[1].is_empty()
    shuffled = clustered.sample(fraction=1.0, shuffle=True, seed=4)
    assert proposed(shuffled, PROPOSED_CLUSTERS.empty(stored=True), library).equals(found)
    assert proposed(clustered, stored(PROPOSED_CLUSTERS, found), library).is_empty()


def test_an_approved_proposal_is_a_cluster_of_the_next_library(novel: Logs) -> None:
    found = proposed(novel["clustered"], PROPOSED_CLUSTERS.empty(stored=True), build_library())
    name = found["proposal_id"][0]
    approved = decided(stored(PROPOSED_CLUSTERS, found), name, "approved", "on and off", "ann")
    taught = learn_library(lessons(clustered=novel["clustered"], proposals=stored(PROPOSED_CLUSTERS, approved)))
    library = load(taught.artefact)
    vector = np.array([[np.nan if x is None else x for x in found["centroid"][0]]])
    place = match(library, vector).family[0]
    assert (library.families[place], library.names[place]) == (name, "on and off")


def test_an_approval_needs_a_name_and_a_proposal(novel: Logs) -> None:
    found = stored(
        PROPOSED_CLUSTERS, proposed(novel["clustered"], PROPOSED_CLUSTERS.empty(stored=True), build_library())
    )
    name = found["proposal_id"][0]
    with pytest.raises(UserMistake, match="needs a name"):
        decided(found, name, "approved", "  ", "ann")
    with pytest.raises(UserMistake, match="no proposal 'novel-1'"):
        decided(found, "novel-1", "rejected", None, "ann")
    assert decided(found, name, "rejected", None, "ann")["cluster_name"][0] is None


def test_reports_that_people_confirmed_make_entries_of_their_cluster(novel: Logs) -> None:
    rows = novel["clustered"].sort("tick").group_by("report_id", maintain_order=True).last()
    records = [
        {
            "retailer": row["retailer"],
            "business_day": FIRST + timedelta(days=50),
            "report_id": row["report_id"],
            "tick": row["tick"],
            "store_id": row["store_id"],
            "sku": row["sku"],
            "first_detected_from": row["tick"],
            "window_start": row["tick"],
            "event_status": "ended",
            "direction": "up",
            "impact_unit": "units",
            "final_decision": "approved",
            "annotation_id": "A1",
            "cluster_id": "partial-drop",
            "cluster_name": "partial drop",
            "report_status": "finalised",
        }
        for row in rows.iter_rows(named=True)
    ]
    before, after = (
        learn_library(lessons(clustered=novel["clustered"], **told)).metrics["entries"]
        for told in ({}, {"finalised": stored(FINALISED, frame_of(FINALISED, records))})
    )
    assert after > before
    assert len(NAMES) == len(novel["clustered"]["feature_vector"][0])
