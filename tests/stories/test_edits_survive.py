"""An analyst's words through corrections, by real ticks: contradicted, decided again, kept on a closed record."""

from __future__ import annotations

import json
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.settings import ContextFeed
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.reader import SnapshotReader
from tests.world import FIRST_DAY, DirectWorld, World, daily_sales, settings_for

DAYS = 124
SPIKE = [FIRST_DAY + timedelta(days=n) for n in range(116, 120)]
PLACE = "store_id = 's2' AND sku = 'eggs'"


def sold(times: float) -> pl.DataFrame:
    def spike(store: str, sku: str, day: date, units: float) -> float:
        return units * times if (store, sku) == ("s2", "eggs") and day in SPIKE else units

    return daily_sales(DAYS, change=spike)


def shown(world: World, where: str = PLACE) -> list[dict[str, Any]]:
    return list(SnapshotReader(world.home, FOLDS).show("reports", where=where).iter_rows(named=True))


def say(world: World, number: int, report: dict[str, Any], action: str, **values: str) -> None:
    entry = {"annotation_id": str(uuid.UUID(int=number)), "report_id": report["report_id"], "actor": "lewis"}
    entry |= {"user_role": "analyst", "action": action, "acted_at": f"2024-05-{number:02}T10:00:00Z"}
    world.send_edit(entry | {"based_on_written_at": report["known_at"].isoformat()} | values)


def test_an_edit_lives_through_corrections(tmp_path: Path) -> None:
    settings = settings_for(tmp_path).model_copy(update={"feeds": {"promotions": ContextFeed()}})
    world = DirectWorld(tmp_path, settings)
    world.send(sold(3))
    promotion = {"promotion_id": "p1", "store_id": "s1", "sku": "tea", "start_day": "2024-04-01"}
    world.send(pl.DataFrame([promotion | {"end_day": "2024-04-03"}]), "p1.json", feed="promotions")
    world.tick()
    [report] = shown(world)
    say(world, 1, report, "edit", field="final_cause", value="Egg festival")
    say(world, 2, report, "add_evidence", evidence_url="https://example.com/festival")
    world.tick()
    [edited] = shown(world)
    assert (edited["final_cause"], edited["review_state"], edited["evidence_count"]) == ("Egg festival", None, 1)

    spanned = {"promotion_id": "p2", "store_id": "s2", "sku": "eggs", "start_day": str(SPIKE[0])}
    world.send(pl.DataFrame([spanned | {"end_day": str(SPIKE[-1])}]), "p2.json", feed="promotions")
    world.send(sold(9), "corrected.csv")
    world.tick()
    [contested] = shown(world, "review_state = 'needs_review'")
    assert (contested["report_id"], contested["final_cause"]) == (report["report_id"], "Egg festival")
    sides = {side["field"]: side for side in json.loads(contested["review_sides"])}
    assert sides.keys() == {"final_cause", "impact"}
    assert sides["final_cause"]["saw"] == report["proposed_cause"] != contested["proposed_cause"]
    assert (sides["final_cause"]["decided"], sides["final_cause"]["now"]) == (
        "Egg festival",
        contested["proposed_cause"],
    )

    say(world, 3, contested, "edit", field="final_cause", value="Egg festival")
    world.tick()
    [settled] = shown(world)
    assert (settled["final_cause"], settled["review_state"], settled["review_sides"]) == ("Egg festival", None, None)

    world.send(sold(1), "never-was.csv")
    world.tick()
    closed = world.live(FINALISED).filter(report_id=report["report_id"]).row(0, named=True)
    assert (closed["report_status"], closed["resolution_reason"]) == ("ended", "data correction")
    assert (closed["final_cause"], closed["annotation_id"]) == ("Egg festival", str(uuid.UUID(int=3)))
    assert closed["evidence_count"] == 1
