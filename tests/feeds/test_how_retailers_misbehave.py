"""What retailers really send: every oddity ends as a row, a duplicate or a dead letter, never as a guess."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.feeds.door import HEADER, Door, csv


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def one(
    door: Door, ts: str = "2024-03-01", units: str = "1", revenue: str = "", store: str = "s", sku: str = "a"
) -> str:
    """Send one row; the code of its dead letter, or `accepted`."""
    quoted = ",".join('"' + cell.replace('"', '""') + '"' for cell in (store, sku, ts, units, revenue))
    admitted = door.send(f"{HEADER}\n{quoted}\n")
    assert admitted.received == 1
    return "accepted" if admitted.accepted else str(door.letters()["error_code"][-1])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", "3"),
        (" 3 ", "3"),
        ("-2", "-2"),
        ("+2", "2"),
        ("0", "0"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("1,234", "1234"),
        ("1,234,567.50", "1234567.5"),
        ("1.234,50", "1234.5"),
        ("\u00a07\u00a0", "7"),
    ],
)
def test_numbers_sent_as_text_are_read(door: Door, text: str, value: str) -> None:
    assert one(door, units=text) == "accepted"
    assert door.live()["units"].to_list() == [Decimal(value)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NaN", "not_finite"),
        ("-Infinity", "not_finite"),
        ("inf", "not_finite"),
        ("n/a", "not_a_number"),
        ("12,5", "not_a_number"),
        ("1,23,4", "not_a_number"),
        ("1.2.3", "not_a_number"),
        ("£5", "not_a_number"),
        ("=1+1", "not_a_number"),
        ("1e15", "number_out_of_range"),
        ("999999999999999999999", "number_out_of_range"),
    ],
)
def test_what_is_no_number_is_refused_and_never_zero(door: Door, text: str, code: str) -> None:
    assert one(door, units=text) == code
    assert door.live().is_empty()


@pytest.mark.parametrize(
    ("text", "value"), [("12,5", "12.5"), ("1.234", "1234"), ("1.234,5", "1234.5"), ("1,234.5", "1234.5"), ("7", "7")]
)
def test_a_retailer_that_writes_decimal_commas_says_so_once(tmp_path: Path, text: str, value: str) -> None:
    door = Door(tmp_path, decimal_sign=",")
    assert one(door, units=text) == "accepted"
    assert door.live()["units"].to_list() == [Decimal(value)]
    assert one(door, units="1.5") == "not_a_number"


def test_a_blank_number_is_no_number_and_not_zero(door: Door) -> None:
    assert one(door, units="") == "accepted"
    assert door.live()["units"].to_list() == [None]


def test_zero_prices_returns_and_voids_are_facts(door: Door) -> None:
    door.send(csv([("s", "bag", "2024-03-01", 5, 0), ("s", "b", "2024-03-01", -3, -9)]))
    assert door.live().select("units", "revenue").rows() == [(Decimal(-3), Decimal(-9)), (Decimal(5), Decimal(0))]


@pytest.mark.parametrize(
    ("text", "instant", "day"),
    [
        ("2024-07-01", datetime(2024, 6, 30, 23, tzinfo=UTC), date(2024, 7, 1)),
        ("2024-07-01 00:30", datetime(2024, 6, 30, 23, 30, tzinfo=UTC), date(2024, 7, 1)),
        ("2024-07-01T00:30:00", datetime(2024, 6, 30, 23, 30, tzinfo=UTC), date(2024, 7, 1)),
        ("2024-07-01T23:30:00Z", datetime(2024, 7, 1, 23, 30, tzinfo=UTC), date(2024, 7, 2)),
        ("2024-07-01T23:30Z", datetime(2024, 7, 1, 23, 30, tzinfo=UTC), date(2024, 7, 2)),
        ("2024-07-01 12:00:00.250-0500", datetime(2024, 7, 1, 17, 0, 0, 250_000, tzinfo=UTC), date(2024, 7, 1)),
        ("2024-07-01 12:00:00+05:30", datetime(2024, 7, 1, 6, 30, tzinfo=UTC), date(2024, 7, 1)),
        ("2024-07-01 12:00+01", datetime(2024, 7, 1, 11, tzinfo=UTC), date(2024, 7, 1)),
        ("2024-03-31 01:30", datetime(2024, 3, 31, 1, 30, tzinfo=UTC), date(2024, 3, 31)),
        ("2024-10-27 01:30", datetime(2024, 10, 27, 1, 30, tzinfo=UTC), date(2024, 10, 27)),
    ],
)
def test_moments_are_read_with_their_offset_or_else_as_local_time(
    tmp_path: Path, text: str, instant: datetime, day: date
) -> None:
    door = Door(tmp_path)
    door.clock.now = datetime(2025, 1, 1, tzinfo=UTC)
    assert one(door, ts=text) == "accepted"
    assert door.live().select("ts", "business_day").rows() == [(instant, day)]


@pytest.mark.parametrize("zone", ["America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_a_date_is_the_local_day_whatever_the_clocks_do_at_midnight(tmp_path: Path, zone: str) -> None:
    door = Door(tmp_path, timezone=zone)
    days = ["2017-10-14", "2017-10-15", "2017-10-16", "2017-11-04", "2017-11-05", "2017-11-06", "2017-03-12"]
    rows = [("s", "a", text, 1, 1) for day in days for text in (day, f"{day} 12:00", f"{day} 00:10")]
    assert door.send(csv(rows)).dead_lettered == 0
    live = door.live()
    assert {day.isoformat() for day in live["business_day"]} == set(days)
    local = live["ts"].dt.convert_time_zone(zone).dt.date()
    assert (local == live["business_day"]).all()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_instant"),
        ("yesterday", "bad_timestamp"),
        ("05/01/2024", "bad_timestamp"),
        ("2024/01/05", "bad_timestamp"),
        ("20240105", "bad_timestamp"),
        ("1709251200", "bad_timestamp"),
        ("2024-02-30", "bad_timestamp"),
        ("2024-01-05T25:00:00Z", "bad_timestamp"),
        ("infinity", "bad_timestamp"),
        ("1970-01-01", "day_outside_calendar"),
        ("0000-01-01", "day_outside_calendar"),
        ("2099-12-31", "day_outside_calendar"),
        ("2024-06-03", "day_outside_calendar"),
    ],
)
def test_what_is_no_moment_of_the_calendar_is_refused(door: Door, text: str, code: str) -> None:
    assert one(door, ts=text) == code
    assert door.live().is_empty()


@pytest.mark.parametrize(
    "name",
    [
        "Robert'); DROP TABLE unified_sales_data;--",
        "../../etc/passwd",
        '=HYPERLINK("http://x")',
        "😀",
        'O\'Brien "quoted"',
        "00012345",
        "a,b;c|d",
        "{}",
        "NULL",
        "é" * 256,
    ],
)
def test_any_printable_identifier_is_kept_exactly(door: Door, name: str) -> None:
    assert one(door, store=name, sku=f"  {name}\t") == "accepted"
    assert door.live().select("store_id", "sku").rows() == [(name, name)]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "empty_id"),
        ("   ", "empty_id"),
        ("x" * 257, "id_too_long"),
        ("x" * 100_000, "id_too_long"),
        ("a\nb", "control_characters"),
        ("a\x00b", "control_characters"),
        ("a\x1b[31m", "control_characters"),
    ],
)
def test_what_cannot_be_an_identifier_is_refused(door: Door, name: str, code: str) -> None:
    assert one(door, store=name) == code


def test_a_refused_row_tells_where_it_was_what_it_was_and_what_to_do(door: Door) -> None:
    admitted = door.send("Store;SKU;Date;Qty;Till\ns;a;2024-03-01;1;7\ns;b;2024-03-01;many;7\n")
    (letter,) = door.letters().to_dicts()
    assert letter["source"] == f"sales/acme/{admitted.arrival.file_hash[:12]}"
    assert letter["source_row"] == 2
    assert letter["raw_payload"] == '{"Store":"s","SKU":"b","Date":"2024-03-01","Qty":"many","Till":"7"}'
    assert letter["business_day"] == date(2024, 3, 1)
    assert letter["error"].startswith("Qty is many: send a number")
    assert admitted.ignored_columns == ("Till",)


def test_columns_may_be_renamed_reordered_missing_or_too_many(tmp_path: Path) -> None:
    door = Door(tmp_path, columns={"store_id": "Branch", "ts": "TxnTime", "units": "Menge"})
    door.send("note,Menge,TXNTIME,EAN,branch\nx,2,2024-03-01,a,s\n")
    assert door.live().select("store_id", "sku", "units", "revenue").rows() == [("s", "a", Decimal(2), None)]
    assert one(door, units="3") == "accepted", "canonical names are understood beside configured ones"


def test_lines_of_different_encodings_in_one_file_are_each_read_in_theirs(door: Door) -> None:
    rows = [HEADER.encode(), "Zürich,a,2024-03-01,1,1".encode(), "Genève,a,2024-03-01,1,1".encode("latin-1")]
    door.send(b"\n".join(rows))
    assert door.live()["store_id"].to_list() == ["Genève", "Zürich"]


def test_days_sent_twice_with_doubled_units_are_a_correction_to_be_seen_not_a_duplicate(door: Door) -> None:
    door.send(csv([("s", "a", "2024-03-01", 2, 4), ("s", "a", "2024-03-02", 3, 6)]))
    doubled = door.send(csv([("s", "a", "2024-03-01", 4, 8), ("s", "a", "2024-03-02", 6, 12)]))
    assert (doubled.decision, doubled.accepted) == ("correction", 2)
    assert door.live()["units"].to_list() == [4, 6]


def test_sources_that_count_the_same_sales_are_kept_apart(door: Door) -> None:
    door.send(csv([("s", "a", "2024-03-01", 2, 4, ""), ("s", "a", "2024-03-01", 3, 4, "camera")], HEADER + ",source"))
    assert door.live().select("source", "units").rows() == [("camera", Decimal(3)), ("till", Decimal(2))]


def test_promoted_or_not_is_said_in_many_ways(door: Door) -> None:
    said = ["true", "N", "1", "no", "", "perhaps"]
    door.send(csv([(f"s{n}", "a", "2024-03-01", 1, 1, text) for n, text in enumerate(said)], HEADER + ",on_promotion"))
    assert door.live()["on_promotion"].to_list() == [True, False, True, False, None]
    assert door.codes() == ["not_a_boolean"]
