"""A replay whose stages are cut into groups of stores comes to its end, as one that is not cut does."""

from __future__ import annotations

from pathlib import Path

import pytest

from mrs_assets.boundary import pieces
from mrs_assets.contracts.logs.replays import REPLAY_PARTS, REPLAY_PLANS
from tests.world import DirectWorld, daily_sales, settings_for


def test_a_replay_in_groups_of_stores_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 200)  # rows of one store
    world = DirectWorld(tmp_path, settings_for(tmp_path))
    world.send(daily_sales(40))
    world.tick()
    assert world.live(REPLAY_PLANS)["state"].to_list() == ["done"]
    parts = world.live(REPLAY_PARTS).filter(asset="sales_timeseries_data")
    assert sorted(parts["stores"].drop_nulls().to_list()) == [["s1"], ["s2"], ["s3"]]
    assert parts.filter(parts["stores"].is_null())["rows_offered"].to_list() == [0]
    again = world.tick()
    assert again.plans == []
