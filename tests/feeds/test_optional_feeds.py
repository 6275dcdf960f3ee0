"""Optional feeds and edits: what their rows become, and what is refused."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feed import FeedColumn
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.scope import Scope
from tests.feeds.door import Door


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def ndjson(*rows: dict[str, Any]) -> str:
    return "\n".join(json.dumps(row) for row in rows) + "\n"


def test_every_feed_is_declared_and_every_column_it_names_is_one_of_its_logs() -> None:
    assert [name for name, feed in FEED_DECLARATIONS.items() if feed.always] == ["sales", "edits"]
    assert (next(iter(FEED_DECLARATIONS)), next(reversed(FEED_DECLARATIONS))) == ("sales", "edits")
    for feed in FEED_DECLARATIONS.values():
        names = [column.name for column in feed.columns]
        assert len(set(names)) == len(names)
        for target in feed.targets:
            filled = {"retailer", "business_day", "is_degraded", "degraded_reasons", "model_version"}
            filled |= {"source_file", "source_file_hash", "received_at"}
            assert set(target.contract.body) - filled <= set(names)
            assert set(target.contract.key) - {"retailer"} <= {
                c.name for c in feed.columns if _always_there(c, feed.name)
            }


def _always_there(column: FeedColumn, feed: str) -> bool:
    return column.filled or (feed == "sales" and column.default_when_blank)


def test_promotions_without_a_store_column_are_of_all_stores(door: Door) -> None:
    door.send("promo_id,sku,start_date,end_date,mechanic\np,a,2024-03-01,2024-03-07,display\n", "promotions")
    row = door.live(PROMOTIONS).row(0, named=True)
    assert (row["store_id"], row["sku"], row["business_day"]) == ("*", "a", date(2024, 3, 1))
    door.send("promotion_id,store_id,sku,start_day,end_day\nq,,a,2024-03-01,2024-03-07\n", "promotions")
    assert door.letters(PROMOTIONS)["error_code"].to_list() == ["empty_id"]


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2024-03-08", "2024-03-07", "end_before_start"),
        ("2024-01-01", "2025-01-01", "span_too_long"),
        ("soon", "2024-03-07", "bad_day"),
        ("1999-03-07", "1999-03-08", "day_outside_calendar"),
    ],
)
def test_impossible_spans_are_refused(door: Door, start: str, end: str, code: str) -> None:
    door.send(f"campaign_id,start_day,end_day\nc,{start},{end}\n", "campaigns")
    assert door.letters(CAMPAIGNS)["error_code"].to_list() == [code]


@pytest.mark.parametrize(
    ("feed", "header", "more", "log"),
    [
        ("promotions", "promotion_id,start_day,end_day", "", PROMOTIONS),
        ("campaigns", "campaign_id,start_day,end_day", "", CAMPAIGNS),
        ("contextual_events", "event_id,starts_at,ends_at,signal_type", ",weather", CONTEXTUAL_EVENTS),
    ],
)
def test_context_of_many_years_is_refused_and_counted_and_the_rest_comes_in(
    door: Door, feed: str, header: str, more: str, log: Contract
) -> None:
    admitted = door.send(f"{header}\na,2017-01-01,2024-12-31{more}\nb,2024-01-01,2024-01-08{more}\n", feed)
    assert (admitted.received, admitted.accepted, admitted.dead_lettered) == (2, 1, 1)
    (letter,) = door.letters(log).to_dicts()
    assert letter["error_code"] == "span_too_long"
    assert "2017-01-01" in letter["raw_payload"]
    assert "longer than 366 days: correct the end, or send one row a year." in letter["error"]


def test_a_whole_year_is_a_span_and_a_day_is_one_too(door: Door) -> None:
    content = "campaign_id,start_day,end_day\nc,2024-01-01,2024-12-31\nd,2024-01-01,2024-01-01\n"
    assert door.send(content, "campaigns").accepted == 2


@pytest.mark.parametrize(
    ("cell", "stores"),
    [("b; a|a", ["a", "b"]), ('["b", "a"]', ["a", "b"]), ("a", ["a"]), ("", None), ("a,b", ["a,b"])],
)
def test_lists_are_read_from_text_and_from_json(door: Door, cell: str, stores: list[str] | None) -> None:
    quoted = cell.replace('"', '""')
    door.send(f'campaign_id,start_day,end_day,stores\nc,2024-03-01,2024-03-02,"{quoted}"\n', "campaigns")
    assert door.live(CAMPAIGNS)["stores"].to_list() == [stores]


def test_a_list_that_is_no_json_is_refused(door: Door) -> None:
    door.send('campaign_id,start_day,end_day,stores\nc,2024-03-01,2024-03-02,"[a, b"\n', "campaigns")
    assert door.letters(CAMPAIGNS)["error_code"].to_list() == ["bad_list"]


def test_a_signal_keeps_its_place_time_and_strength(door: Door) -> None:
    event = {
        "event_id": "storm",
        "signal_type": "Weather",
        "starts_at": "2024-03-01T23:30:00Z",
        "ends_at": "2024-03-02T06:00:00Z",
        "direction": "down",
        "strength": 0.12345678,
        "stores": ["s2", "s1"],
        "latitude": 51.5,
        "longitude": -0.1,
    }
    door.send(ndjson(event), "contextual_events")
    row = door.live(CONTEXTUAL_EVENTS).row(0, named=True)
    assert row["signal_type"] == "weather"
    assert row["strength"] == 0.123457
    assert row["stores"] == ["s1", "s2"]
    assert row["skus"] is None
    assert row["starts_at"] == datetime(2024, 3, 1, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"signal_type": "gossip"}, "unknown_signal_type"),
        ({"signal_type": None}, "empty_choice"),
        ({"direction": "sideways"}, "unknown_direction"),
        ({"latitude": 91}, "latitude_out_of_range"),
        ({"longitude": -181}, "longitude_out_of_range"),
        ({"radius_km": -1}, "negative_radius"),
        ({"strength": "NaN"}, "not_finite"),
        ({"strength": "strong"}, "not_a_number"),
        ({"title": "x" * 1_001}, "text_too_long"),
        ({"ends_at": "2024-02-01T00:00:00Z"}, "end_before_start"),
    ],
)
def test_impossible_signals_are_refused(door: Door, change: dict[str, Any], code: str) -> None:
    event = {"event_id": "e", "signal_type": "other", "starts_at": "2024-03-01", "ends_at": "2024-03-02"} | change
    door.send(ndjson(event), "contextual_events")
    assert door.letters(CONTEXTUAL_EVENTS)["error_code"].to_list() == [code]


def test_a_store_described_anew_replaces_its_description_whatever_day_it_opened(door: Door) -> None:
    door.send("store_id,opened_on,open_weekdays,opens_at\ns,2020-05-01,Mon;tue,8:30\n", "stores")
    first = door.live(STORES).row(0, named=True)
    assert (first["open_weekdays"], first["opens_at"]) == (["mon", "tue"], "08:30")
    changed = door.send("store_id,opened_on,region\ns,2021-06-01,north\n", "stores")
    assert changed.decision == "correction"
    assert door.live(STORES).select("opened_on", "region", "business_day").rows() == [
        (date(2021, 6, 1), "north", first["business_day"])
    ]


@pytest.mark.parametrize(
    ("columns", "row", "code"),
    [
        ("open_weekdays", "mon;funday", "bad_weekdays"),
        ("opens_at", "25:00", "bad_clock"),
        ("opened_on,closed_on", "2024-02-01,2024-01-01", "end_before_start"),
    ],
)
def test_impossible_stores_are_refused(door: Door, columns: str, row: str, code: str) -> None:
    door.send(f"store_id,{columns}\ns,{row}\n", "stores")
    assert door.letters(STORES)["error_code"].to_list() == [code]


def edit(**changes: Any) -> dict[str, Any]:
    return {
        "annotation_id": str(uuid.UUID(int=7)),
        "report_id": "MR-1",
        "actor": "Ada",
        "user_role": "analyst",
        "action": "approve",
        "acted_at": "2024-03-01T23:30:00+00:00",
        "colour": "blue",
    } | changes


def test_edits_go_to_the_log_of_what_they_are_about(door: Door) -> None:
    about_event = edit(annotation_id=str(uuid.UUID(int=8)), report_id=None, report_group_id="ME-1")
    admitted = door.send(ndjson(edit(), about_event), "edits")
    assert (admitted.received, admitted.accepted) == (2, 2)
    assert door.live(USER_EDITS)["report_id"].to_list() == ["MR-1"]
    assert door.live(USER_EVENT_EDITS)["report_group_id"].to_list() == ["ME-1"]


def test_an_edit_sent_twice_counts_once(door: Door) -> None:
    door.send(ndjson(edit()), "edits")
    again = door.send(ndjson(edit(), edit(annotation_id=str(uuid.UUID(int=9)))), "edits")
    assert (again.accepted, again.duplicate) == (1, 1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"annotation_id": "7"}, "not_a_uuid"),
        ({"annotation_id": None}, "empty_uuid"),
        ({"report_group_id": "ME-1"}, "two_subjects"),
        ({"report_id": None}, "no_subject"),
        ({"actor": ""}, "empty_id"),
        ({"user_role": "intern"}, "unknown_user_role"),
        ({"action": "shout"}, "unknown_action"),
        ({"action": "edit"}, "no_field"),
        ({"action": "undo"}, "nothing_undone"),
        ({"acted_at": "2030-01-01"}, "day_outside_calendar"),
    ],
)
def test_impossible_edits_are_refused_and_kept(door: Door, change: dict[str, Any], code: str) -> None:
    admitted = door.send(ndjson(edit(**change)), "edits")
    assert admitted.dead_lettered == 1
    letter = door.letters(USER_EDITS).row(0, named=True)
    assert letter["error_code"] == code
    assert json.loads(letter["raw_payload"]) == edit(**change)
    assert letter["report_id"] == edit(**change)["report_id"]


def test_a_campaign_that_moves_to_another_month_leaves_the_old_one(door: Door) -> None:
    door.send("campaign_id,start_day,end_day\nc,2024-03-01,2024-03-07\n", "campaigns")
    moved = door.send("campaign_id,start_day,end_day\nc,2024-05-01,2024-05-07\n", "campaigns")
    assert (moved.decision, moved.accepted) == ("correction", 1)
    assert moved.days == (date(2024, 3, 1), date(2024, 5, 1)), "both months are to be recomputed"
    march, may = Scope(date(2024, 3, 1), date(2024, 3, 31)), Scope(date(2024, 5, 1), date(2024, 5, 31))
    with door.store.transaction() as tx:
        assert tx.live(CAMPAIGNS, march).is_empty()
        assert tx.live(CAMPAIGNS, may)["start_day"].to_list() == [date(2024, 5, 1)]
        assert tx.live(CAMPAIGNS)["start_day"].to_list() == [date(2024, 5, 1)]
        history = tx.history(CAMPAIGNS)
    assert history["version"].to_list() == [1, 2, 3]
    assert history["is_retracted"].to_list() == [False, True, False]
    assert door.send("campaign_id,start_day,end_day\nc,2024-05-01,2024-05-07\n", "campaigns").decision == "identical"
