"""A run built again from the archive says what the run says; where somebody meddled, it says where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.errors import UnknownName
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.definitions import build_definitions
from mrs_assets.drill.report import rehearsal_report
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.verification.rehearsal import RehearsalResult, rehearse
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER
from tests.with_history import copied
from tests.world import World


def rehearsed(world: World, run_id: str | None = None) -> RehearsalResult:
    return rehearse(world.settings, world.warehouse, build_definitions, run_id, lambda _: None)


def test_a_rebuild_in_the_order_of_arrival_equals_the_run(world: World) -> None:
    before, archived = world.rows_ever(), sorted((world.home / "archive").rglob("*"))
    result = rehearsed(world)
    assert [change for change in result.differences if not change.is_none] == []
    assert (result.coverage, result.appended_again, result.failed) == (1.0, 0, [])
    assert (result.files, result.ticks, result.closed_days) == (4, 3, 1)
    compared = {change.dataset: change.found for change in result.differences}
    assert compared["minority_reports"] > 0
    assert compared["user_edits_log"] == 1
    assert "equal" in rehearsal_report(result)
    assert world.rows_ever() == before
    assert sorted((world.home / "archive").rglob("*")) == archived
    assert not result.shadow.exists()


def test_what_was_tampered_with_is_found(world: World, tmp_path: Path) -> None:
    meddled = copied(world, tmp_path / "copy")
    with meddled.warehouse.store.transaction() as tx:
        row = tx.live(ATTRIBUTED).tail(1).select(list(ATTRIBUTED.body)).with_columns(confidence_score=pl.lit(0.123))
        tx.append(ATTRIBUTED, row, replace(EVER, complete=False), Provenance("nobody", "0"))
        Hydrator(FOLDS).refresh(tx)
    meddled.warehouse.publisher.publish()
    result = rehearsed(meddled)
    assert not result.passed
    found = {change.dataset: change for change in result.differences if not change.is_none}
    assert found[ATTRIBUTED.name].changed == 1
    assert "→ 0.123" in found[ATTRIBUTED.name].examples[0]
    assert "minority_reports" in found
    text = rehearsal_report(result)
    assert "DIFFERENT" in text
    assert "0.123" in text
    assert result.shadow.exists()


@pytest.mark.parametrize("run_id", ["run-0099", "../../etc", ""])
def test_a_run_that_never_was_is_refused(run_id: str, world: World) -> None:
    with pytest.raises(UnknownName):
        rehearsed(world, run_id)
    assert list((world.home / "shadow").glob("*0099*")) == []
