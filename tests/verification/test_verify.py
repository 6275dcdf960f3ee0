"""A clean build from the final inputs says what a run with a history says; what somebody meddled with is found."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.verification.verify import Verification, kept_apart, verify
from mrs_resources.file_backend import FileBackend
from tests.stories.test_one_anomaly import spike
from tests.with_history import approve_a_model, copied, later
from tests.world import FIRST_DAY, REPORTS_FROM, DirectWorld, World, daily_sales, settings_for


def verified(world: World, run_id: str | None = None) -> Verification:
    return verify(world.settings, world.warehouse, run_id, lambda _: None)


def differing(result: Verification) -> dict[str, tuple[int, int, int]]:
    return {c.dataset: (c.missing, c.unexpected, c.changed) for c in result.differences if not c.is_none}


def correct(world: World, days: dict[int, int], name: str) -> None:
    """Send other units of one series for some days."""
    rows = [{"store_id": "s2", "sku": "eggs", "ts": FIRST_DAY + timedelta(days=d), "units": u} for d, u in days.items()]
    world.send(pl.DataFrame(rows), name)
    world.tick()
    later(world)


@pytest.fixture(scope="module")
def corrected(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Days without a model, days of one and days of the next; the anomaly is taken away, brought back, corrected."""
    home = tmp_path_factory.mktemp("corrected")
    world = World(home, settings_for(home))
    products = ("milk", "bread", "eggs", "tea", "jam", "rice", "salt", "soap")  # enough to learn a baseline from
    sales = daily_sales(124, skus=products, stores=("s1", "s2", "s3", "s4"), change=spike)
    begin = FIRST_DAY + timedelta(days=115)
    world.send(sales.filter(pl.col("ts") < begin), "until then.csv")
    world.tick()
    later(world)
    approve_a_model(world)
    world.send(sales.filter(pl.col("ts") >= begin), "since then.csv")
    world.tick()
    later(world)
    report = world.live(FINALISED)["report_id"][0]
    said = {"annotation_id": str(uuid.UUID(int=1)), "report_id": report, "action": "approve"}
    world.send_edit(said | {"actor": "ada", "user_role": "analyst", "acted_at": "2024-06-01T10:00:00Z"})
    usual = dict.fromkeys(range(117, 123), 30)
    correct(world, usual, "no anomaly.csv")
    approve_a_model(world)
    correct(world, dict.fromkeys(range(119, 123), 95), "an anomaly.csv")
    correct(world, dict.fromkeys(range(119, 123), 90), "a little less.csv")
    return world


def test_a_run_with_corrections_and_models_in_between_is_what_its_files_come_to(corrected: World) -> None:
    rows = corrected.live(BASELINE)
    assert rows["model_version"].n_unique() == 3, "no model, the first, the second"
    mixed = rows.group_by("business_day").agg(pl.col("model_version").n_unique()).filter(pl.col("model_version") > 1)
    assert mixed.height > 0, "a correction is computed with the model of its day, and other stores stay as they were"
    before = corrected.rows_ever()
    result = verified(corrected)
    assert differing(result) == {}
    assert result.failed == []
    assert result.passed
    assert result.files == 6
    found = {change.dataset: change.found for change in result.differences}
    assert found["minority_reports"] > 0
    assert corrected.rows_ever() == before
    assert not result.shadow.exists()


def test_the_lock_is_never_taken(corrected: World) -> None:
    with corrected.warehouse.store.backend.locked():
        assert verified(corrected).passed


def meddled(world: World, home: Path, contract: Contract, sql: str) -> World:
    """A copy of a world in which one statement was run on the warehouse behind everybody's back, then published."""
    other = copied(world, home)
    with duckdb.connect(str(FileBackend(other.home).file)) as connection:
        (changed,) = connection.execute(sql.format(log=contract.name)).fetchall()[0]
    assert changed == 1
    report = other.live(FINALISED)["report_id"][-1]
    said = {"annotation_id": str(uuid.UUID(int=9)), "report_id": report, "action": "add_evidence"}
    other.send_edit(said | {"actor": "ada", "user_role": "analyst", "acted_at": "2024-06-03T10:00:00Z"})
    other.tick()
    return other


NEWEST = "rowid = (SELECT max(rowid) FROM {log} WHERE NOT is_retracted)"


def test_a_row_changed_through_sql_is_found(corrected: World, tmp_path: Path) -> None:
    sql = f"UPDATE {{log}} SET confidence_score = 0.123 WHERE {NEWEST}"
    result = verified(meddled(corrected, tmp_path / "home", ATTRIBUTED, sql))
    assert not result.passed
    assert differing(result)[ATTRIBUTED.name] == (0, 0, 1)
    (change,) = [change for change in result.differences if change.dataset == ATTRIBUTED.name]
    assert "→ 0.123" in change.examples[0]
    assert result.shadow.exists()


