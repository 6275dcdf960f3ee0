"""Learning: what is read, no more of it than is held at once, with which models, and what the registry says then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.boundary import learning
from mrs_assets.boundary.learning import read_lessons, train
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.trainable import Learnt, Lessons, Trainable
from mrs_assets.detection.training import BASELINE_MODEL
from mrs_assets.drift.monitor import FITS, readings
from mrs_assets.graph import TRAINABLES
from mrs_resources.kernel import Provenance
from mrs_resources.model_registry import approve, reports_of_version, versions_of
from mrs_resources.model_store import ArtefactMissing
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, REPORTS_FROM, DirectWorld, daily_sales, settings_for

BY = Provenance("a test", "0")
STORES = ("s1", "s2", "s3")


def _mean(lessons: Lessons) -> Learnt:
    """The mean of what was sold, and the version that it was learnt with."""
    mean = float(lessons["series"]["units"].cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
    seen = {name: model.version for name, model in lessons.models.items()}
    return Learnt(json.dumps({"mean": mean, "with": seen}).encode(), {"mean": mean})


FIRST_MODEL = Trainable("first_model", {"series": SALES_TIMESERIES, "promotions": PROMOTIONS}, _mean, "The mean.")
SECOND_MODEL = Trainable(
    "second_model", {"series": SALES_TIMESERIES}, _mean, "The mean, again.", builds_on={"first_model": json.loads}
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> DirectWorld:
    home = tmp_path_factory.mktemp("lessons")
    world = DirectWorld(home, settings_for(home))
    world.send(daily_sales(116, stores=STORES, skus=tuple(f"sku-{n}" for n in range(16)), change=spike))
    world.tick()
    return world


def lessons_of(
    world: DirectWorld, model: Trainable = FIRST_MODEL, last_day: date | None = None
) -> tuple[Lessons, str | None]:
    with world.warehouse.store.transaction() as tx:
        until = last_day or FIRST_DAY + timedelta(days=400)
        return read_lessons(tx, model, world.settings, world.warehouse.models, until, BY)


def test_every_row_is_read_where_all_are_few_and_none_after_the_last_day(world: DirectWorld) -> None:
    lessons, drawn = lessons_of(world)
    assert drawn is None
    assert lessons["series"].equals(world.live(SALES_TIMESERIES))
    last_day = FIRST_DAY + timedelta(days=40)
    assert lessons_of(world, last_day=last_day)[0]["series"]["business_day"].max() == last_day


def test_of_too_many_rows_whole_stores_are_drawn_and_always_the_same(
    world: DirectWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = world.live(SALES_TIMESERIES)
    monkeypatch.setattr(learning, "LESSON_ROWS", rows.height // 2)
    lessons, drawn = lessons_of(world)
    assert drawn == "1 of 3 stores"
    (store,) = lessons["series"]["store_id"].unique()
    assert lessons["series"].equals(rows.filter(pl.col("store_id") == store)), "of a store that is drawn, every row"
    assert lessons_of(world)[0]["series"].equals(lessons["series"])


def test_of_one_store_with_too_many_rows_the_newest_days_are_read(
    world: DirectWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learning, "LESSON_ROWS", 400)
    lessons, drawn = lessons_of(world)
    assert drawn is not None
    assert "newest" in drawn
    assert 0 < lessons["series"].height <= 500
    assert lessons["series"]["business_day"].max() == world.live(SALES_TIMESERIES)["business_day"].max()


def test_rows_about_every_store_are_read_with_any(world: DirectWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    day = FIRST_DAY + timedelta(days=3)
    spans = {"promotion_id": ["p"], "store_id": ["*"], "sku": ["sku-1"], "start_day": [day], "end_day": [day]}
    world.send(pl.DataFrame(spans), "p.json", feed="promotions")
    world.tick()
    monkeypatch.setattr(learning, "LESSON_ROWS", 2_000)
    assert lessons_of(world)[0]["promotions"].height == 1


def test_a_model_is_learnt_with_the_version_in_force_of_what_it_builds_on(world: DirectWorld) -> None:
    alone = train(world.warehouse, world.settings, SECOND_MODEL, BY)
    assert bytes_of(world, SECOND_MODEL, alone.version)["with"] == {}
    first = train(world.warehouse, world.settings, FIRST_MODEL, BY, approved_by="ada")
    later = train(world.warehouse, world.settings, FIRST_MODEL, BY, last_day=FIRST_DAY + timedelta(days=50))
    assert later.version != first.version, "trained, and not in force"
    second = train(world.warehouse, world.settings, SECOND_MODEL, BY, approved_by="ada")
    assert bytes_of(world, SECOND_MODEL, second.version)["with"] == {"first_model": first.version}
    told = [fits(world)]
    with world.warehouse.store.transaction() as tx:
        approve(tx, "first_model", later.version, "ada", BY)
    assert [*told, fits(world)] == [True, False], "another version in force than it was learnt with is told"
    (world.home / "models" / artefact_hash(world, "first_model", later.version)).unlink()
    with pytest.raises(ArtefactMissing):
        train(world.warehouse, world.settings, SECOND_MODEL, BY)


def bytes_of(world: DirectWorld, model: Trainable, version: str) -> Mapping[str, object]:
    found = json.loads(world.warehouse.models.read(artefact_hash(world, model.name, version)))
    assert isinstance(found, dict)
    return found


def fits(world: DirectWorld) -> bool:
    with world.warehouse.store.transaction() as tx:
        (told,) = [reading for reading in readings(tx, world.settings, SECOND_MODEL, ()) if reading.check == FITS]
    return not told.exceeds


def artefact_hash(world: DirectWorld, name: str, version: str) -> str:
    with world.warehouse.store.transaction() as tx:
        known = versions_of(tx, name).filter(pl.col("model_version_id") == version)
    return str(known["artefact_hash"][0])


def test_nothing_to_learn_from_is_said_and_registers_nothing(tmp_path: Path) -> None:
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    with pytest.raises(UserMistake, match="nothing to learn first_model from"):
        train(world.warehouse, world.settings, FIRST_MODEL, BY)
    with world.warehouse.store.transaction() as tx:
        assert versions_of(tx).is_empty()


def test_the_registry_tells_the_span_and_how_the_inputs_were_distributed(world: DirectWorld) -> None:
    trained = train(world.warehouse, world.settings, FIRST_MODEL, BY)
    with world.warehouse.store.transaction() as tx:
        row = versions_of(tx, "first_model").filter(pl.col("model_version_id") == trained.version).row(0, named=True)
    days = world.live(SALES_TIMESERIES)["business_day"]
    assert (row["trained_on_from"], row["trained_on_to"]) == (days.min(), days.max())
    told = json.loads(row["inputs"])["acme"]
    assert told["price"]["edges"] == [2.5]
    assert sum(told["units"]["shares"]) == pytest.approx(1.0, abs=1e-4)


def test_expectations_of_days_before_the_reports_are_computed_for_the_lesson_and_not_written(
    world: DirectWorld,
) -> None:
    reads_baseline = Trainable("third_model", {"series": SALES_TIMESERIES, "baseline": BASELINE}, _mean, "The mean.")
    until = REPORTS_FROM - timedelta(days=1)
    written = world.live(BASELINE)
    assert written["business_day"].min() == REPORTS_FROM
    expected = lessons_of(world, reads_baseline, until)[0]["baseline"]
    assert expected["business_day"].max() == until
    assert expected["expected_units"].drop_nulls().len() > 0
    assert world.live(BASELINE).equals(written)
    told = lessons_of(world, reads_baseline)[0]["baseline"]
    since = pl.col("business_day") >= REPORTS_FROM
    assert told.filter(since).equals(written.select(told.columns)), "what was written is not computed again"
    assert told.filter(~since).height > 0


def test_each_model_builds_only_on_models_before_it() -> None:
    names = [model.name for model in TRAINABLES]
    assert len(names) == len(set(names))
    for place, model in enumerate(TRAINABLES):
        assert set(model.builds_on) <= set(names[:place])


def test_the_reports_that_rest_on_a_version_are_found(tmp_path: Path) -> None:
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    sales = daily_sales(124, skus=("milk", "bread", "eggs", "tea", *(f"sku-{n}" for n in range(16))), change=spike)
    world.send(sales.filter(pl.col("ts") < REPORTS_FROM), "history.csv")
    world.tick()
    trained = train(world.warehouse, world.settings, BASELINE_MODEL, BY, approved_by="ada")
    world.send(sales.filter(pl.col("ts") >= REPORTS_FROM), "news.csv")
    world.tick()
    reports = set(world.live(DETECTED)["report_id"])
    assert reports
    with world.warehouse.store.transaction() as tx:
        assert set(reports_of_version(tx, BASELINE, trained.version)) == reports
        assert reports_of_version(tx, BASELINE, "another") == []
        causes = tx.live(ATTRIBUTED)
        by_version = {str(version): set(rows["report_id"]) for (version,), rows in causes.group_by("model_version")}
        for version, expected in by_version.items():
            assert set(reports_of_version(tx, ATTRIBUTED, version)) == expected
