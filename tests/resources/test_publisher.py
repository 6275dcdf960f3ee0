from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from mrs_assets.cli.output import safe_for_spreadsheets
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.hydration.folds import FOLDS
from mrs_resources import publisher as publishing
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore
from mrs_resources.publisher import Published, Publisher
from mrs_resources.reader import SnapshotReader
from tests.hydration.rows import PROVENANCE, action, instant, put, replace_all, report_id, row

HYDRATOR = Hydrator(FOLDS)
Row = dict[str, Any]


def tick(store: LogStore, *writes: tuple[Any, list[Row]]) -> None:
    """Write, then hydrate, as one tick does."""
    with store.transaction() as tx:
        for contract, rows in writes:
            put(tx, contract, *rows)
        HYDRATOR.refresh(tx)


def sales(month: int, units: int, retailer: str = "acme") -> Row:
    day = datetime(2024, month, 1, tzinfo=UTC)
    return {
        "retailer": retailer,
        "business_day": day.date(),
        "store_id": "s",
        "sku": "milk",
        "ts": day,
        "units": units,
        "coverage": "received",
        "quality_flags": [],
    }


def publish(home: Path) -> Published:
    published = Publisher(home).publish()
    assert published is not None
    return published


@pytest.fixture
def reader(tmp_path: Path) -> SnapshotReader:
    return SnapshotReader(tmp_path, FOLDS)