def test_a_row_deleted_through_sql_is_found(corrected: World, tmp_path: Path) -> None:
    oldest = "DELETE FROM {log} WHERE rowid = (SELECT min(rowid) FROM {log})"  # of a day that nobody corrected
    result = verified(meddled(corrected, tmp_path / "home", SALES_TIMESERIES, oldest))
    assert differing(result)[SALES_TIMESERIES.name] == (1, 0, 0)


def test_a_derived_row_that_a_replay_forgot_is_found(corrected: World, tmp_path: Path) -> None:
    """As if the newest correction had not reached this one row: its version before is what is believed."""
    stale = (
        "DELETE FROM {log} WHERE rowid = (SELECT arg_max(rowid, version) FROM {log} WHERE store_id = 's2' "
        f"AND sku = 'eggs' AND business_day = DATE '{FIRST_DAY + timedelta(days=119)}')"
    )
    result = verified(meddled(corrected, tmp_path / "home", DETECTED, stale))
    assert sum(differing(result)[DETECTED.name]) == 1


def test_what_other_code_wrote_is_told_and_only_that(corrected: World, tmp_path: Path) -> None:
    first = "(SELECT min(batch_id) FROM append_batches WHERE log_name = '{log}')"
    older = f"UPDATE append_batches SET code_version = '0.0.9+1' WHERE batch_id = {first}"
    (told,) = [
        note for note in verified(meddled(corrected, tmp_path / "home", DETECTED, older)).notes if "versions" in note
    ]
    assert told.endswith(": 0.0.9+1.")


@pytest.mark.parametrize("run_id", ["run-0099", "../../etc", ""])
def test_a_run_that_never_was_is_refused(run_id: str, corrected: World) -> None:
    with pytest.raises(UnknownName):
        verified(corrected, run_id)
    assert list((corrected.home / "shadow").glob("*0099*")) == []


def test_nothing_published_is_said_in_words(tmp_path: Path, corrected: World) -> None:
    empty = World(tmp_path, corrected.settings.model_copy(update={"home": tmp_path}))
    with pytest.raises(UserMistake, match="Nothing is published"):
        verified(empty)


def test_what_was_computed_with_a_model_that_is_gone_is_counted_apart(corrected: World, tmp_path: Path) -> None:
    other = copied(corrected, tmp_path / "home")
    for artefact in (other.home / "models").iterdir():
        artefact.unlink()
    result = verified(other)
    assert differing(result) == {}
    apart = {change.dataset: kept_apart(change) for change in result.differences}
    assert apart[BASELINE.name]["not_repeatable"] > 0
    assert any("cannot be computed again" in note for note in result.notes)


def test_what_was_fused_by_other_weights_is_counted_apart_and_nothing_else_is(tmp_path: Path) -> None:
    """Weights that changed are computed with for the last two weeks only; the days before cannot be built again."""
    sources: dict[str, dict[str, str]] = {"till": {}, "shipments": {"kind": "sensor"}}
    till = daily_sales(130, stores=("s1", "s2"), skus=("milk", "eggs"), change=spike).with_columns(
        source=pl.lit("till")
    )
    shipped = till.filter(store_id="s2").with_columns(pl.col("units") * 2, source=pl.lit("shipments"))

    def world(declared: dict[str, dict[str, str]] | None) -> World:
        acme = {"timezone": "Europe/London", "country": "GB", "reports_from": REPORTS_FROM}
        return World(tmp_path, settings_for(tmp_path, acme=acme | ({"sources": declared} if declared else {})))

    world(sources).send(pl.concat([till, shipped]))
    world(sources).tick()
    unchanged = verified(world(sources))
    assert unchanged.passed
    assert sum(sum(kept_apart(change).values()) for change in unchanged.differences) == 0
    trusted_less = {"till": {}, "shipments": {"kind": "proxy"}}
    world(trusted_less).tick()
    result = verified(world(trusted_less))
    assert differing(result) == {}
    apart = {change.dataset: kept_apart(change)["not_repeatable"] for change in result.differences}
    assert apart[SALES_TIMESERIES.name] > 0


def test_words_that_followed_a_report_to_its_new_identity_are_counted_apart(tmp_path: Path) -> None:
    """A clean build has never heard of the report that they were said of."""
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    world.send(daily_sales(122, change=spike))
    world.tick()
    (former,) = world.live(FINALISED)["report_id"]
    said = {"annotation_id": str(uuid.UUID(int=1)), "report_id": former, "actor": "ada", "user_role": "analyst"}
    said |= {"action": "edit", "field": "final_cause", "value": "Egg festival"}
    world.send_edit(said | {"acted_at": "2024-06-01T10:00:00Z"})
    world.tick()
    correct(world, {114: 120, 115: 120, 116: 120}, "it began earlier.csv")
    record = world.live(FINALISED).filter(pl.col("report_id") != former).row(0, named=True)
    assert (record["edited_as"], record["final_cause"]) == ([former], "Egg festival")
    result = verified(world)
    assert differing(result) == {}
    apart = {change.dataset: kept_apart(change)["moved_words"] for change in result.differences}
    assert apart[FINALISED.name] == apart["minority_reports"] == 1
