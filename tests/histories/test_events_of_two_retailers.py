"""What one retailer's replay does to an event reaches the records of the other's reports, and so does a word on it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mrs_assets.contracts.logs.finalised import FINALISED
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.histories.start import MORNING, Start, sales_file, signals_file
from tests.histories.story import RETAILERS, SKUS, Row, Signal, story_day
from tests.histories.trial import start_for
from tests.histories.world import store_of

STORE = store_of(0)
SPIKE = range(1, 4)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with in_memory.warehouses_in_memory():
        yield start_for(tmp_path_factory.mktemp("start"), 1)


def send_spike(home: Home) -> None:
    rows = [Row(STORE, sku, story_day(n), 80 if n in SPIKE and sku == "eggs" else 20) for n in range(4) for sku in SKUS]
    for retailer in RETAILERS:
        home.send("sales", retailer, sales_file(rows))


def send_cause(home: Home) -> None:
    for retailer in RETAILERS:
        home.send("contextual_events", retailer, signals_file([Signal("c0", STORE, story_day(1), 3, "up")]))


def events(home: Home) -> dict[str, str]:
    """Each retailer's event, as the view has it."""
    return {str(r["retailer"]): str(r["report_group_id"]) for r in home.rows("SELECT * FROM minority_reports")}


def records(home: Home, column: str) -> dict[str, object]:
    with home.warehouse.store.transaction() as tx:
        return dict(tx.live(FINALISED).select("retailer", column).rows())


def test_records_know_the_event_that_another_retailers_replay_made(start: Start, tmp_path: Path) -> None:
    home = start.open("known", tmp_path / "home")
    send_spike(home)
    send_cause(home)
    home.tick()
    assert len({*events(home).values()}) == 1
    assert records(home, "report_group_id") == events(home)
    assert len({*records(home, "cohort_name").values()}) == 1


def test_a_word_on_a_former_event_reaches_every_report_of_the_present_one(start: Start, tmp_path: Path) -> None:
    home = start.open("known", tmp_path / "home")
    send_spike(home)
    home.tick()
    alone = events(home)
    assert alone["acme"] != alone["bolt"]
    send_cause(home)
    home.tick()
    together = {*events(home).values()}
    assert together < {*alone.values()}
    (former,) = {*alone.values()} - together
    word = {"annotation_id": str(uuid.UUID(int=1)), "report_group_id": former, "actor": "ada", "user_role": "analyst"}
    word |= {"action": "edit", "field": "final_cause", "value": "Egg festival", "acted_at": MORNING.isoformat()}
    home.send("edits", "bolt", json.dumps(word) + "\n")
    home.tick()
    assert records(home, "final_cause") == dict.fromkeys(RETAILERS, "Egg festival")
