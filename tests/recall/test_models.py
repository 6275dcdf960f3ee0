"""Another version in force: who belongs to what changed is recalled, whoever is not stays as concluded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from mrs_assets.attribution.fitted import dump as dump_choice
from mrs_assets.attribution.stage import MODEL as CHOICE
from mrs_assets.attribution.stage import MODEL_VERSION
from mrs_assets.clustering.library import build_library, dump
from mrs_assets.clustering.splitting import split
from mrs_assets.clustering.stage import MODEL as LIBRARY
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.rereview import RECLUSTERED
from mrs_resources.kernel import Provenance
from mrs_resources.model_registry import approve, register
from tests.attribution.test_learnt_choice import learnt
from tests.recall.conftest import days_pass, report_of, reports, rounds, versions
from tests.world import World

BY = Provenance("test", "1")


def put_in_force(world: World, model: str, artefact: bytes) -> str:
    digest = world.warehouse.models.save(artefact)
    version = f"{model}-{digest[:12]}"
    row: dict[str, Any] = {"model_name": model, "model_version_id": version, "artefact_hash": digest}
    now = world.clock()
    row |= {"retailer": "*", "business_day": now.date(), "trained_on_from": now.date(), "trained_on_to": now.date()}
    with world.warehouse.store.transaction() as tx:
        register(tx, row | {"metrics": "{}"}, BY)
        approve(tx, model, version, "ada", BY)
    return version


def in_cluster(world: World, cluster: str) -> set[str]:
    with world.warehouse.store.transaction() as tx:
        rows = tx.live(CLUSTERED).sort("tick").group_by("report_id").last()
    return set(rows.filter(cluster_id=cluster)["report_id"])


def test_a_cluster_that_is_split_has_all_its_past_reports_re_evaluated(past: World) -> None:
    cluster = str(report_of(past, "s1", "eggs")["cluster_id"])
    members, before = in_cluster(past, cluster), past.clock()
    was = versions(past, CLUSTERED, ATTRIBUTED)
    others = set(reports(past)["report_id"]) - members
    put_in_force(past, LIBRARY, dump(split(build_library(), cluster, "school fair", "viral wave")))
    past.tick()
    assert set(rounds(past)["report_id"]) == members
    assert others.isdisjoint(rounds(past)["report_id"])
    assert set(rounds(past)["trigger_reason"]) == {"cluster_split"}
    now = reports(past).filter(pl.col("report_id").is_in(members))
    assert set(now["cluster_id"]) <= {"school-fair", "viral-wave"}
    assert set(now["source_used_structure"]) == {"rereview"}
    then = reports(past, before).filter(pl.col("report_id").is_in(members))
    assert set(then["cluster_id"]) == {cluster}
    assert versions(past, CLUSTERED, ATTRIBUTED) == was, "the originals stand"
    assert past.tick().appended == {}


@pytest.mark.parametrize(
    ("cluster", "names", "told"),
    [
        ("no-such", ("a", "b"), "There is no cluster"),
        ("spike-decay", ("a", "A"), "cannot name two"),
        ("spike-decay", ("", "b"), "cannot name two"),
        ("spike-decay", ("partial drop", "b"), "cannot name two"),
    ],
)
def test_a_split_that_cannot_be_is_told_in_words(cluster: str, names: tuple[str, str], told: str) -> None:
    with pytest.raises(UserMistake, match=told):
        split(build_library(), cluster, *names)


def test_a_pattern_that_enters_the_library_recalls_what_is_nearest_to_it(past: World) -> None:
    """An entry right on one report's features, of a family of its own: that report's, and the like of it."""
    report = report_of(past, "s3", "tea")
    built_in = build_library()
    vector = np.array([report["feature_vector"]], dtype=np.float64)
    entry = np.where(np.isfinite(vector), vector, 0.0)
    library = replace(
        built_in,
        families=(*built_in.families, "fair"),
        names=(*built_in.names, "village fair"),
        entries=np.vstack([built_in.entries, entry]),
        scale=np.vstack([built_in.scale, built_in.scale.min(axis=0, keepdims=True)]),
        family_of=np.append(built_in.family_of, len(built_in.families)),
        radius=np.append(built_in.radius, 0.5),
    )
    put_in_force(past, LIBRARY, dump(library))
    past.tick()
    items = {item["report_id"]: item for item in rounds(past).filter(trigger_reason="new_pattern").to_dicts()}
    assert report["report_id"] in items
    for item in items.values():
        assert json.loads(item["evidence"])["new_pattern"][0]["now_cluster"] == "fair"
    now = reports(past)
    assert set(now.filter(cluster_id="fair")["report_id"]) == {*items}
    others = rounds(past).filter(pl.col("trigger_reason") != "new_pattern")
    assert set(others["trigger_reason"]) <= {"model_update"}, "pushed out of their place by the new entry"
    assert set(others["outcome"]) <= {"changed"}
    assert past.live(RECLUSTERED).height == len(items) + others.height < now.height


def test_a_library_of_the_same_places_recalls_nobody(past: World) -> None:
    renamed = replace(build_library(), softness=build_library().softness * 1.5)
    put_in_force(past, LIBRARY, dump(renamed))
    past.tick()
    assert rounds(past).is_empty()


def test_another_model_of_causes_recalls_what_the_one_before_concluded(past: World) -> None:
    was = versions(past, CLUSTERED, ATTRIBUTED)
    version = put_in_force(past, CHOICE, dump_choice(learnt()))
    past.tick()
    assert versions(past, CLUSTERED, ATTRIBUTED) == was, "the originals stand"
    assert set(rounds(past)["report_id"]) == set(reports(past)["report_id"])
    told = json.loads(rounds(past)["evidence"][0])["model_update"][0]
    assert (told["cause_version"], told["in_force"]) == (MODEL_VERSION, version)
    assert past.tick().appended == {}


def test_decided_reports_are_not_asked_again_for_a_model(past: World) -> None:
    decided = report_of(past, "s3", "tea")
    said = {"annotation_id": "00000000-0000-0000-0000-000000000001", "report_id": decided["report_id"]}
    said |= {"action": "approve", "actor": "ada", "user_role": "analyst", "acted_at": past.clock().isoformat()}
    past.send_edit(said)
    past.tick()
    put_in_force(past, CHOICE, dump_choice(learnt()))
    past.tick()
    assert decided["report_id"] not in rounds(past)["report_id"]
    assert rounds(past).height == reports(past).height - 1


@pytest.mark.parametrize("days", [27, 29])
def test_doubt_waits_its_time(past: World, days: int) -> None:
    days_pass(past, days)
    past.tick()
    assert rounds(past).is_empty() == (days < 28)
