"""Who is in force: approvals, going back, withdrawals, and decisions made at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_resources import model_registry as registry
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import SYSTEM_RUN, LogStore
from mrs_resources.model_store import active_model
from tests.conftest import SteppingClock

BY = Provenance("a test", "0")
MODEL = "some_model"


def store_with(home: Path, *versions: str) -> LogStore:
    store = LogStore(home, SteppingClock())
    with store.transaction() as tx:
        for version in versions:
            registry.register(tx, row_of(version), BY)
    return store


def row_of(version: str, model: str = MODEL) -> dict[str, object]:
    day = date(2024, 1, 1)
    return {
        "retailer": "*",
        "business_day": day,
        "model_name": model,
        "model_version_id": version,
        "trained_on_from": day - timedelta(days=90),
        "trained_on_to": day,
        "artefact_hash": version * 8,
    }


def in_force(store: LogStore, model: str = MODEL) -> str | None:
    with store.transaction() as tx:
        row = active_model(tx, model)
    return None if row is None else str(row["model_version_id"])


def decide(store: LogStore, what: str, version: str = "") -> None:
    with store.transaction() as tx:
        if what == "approve":
            registry.approve(tx, MODEL, version, "ada", BY)
        elif what == "rollback":
            registry.rollback(tx, MODEL, "ada", BY)
        else:
            registry.withdraw(tx, MODEL, "ada", BY)


def test_going_back_leads_further_back_each_time_and_never_to_what_was_left(tmp_path: Path) -> None:
    store = store_with(tmp_path, "one", "two", "three")
    for version in ("one", "two", "three"):
        decide(store, "approve", version)
    decide(store, "rollback")
    assert in_force(store) == "two"
    decide(store, "approve", "three")
    decide(store, "rollback")
    decide(store, "rollback")
    assert in_force(store) == "one"
    with pytest.raises(UserMistake, match="No version of some_model was in force before one"):
        decide(store, "rollback")
    assert in_force(store) == "one"


def test_a_withdrawal_leaves_none_in_force_and_says_who_until_the_next_approval(tmp_path: Path) -> None:
    store = store_with(tmp_path, "one", "two")
    decide(store, "approve", "one")
    decide(store, "approve", "two")
    decide(store, "withdraw")
    assert in_force(store) is None
    with store.transaction() as tx:
        two = registry.versions_of(tx, MODEL).filter(pl.col("model_version_id") == "two").row(0, named=True)
    assert (two["withdrawn_by"], two["is_active"]) == ("ada", False)
    for again in ("withdraw", "rollback"):
        with pytest.raises(UserMistake, match="in force"):
            decide(store, again)
    decide(store, "approve", "two")
    with store.transaction() as tx:
        two = registry.versions_of(tx, MODEL).filter(pl.col("model_version_id") == "two").row(0, named=True)
    assert (two["withdrawn_by"], two["is_active"]) == (None, True)
    decide(store, "rollback")
    assert in_force(store) == "one", "a withdrawal left the path where it was"


def test_every_decision_is_a_row_and_the_same_decision_again_is_none(tmp_path: Path) -> None:
    store = store_with(tmp_path, "one", "two")

    def rows() -> int:
        with store.transaction() as tx:
            return tx.history(MODEL_REGISTRY, run_id=SYSTEM_RUN).height

    assert rows() == 2
    decide(store, "approve", "one")
    assert rows() == 3
    decide(store, "approve", "one")
    assert rows() == 3
    decide(store, "approve", "two")
    assert rows() == 5, "one is put out of force as two is put in"
    with store.transaction() as tx:
        registry.register(tx, row_of("two") | {"metrics": "{}"}, BY)
    assert rows() == 5, "training the same version again keeps its approval"
    assert in_force(store) == "two"


def test_a_reader_never_sees_a_moment_without_a_version(tmp_path: Path) -> None:
    store = store_with(tmp_path, "one", "two")
    decide(store, "approve", "one")
    decide(store, "approve", "two")
    with store.transaction() as tx:
        moments = tx.history(MODEL_REGISTRY, run_id=SYSTEM_RUN)["written_at"].unique().sort()
        counts = [
            tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN, as_of=moment)["is_active"].sum() for moment in moments.to_list()
        ]
    assert counts[-2:] == [1, 1]
    assert max(counts) == 1


def test_of_two_who_approve_at_once_one_is_in_force_and_both_are_told(tmp_path: Path) -> None:
    versions = [f"v{n}" for n in range(6)]
    store_with(tmp_path, *versions)

    def approve(version: str) -> None:
        store = LogStore(tmp_path, SteppingClock())
        with store.transaction() as tx:
            registry.approve(tx, MODEL, version, f"approver of {version}", BY)

    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(approve, versions))
    store = LogStore(tmp_path, SteppingClock())
    with store.transaction() as tx:
        known = registry.versions_of(tx, MODEL)
        path = registry.path_of(tx, MODEL)
    assert known["is_active"].sum() == 1
    assert sorted(known["approved_by"]) == [f"approver of {version}" for version in versions]
    assert path[-1] == in_force(store)
    assert sorted(path) == versions


@pytest.mark.parametrize("what", ["approve", "rollback", "withdraw"])
def test_nobody_decides_nothing(what: str, tmp_path: Path) -> None:
    store = store_with(tmp_path, "one", "two")
    decide(store, "approve", "one")
    decide(store, "approve", "two")
    version = ["one"] if what == "approve" else []
    with pytest.raises(UserMistake, match="Somebody has to decide"), store.transaction() as tx:
        getattr(registry, what)(tx, MODEL, *version, " ", BY)
    assert in_force(store) == "two"


def test_an_unknown_version_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    store = store_with(tmp_path, "one")
    with pytest.raises(UserMistake, match="Versions: one"):
        decide(store, "approve", "uno")
    with pytest.raises(UserMistake, match="mrs models train"), store.transaction() as tx:
        registry.approve(tx, "another_model", "one", "ada", BY)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["approve one", "approve two", "approve three", "rollback", "withdraw"]), max_size=12))
def test_any_sequence_of_decisions_comes_to_what_a_list_of_versions_comes_to(decisions: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        store = store_with(Path(folder), "one", "two", "three")
        path: list[str] = []
        current: str | None = None
        for decision in decisions:
            what, _, version = decision.partition(" ")
            refused = {"rollback": current is None or len(path) < 2, "withdraw": current is None}
            if refused.get(what):
                with pytest.raises(UserMistake):
                    decide(store, what, version)
                continue
            decide(store, what, version)
            if what == "approve":
                path = path[: path.index(version) + 1] if version in path else [*path, version]
                current = version
            elif what == "rollback":
                path.pop()
                current = path[-1]
            else:
                path.pop()
                current = None
            assert in_force(store) == current
