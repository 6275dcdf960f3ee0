"""The door: accounts that add up, resends that cost nothing, corrections, and files that cannot be read."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_resources.admission import Admitted, pending_arrivals
from mrs_resources.feed_reading import survey
from mrs_resources.kernel import Provenance
from tests.feeds.door import HEADER, Door, csv

DAY = [("s1", "a", "2024-03-01", 3, 6.0), ("s1", "b", "2024-03-01", 1, 2.0), ("s2", "a", "2024-03-01", 2, 4.0)]


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def facts(door: Door) -> list[tuple[object, ...]]:
    columns = ["store_id", "sku", "ts", "source", "units", "revenue", "unit_price", "on_promotion"]
    return door.live().select(columns).rows()


def test_a_first_file_is_new_and_all_of_it_is_accepted(door: Door) -> None:
    admitted = door.send(csv(DAY))
    assert (admitted.decision, admitted.received, admitted.accepted) == ("new", 3, 3)
    assert admitted.days == (date(2024, 3, 1),)
    assert admitted.stores == ("s1", "s2")
    account = door.live(ARRIVALS).row(0, named=True)
    assert account["rows_received"] == 3
    assert account["days_touched"] == ["2024-03-01"]
    assert door.live()["source"].unique().to_list() == ["till"]


def test_an_identical_resend_writes_nothing_and_is_not_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.send(csv(DAY))
    before = door.written()
    with monkeypatch.context() as patched:
        patched.setattr("mrs_resources.admission.read_file", None)  # reading would fail
        assert door.send(csv(DAY)).decision == "identical"
    assert door.written() == before
    assert door.admit() == []


def test_a_correction_names_only_what_it_changed(door: Door) -> None:
    door.send(csv([*DAY, ("s1", "a", "2024-03-02", 5, 9.0)]))
    corrected = door.send(csv([("s1", "a", "2024-03-01", 4, 6.0), *DAY[1:], ("s1", "a", "2024-03-02", 5, 9.0)]))
    assert (corrected.decision, corrected.accepted, corrected.duplicate) == ("correction", 1, 3)
    assert corrected.days == (date(2024, 3, 1),)
    assert corrected.stores == ("s1",)


def test_facts_beside_known_ones_of_the_same_interval_are_a_correction_and_a_new_day_is_not(door: Door) -> None:
    door.send(csv(DAY))
    assert door.send(csv([*DAY, ("s1", "a", "2024-03-02", 5, 9.0)])).decision == "new"
    assert door.send(csv([("s1", "c", "2024-03-01", 5, 9.0)])).decision == "correction"


def test_the_old_content_sent_again_after_a_correction_counts_again(door: Door) -> None:
    first, second = csv(DAY), csv([("s1", "a", "2024-03-01", 9, 6.0)])
    door.send(first)
    before = facts(door)
    door.send(second)
    assert facts(door) != before
    assert door.send(first).decision == "correction"
    assert facts(door) == before


def test_the_last_of_several_rows_of_one_key_counts(door: Door) -> None:
    rows = [("s1", "a", "2024-03-01", n, n) for n in (3, 1, 2, 2)]
    admitted = door.send(csv(rows))
    assert (admitted.received, admitted.accepted, admitted.duplicate, admitted.dead_lettered) == (4, 1, 1, 2)
    assert door.live()["units"].to_list() == [2]
    assert door.codes() == ["conflicting_key", "conflicting_key"]


def test_the_last_row_counts_in_a_file_that_is_read_by_several_threads(tmp_path: Path) -> None:
    door = Door(tmp_path, error_budget=1)
    rows = [f"s{n % 7},a,2024-03-01,{n},,yes" for n in range(400_000)]
    admitted = door.send("\n".join([HEADER + ",on_promotion", *rows]))
    assert door.letters().height == admitted.dead_lettered == 400_000 - 7
    last = {f"s{n % 7}": n for n in range(400_000)}
    assert dict(door.live().select("store_id", "units").rows()) == last


def test_a_rejected_file_is_recorded_once_and_read_again_when_it_comes_again(tmp_path: Path) -> None:
    door = Door(tmp_path)
    content = csv([("s1", "a", "2024-03-01", 1, 1)], header="Laden,Artikel,Tag,Stück,Umsatz")
    rejected = door.send(content)
    assert rejected.decision == "rejected"
    assert "Laden, Artikel, Tag" in str(rejected.reason)
    before = door.written()
    assert door.send(content).decision == "identical"
    assert door.written() == before
    names = {"store_id": "Laden", "sku": "Artikel", "ts": "Tag", "units": "Stück", "revenue": "Umsatz"}
    mended = Door(tmp_path, columns=names)
    assert mended.send(content).accepted == 1


def test_a_crash_before_the_commit_is_made_good_by_the_next_run(door: Door) -> None:
    from mrs_resources.admission import admit

    door.drop(csv(DAY))
    door.archive.collect(door.settings, door.clock)
    with door.store.transaction() as tx:
        (arrival,) = pending_arrivals(tx, door.archive)
    declared = FEED_DECLARATIONS["sales"]

    def dies() -> None:
        with door.store.transaction() as tx:
            admit(tx, door.archive, arrival, door.settings, declared, Provenance("test", "1"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies()
    assert door.written() == 0
    assert [a.accepted for a in door.admit()] == [3]
    assert door.live().height == 3


def test_a_new_namespace_reads_only_what_arrives_after_it_began(door: Door) -> None:
    door.send(csv(DAY))
    with door.store.transaction() as tx:
        tx.start_run("run-0002", door.clock(), Provenance("test", "1"))
    assert door.admit() == []
    assert door.live().is_empty()
    assert door.send(csv(DAY)).decision == "new"


def test_a_new_namespace_can_be_built_from_everything_that_ever_arrived(door: Door) -> None:
    door.send(csv(DAY))
    door.send(csv([("s1", "a", "2024-03-01", 9, 6.0)]))
    door.send(csv(DAY))
    before = facts(door)
    with door.store.transaction() as tx:
        tx.start_run("run-0002", datetime(1970, 1, 1, tzinfo=UTC), Provenance("test", "1"))
    assert [a.decision for a in door.admit()] == ["new", "correction", "correction"]
    assert facts(door) == before


def test_survey_says_which_days_a_file_speaks_of(door: Door) -> None:
    door.drop(csv([*DAY, ("s1", "a", "2024-03-09", 1, 1), ("s1", "a", "yesterday", 1, 1)]))
    door.drop(b"")
    good, empty = door.archive.collect(door.settings, door.clock)
    declared = FEED_DECLARATIONS["sales"]
    assert survey(door.archive, good, door.settings, declared) == (date(2024, 3, 1), date(2024, 3, 9))
    assert survey(door.archive, empty, door.settings, declared) is None
    assert list(door.archive.scratch.iterdir()) == []


def _parquet(frame: pl.DataFrame) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        frame.write_parquet(Path(folder) / "x")
        return (Path(folder) / "x").read_bytes()


KINDS = {
    "csv": lambda frame: frame.write_csv().encode(),
    "semicolons": lambda frame: frame.write_csv(separator=";").encode(),
    "tabs": lambda frame: frame.write_csv(separator="\t").encode(),
    "pipes": lambda frame: frame.write_csv(separator="|").encode(),
    "windows lines": lambda frame: frame.write_csv(line_terminator="\r\n").encode(),
    "mixed lines": lambda frame: frame.write_csv().encode().replace(b"\n", b"\r\n", 2),
    "old mac lines": lambda frame: frame.write_csv(line_terminator="\r").encode(),
    "byte-order mark": lambda frame: b"\xef\xbb\xbf" + frame.write_csv().encode(),
    "utf-16": lambda frame: frame.write_csv().encode("utf-16"),
    "utf-16 without mark": lambda frame: frame.write_csv().encode("utf-16-le"),
    "latin-1": lambda frame: frame.write_csv().encode("latin-1"),
    "blank lines": lambda frame: frame.write_csv().replace("\n", "\n\n").encode(),
    "blank lines first": lambda frame: b"\n\n" + frame.write_csv().encode(),
    "ndjson": lambda frame: frame.write_ndjson().encode(),
    "parquet": _parquet,
}


def _zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


FRAME = pl.DataFrame(
    {
        "store_id": ["007", "Zürich", "7"],
        "sku": ["a", "b;c|d", '5" pipe'],
        "ts": ["2024-03-01", "2024-03-01", "2024-03-02"],
        "units": [1.5, -2.0, None],
        "revenue": [3.25, -4.0, 0.0],
    }
)


@pytest.mark.parametrize("packed", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_of_file_says_the_same(door: Door, kind: str, packed: str) -> None:
    content = KINDS[kind](FRAME)
    admitted = door.send({"plain": bytes, "gzip": gzip.compress, "zstd": _zstd}[packed](content))
    assert (admitted.accepted, admitted.dead_lettered) == (3, 0), door.letters()
    rows = door.live().sort("ts", "store_id").select("store_id", "sku", "units", "revenue").rows()
    assert [(s, k, u and float(u), r and float(r)) for s, k, u, r in rows] == [
        ("007", "a", 1.5, 3.25),
        ("Zürich", "b;c|d", -2.0, -4.0),
        ("7", '5" pipe', None, 0.0),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b" \n\n", "empty_file"),
        (b"\xef\xbb\xbf", "empty_file"),
        (gzip.compress(b""), "empty_file"),
        (gzip.compress(csv(DAY).encode() * 50)[:-20], "damaged_compression"),
        (_zstd(csv(DAY).encode() * 50)[:-5], "damaged_compression"),
        (b"\x1f\x8bnothing", "damaged_compression"),
        (_parquet(FRAME)[:-30], "unreadable"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "not_text"),
        (b"a,b\n1,2\n", "missing_columns"),
        (b'{"a": 1}\n', "missing_columns"),
        (b'[{"store_id": "s"}]', "json_array"),
        (b"store_id,sku,ts\ns,a,2024-03-01\n", "missing_columns"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_cannot_be_used_at_all_is_rejected_with_a_reason(door: Door, content: bytes, code: str) -> None:
    admitted = door.send(content)
    assert admitted.decision == "rejected"
    assert str(admitted.reason).startswith(f"{code}: ")
    assert door.live(ARRIVALS)["rows_received"].to_list() == [0]
    assert door.send(csv(DAY)).decision == "new"


def test_a_header_alone_is_a_file_of_no_rows(door: Door) -> None:
    admitted = door.send(HEADER + "\n")
    assert (admitted.decision, admitted.received, admitted.dead_lettered) == ("new", 0, 0)


def test_lines_without_a_row_are_dead_letters_with_the_line_as_it_stood(door: Door) -> None:
    admitted = door.send(f"{HEADER}\ns1,a,2024-03-01,1,1\ns1,b\ns1,c,2024-03-01,1,1,more\ns1,d,2024-03-01,x,1\n")
    assert (admitted.received, admitted.accepted, admitted.dead_lettered) == (4, 1, 3)
    letters = door.letters().select("source_row", "raw_payload", "error_code").rows()
    assert letters[:2] == [(2, "s1,b", "broken_line"), (3, "s1,c,2024-03-01,1,1,more", "broken_line")]
    assert letters[2][0] == 4
    assert letters[2][2] == "not_a_number"


def test_broken_ndjson_lines_are_dead_letters_with_the_line_as_it_stood(door: Door) -> None:
    good = '{"STORE_ID": "s", "sku": "a", "ts": "2024-03-01", "units": 1}'
    admitted = door.send(f'{good}\n{{"store_id": \n[1]\nnull\n\n{good.replace("STORE_ID", "store_id")}\n')
    assert (admitted.received, admitted.accepted, admitted.duplicate, admitted.dead_lettered) == (5, 1, 1, 3)
    assert door.letters()["raw_payload"].to_list() == ['{"store_id": ', "[1]", "null"]
    assert door.codes() == ["bad_json"] * 3


CELL = st.one_of(
    st.sampled_from(["", "s1", "s2", "2024-03-01", "2024-03-31 01:30", "1", "-2", "1,5", "NaN", "x" * 300, '"', "é"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8),
)
DIRTY_ROW = st.lists(CELL, min_size=0, max_size=6).map(",".join)
CLEAN_ROW = st.tuples(
    st.sampled_from(["s1", "s2"]),
    st.sampled_from(["a", "b", "c"]),
    st.integers(1, 28).map(lambda day: f"2024-02-{day:02d}"),
    st.integers(-3, 9),
    st.sampled_from(["", "1.25", "-7"]),
)


def in_a_new_home() -> tuple[Door, Path]:
    home = Path(tempfile.mkdtemp())
    return Door(home), home


def adds_up(admitted: Admitted) -> bool:
    return admitted.received == admitted.accepted + admitted.duplicate + admitted.dead_lettered


@settings(max_examples=10, deadline=None)
@given(st.lists(st.one_of(DIRTY_ROW, CLEAN_ROW.map(lambda row: ",".join(map(str, row)))), max_size=8))
def test_the_accounts_add_up_for_any_file(rows: list[str]) -> None:
    door, home = in_a_new_home()
    try:
        content = "\n".join([HEADER, *rows])
        admitted = door.send(content)
        assert adds_up(admitted)
        live, letters = door.live(), door.letters()
        assert live.height == admitted.accepted
        assert letters.height == admitted.dead_lettered
        good, bad = UNIFIED_SALES.admit(live.select(UNIFIED_SALES.body.names()))
        assert bad.is_empty()
        assert good.height == live.height
        before = door.written()
        assert door.send(content).decision == "identical"
        assert door.written() == before
    finally:
        shutil.rmtree(home)


@settings(max_examples=6, deadline=None)
@given(
    st.lists(CLEAN_ROW, max_size=24, unique_by=lambda row: row[:3]),
    st.lists(st.integers(0, 3), min_size=24, max_size=24),
    st.permutations(range(4)),
    st.booleans(),
)
def test_rows_split_into_files_in_any_way_and_order_say_the_same(
    rows: list[tuple[object, ...]], parts: list[int], order: list[int], overlap: bool
) -> None:
    whole, first_home = in_a_new_home()
    split, second_home = in_a_new_home()
    try:
        whole.send(csv(rows))
        for part in order:
            mine = [row for row, place in zip(rows, parts, strict=False) if place == part or (overlap and place == 0)]
            split.drop(csv(mine))
        assert all(adds_up(admitted) for admitted in split.admit())
        assert facts(split) == facts(whole)
    finally:
        shutil.rmtree(first_home)
        shutil.rmtree(second_home)