def test_readers_see_one_state_in_database_and_parquet(store: LogStore, tmp_path: Path) -> None:
    tick(store, (DETECTED, [row(DETECTED, n=1), row(DETECTED, n=2)]), (SALES_TIMESERIES, [sales(3, 5)]))
    with store.transaction() as tx:
        replace_all(tx, DETECTED, row(DETECTED, n=2, tick=1))
        HYDRATOR.refresh(tx)
    published = publish(tmp_path)
    folder = tmp_path / "published"
    with duckdb.connect(str(folder / "mrs.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT report_id FROM minority_reports").fetchall() == [(report_id(2),)]
        assert connection.sql("SELECT count(*) FROM minority_reports_detected_log").fetchall() == [(3,)]
        assert connection.sql("SELECT report_id FROM minority_reports_detected_log_live").fetchall() == [
            (report_id(2),)
        ]
        assert connection.sql("SELECT run_id, known_at = hydrated_to FROM publication").fetchall() == [
            ("run-0001", True)
        ]
    assert pl.read_parquet(folder / "minority_reports.parquet")["report_id"].to_list() == [report_id(2)]
    assert pl.read_parquet(folder / "sales_timeseries_data/acme/2024-03.parquet")["units"].to_list() == [5]
    assert Publisher(tmp_path).published() == published


def test_nothing_new_publishes_nothing(store: LogStore, tmp_path: Path) -> None:
    assert Publisher(tmp_path).publish() is None
    with store.transaction() as tx:
        put(tx, DETECTED, row(DETECTED))
    assert Publisher(tmp_path).publish() is None, "nothing was hydrated"
    tick(store)
    publish(tmp_path)
    assert Publisher(tmp_path).publish() is None
    tick(store, (DETECTED, [row(DETECTED)]))
    assert Publisher(tmp_path).publish() is None, "the same rows again"
    tick(store, (DETECTED, [row(DETECTED, tick=2)]))
    assert Publisher(tmp_path).publish() is not None


def test_the_snapshot_before_is_kept_and_older_ones_go(store: LogStore, tmp_path: Path) -> None:
    names = []
    for n in range(1, 5):
        tick(store, (DETECTED, [row(DETECTED, n=n)]))
        names.append(Path(publish(tmp_path).directory).name)
        open_one = tmp_path / "snapshots" / names[max(n - 2, 0)] / "minority_reports.parquet"
        assert open_one.exists()
    assert sorted(p.name for p in (tmp_path / "snapshots").iterdir() if p.is_dir()) == sorted(names[-2:])


def test_only_months_that_changed_are_written_anew(store: LogStore, tmp_path: Path) -> None:
    tick(store, (SALES_TIMESERIES, [sales(1, 1), sales(2, 2), sales(3, 3), sales(3, 4, "bolt")]))
    assert publish(tmp_path).series_files_written == 4
    tick(store, (SALES_TIMESERIES, [sales(2, 9)]))
    assert publish(tmp_path).series_files_written == 1
    series = pl.read_parquet(tmp_path / "published" / "sales_timeseries_data" / "*" / "*.parquet")
    assert sorted(series.select("retailer", "business_day", "units").rows()) == [
        ("acme", date(2024, 1, 1), 1),
        ("acme", date(2024, 2, 1), 9),
        ("acme", date(2024, 3, 1), 3),
        ("bolt", date(2024, 3, 1), 4),
    ]
    with store.transaction() as tx:
        tx.start_run("run-0002", instant(0), PROVENANCE)
        put(tx, SALES_TIMESERIES, sales(1, 7))
        HYDRATOR.refresh(tx)
    publish(tmp_path)
    series = pl.read_parquet(tmp_path / "published" / "sales_timeseries_data" / "*" / "*.parquet")
    assert series["units"].to_list() == [7], "another namespace shares nothing"


@pytest.mark.parametrize("broken", ["_complete", "_show", "_copy_warehouse"])
def test_a_crash_leaves_the_former_publication(
    store: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    tick(store, (DETECTED, [row(DETECTED, n=1)]))
    before = publish(tmp_path)
    tick(store, (DETECTED, [row(DETECTED, n=2)]))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken_here:
        broken_here.setattr(Publisher, broken, crash)
        with pytest.raises(KeyboardInterrupt):
            Publisher(tmp_path).publish()
    assert Publisher(tmp_path).published() == before
    assert SnapshotReader(tmp_path, FOLDS).show("reports").height == 1
    publish(tmp_path)
    assert SnapshotReader(tmp_path, FOLDS).show("reports").height == 2


def test_a_crash_between_naming_and_swapping_is_made_good(
    store: LogStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick(store, (DETECTED, [row(DETECTED, n=1)]))
    publish(tmp_path)
    tick(store, (DETECTED, [row(DETECTED, n=2)]))

    def crash(path: Path) -> None:
        if path.name == "snapshots":
            raise KeyboardInterrupt

    with monkeypatch.context() as broken_here:
        broken_here.setattr(publishing, "_to_disk", crash)
        with pytest.raises(KeyboardInterrupt):
            Publisher(tmp_path).publish()
    assert SnapshotReader(tmp_path, FOLDS).show("reports").height == 1
    publish(tmp_path)
    assert SnapshotReader(tmp_path, FOLDS).show("reports").height == 2


def test_a_home_can_be_moved(store: LogStore, tmp_path: Path) -> None:
    tick(store, (DETECTED, [row(DETECTED)]), (SALES_TIMESERIES, [sales(1, 1)]))
    publish(tmp_path)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for name in ("warehouse", "snapshots", "published"):
        (tmp_path / name).rename(moved / name)
    assert SnapshotReader(moved, FOLDS).show("MRDL").height == 1
    tick(LogStore(moved), (DETECTED, [row(DETECTED, tick=2)]))
    assert publish(moved).series_files_written == 0


def test_show_reads_views_and_logs(store: LogStore, tmp_path: Path, reader: SnapshotReader) -> None:
    with pytest.raises(UserMistake, match="Nothing has been published"):
        reader.show("reports")
    tick(store, (DETECTED, [row(DETECTED, n=1), row(DETECTED, n=2)]))
    between = datetime(2024, 6, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    tick(store, (DETECTED, [row(DETECTED, n=1, severity_score=5.0)]), (ATTRIBUTED, [row(ATTRIBUTED, n=1)]))
    publish(tmp_path)
    assert reader.show("reports").schema == MINORITY_REPORTS.schema
    assert reader.show("minority_reports", where="severity_score > 2")["report_id"].to_list() == [report_id(1)]
    past = reader.show("reports", as_of=between)
    assert past["severity_score"].to_list() == [1.0, 1.0]
    assert past["proposed_cause"].to_list() == [None, None]
    assert reader.show("MRDL")["version"].to_list() == [1, 2, 1]
    assert reader.show("mrdl", live=True)["version"].to_list() == [2, 1]
    assert reader.show("MRDL", live=True, as_of=between)["version"].to_list() == [1, 1]
    assert reader.show("MRDL", limit=1).height == 1
    assert reader.show("minority_reports_detected_log_errors").height == 0
    with pytest.raises(UnknownName):
        reader.show("nonsense")
    with pytest.raises(UserMistake, match="time zone"):
        reader.show("reports", as_of=datetime(2024, 6, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "where",
    [
        "store_id IN (SELECT content FROM read_text('/etc/hostname'))",
        "true); DROP TABLE minority_reports; SELECT (1",
        "true); COPY minority_reports TO '/tmp/mrs-leak.csv'; SELECT (1",
        "true); ATTACH '/tmp/mrs-leak.duckdb'; SELECT (1",
        "no_such_column = 1",
        "severity_score >",
        "severity_score = $other",
    ],
)
def test_a_condition_can_only_select(store: LogStore, tmp_path: Path, reader: SnapshotReader, where: str) -> None:
    tick(store, (DETECTED, [row(DETECTED)]))
    publish(tmp_path)
    with pytest.raises(UserMistake):
        reader.show("reports", where=where)
    assert reader.show("reports").height == 1
    assert not Path("/tmp/mrs-leak.csv").exists()  # noqa: S108


def test_explain_tells_the_whole_story(store: LogStore, tmp_path: Path, reader: SnapshotReader) -> None:
    evidence = '{"candidates": ["campaign-1"], "would_change": ["weather"]}'
    tick(store, (DETECTED, [row(DETECTED)]), (ATTRIBUTED, [row(ATTRIBUTED, supporting_evidence=evidence)]))
    tick(store, (DETECTED, [row(DETECTED, severity_score=5.0), row(DETECTED, n=2)]))
    tick(store, (USER_EDITS, [action(USER_EDITS, "a1", "approve")]))
    publish(tmp_path)
    told = reader.explain(report_id(1))
    assert told.logs[DETECTED.name]["severity_score"].to_list() == [1.0, 5.0]
    assert told.logs[USER_EDITS.name]["action"].to_list() == ["approve"]
    assert told.current["severity_score"].to_list() == [5.0]
    assert (told.sources["proposed"], told.sources["measures"]) == ("attribution", "detected")
    assert told.sources["group_id"] is None
    assert told.evidence == {"candidates": ["campaign-1"], "would_change": ["weather"]}
    with pytest.raises(UnknownName):
        reader.explain(report_id(99))


def test_csv_cells_are_no_formulas() -> None:
    frame = pl.DataFrame(
        {
            "text": ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "fine", None],
            "list": [["=a", "b"], [], None, ["c"], ["d"], ["e"], ["f"], ["g"]],
            "number": [-1.0] * 8,
        }
    )
    safe = safe_for_spreadsheets(frame)
    assert safe["text"].to_list() == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "'\rx", "fine", None]
    assert safe["list"].to_list()[:3] == ["'=a; b", "", None]
    assert safe["number"].to_list() == [-1.0] * 8
    assert safe.write_csv().count("\n") >= 9


def test_publications_of_one_state_are_alike(store: LogStore, tmp_path: Path) -> None:
    tick(store, (DETECTED, [row(DETECTED, n=n) for n in range(1, 30)]))
    first = publish(tmp_path)
    bytes_before = (tmp_path / "published" / "minority_reports.parquet").read_bytes()
    (tmp_path / "published").unlink()
    again = publish(tmp_path)
    assert again.fingerprint == first.fingerprint
    assert (tmp_path / "published" / "minority_reports.parquet").read_bytes() == bytes_before
    assert datetime.fromisoformat(first.known_at) - datetime(2024, 6, 1, tzinfo=UTC) < timedelta(minutes=1)
