"""Each change is attributed to what made it, in a run where one thing after the other did."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets import __version__
from mrs_assets.beliefs.changes import as_text
from mrs_assets.beliefs.diff import diff
from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER
from tests.beliefs.history import History
from tests.conftest import SteppingClock

CHANGES = ("recovery", "edit", "data", "approval", "model", "code", "code again", "configuration", "two")
BEFORE = dict(zip(CHANGES, ("start", *CHANGES), strict=False))
CAUSE = {"approval": None, "code again": "code"}
HERE = f"{__version__}+{DETECTION_STAGE.code_version}"
WORDS = {
    "recovery": "promotions_down: it came back (plan-",
    "edit": "ada: approve (00000000-0000-0000-0000-000000000001)",
    "data": "sales file 'correction.csv' of acme (correction), written ",
    "model": "approved by ada",
    "code": f"code of {DETECTED.name} {HERE} → 9.9.9+9",
    "code again": f"code of {DETECTED.name} 9.9.9+9 → {HERE}",
    "configuration": "source weights none → ",
}


def between(history: History, first: str, last: str, name: str = "reports") -> pl.DataFrame:
    return diff(history.reader, name, history.known[first], history.known[last])


@pytest.mark.parametrize("step", [step for step in CHANGES if step != "two"])
def test_one_thing_at_a_time_is_the_only_cause_named(step: str, history: History) -> None:
    cause = CAUSE.get(step, step)
    for name in ("reports", "events"):
        rows = between(history, BEFORE[step], step, name)
        assert set(rows["cause"]) <= {cause}
        assert rows["because"].str.contains(WORDS.get(step, ""), literal=True).all()
        if name == "reports":
            assert rows.is_empty() == (cause is None)


def test_two_things_at_once_are_told_apart_where_each_can_have_made_one_field(history: History) -> None:
    rows = between(history, "configuration", "two")
    causes = dict(rows.select("field", "cause").rows())
    assert (causes["impact_estimate"], causes["final_cause"], causes["annotation_id"]) == ("data", "edit", "edit")
    because = dict(rows.select("field", "because").rows())
    assert "'two at once.csv'" in because["impact_estimate"]
    assert "ada: edit final_cause = '=Easter'" in because["final_cause"]


def test_every_cause_that_can_have_made_a_field_is_named_sorted(history: History) -> None:
    own = between(history, "edit", "model").filter(pl.col("report_id") == history.first_report)
    cause, because = own.filter(pl.col("field") == "impact_estimate").select("cause", "because").row(0)
    assert cause == "data, model"
    assert because.index("'correction.csv'") < because.index("baseline_sales_model none → ")


def test_what_came_back_to_what_it_was_is_no_difference(history: History) -> None:
    """The other version of the code was there in between."""
    assert "scan_z" in set(between(history, "model", "code")["field"])
    assert between(history, "model", "code again").is_empty()


@pytest.mark.parametrize("name", [MINORITY_REPORTS.name, MINORITY_EVENTS.name, DETECTED.name, ATTRIBUTED.name])
@pytest.mark.parametrize(("first", "last"), [("start", "data"), ("edit", "two"), ("model", "configuration")])
def test_applied_to_the_earlier_belief_it_gives_the_later_one(
    name: str, first: str, last: str, history: History
) -> None:
    rows = between(history, first, last, name)
    assert rows.height > 0
    key = rows.columns[: rows.columns.index("field")]
    own = ["report_id", "tick"] if name in (DETECTED.name, ATTRIBUTED.name) else key[:1]
    earlier, later = (believed(history, name, history.known[step], own) for step in (first, last))
    assert earlier != later
    for row in rows.to_dicts():
        subject, field = tuple(row[column] for column in own), row["field"]
        assert earlier.get((*subject, field)) == row["before"]
        earlier[*subject, field] = row["after"]
        assert row["kind"] in ("appeared", "vanished", "changed")
    told = {place: value for place, value in earlier.items() if value is not None}
    assert told == {place: value for place, value in later.items() if value is not None}


def believed(history: History, name: str, at: datetime, key: list[str]) -> dict[tuple[object, ...], str | None]:
    """(subject, field) → value as text, without what tells when something was written."""
    contract = next((log for log in LOGS if log.name == name), None)
    history_of_rows = {"known_at", "refresh_seq", "group_supersedes"}
    rows = history.reader.show(name, as_of=at, live=True)
    fields = [f for f in (contract.hashed if contract else rows.columns) if f not in history_of_rows]
    named = {"retailer", "store_id", "sku"} if name == MINORITY_REPORTS.name else {"retailer"}
    return {
        (*(as_text(row[column]) for column in key), field): as_text(row[field])
        for row in rows.to_dicts()
        for field in fields
        if field not in key and field not in named
    }


def test_rows_of_logs_are_attributed_too(history: History) -> None:
    facts = between(history, "edit", "data", UNIFIED_SALES.name)
    assert set(facts["field"]) == {"units", "revenue"}
    assert set(facts["cause"]) == {"data"}
    assert facts["because"].str.contains("'correction.csv'").all()
    assert set(between(history, "recovery", "edit", "user_edits_log")["cause"]) == {"edit"}
    assert set(between(history, "data", "approval", "model_registry_log")["cause"]) == {"model"}
    assert set(between(history, "approval", "model", BASELINE.name)["cause"]) == {"model"}
    records = between(history, "recovery", "edit", "MRFL")
    assert dict(records.select("field", "cause").rows())["final_decision"] == "edit"


@pytest.mark.parametrize("name", [log.name for log in LOGS])
def test_every_log_can_be_compared_and_nothing_stays_unexplained(name: str, history: History) -> None:
    with history.world().warehouse.store.transaction() as tx:
        there = tx.query("SELECT table_name FROM duckdb_tables()")["table_name"].to_list()
    if name not in there:
        with pytest.raises(UnknownName):
            between(history, "start", "data", name)
        return
    rows = between(history, "edit", "two", name)
    assert "unknown" not in Counter(rows["cause"])


def test_a_row_that_nothing_explains_is_called_unknown(history: History, tmp_path: Path) -> None:
    other = moved(history, tmp_path)
    world = other.world()
    with world.warehouse.store.transaction() as tx:
        newest = tx.live(DETECTED).sort("tick").tail(1)
        writer = Provenance(DETECTED.name, newest["code_version"][0])
        row = newest.select(list(DETECTED.body)).with_columns(scan_z=pl.lit(1.25))
        tx.append(DETECTED, row, replace(EVER, complete=False), writer)
    world.warehouse.publisher.publish()
    rows = diff(other.reader, "MRDL", history.known["two"], other.clock.now + timedelta(hours=1))
    assert rows.select("field", "after", "cause").rows() == [("scan_z", "1.25", "unknown")]


def test_an_input_that_goes_away_is_an_outage(history: History, tmp_path: Path) -> None:
    """The recovery read backwards is not what happened; what happened at the start was that promotions were away."""
    rows = between(history, "start", "recovery", ATTRIBUTED.name).filter(pl.col("field") == "is_degraded")
    assert set(rows.select("before", "after", "cause").rows()) == {("true", "false", "recovery")}


def test_another_run_is_a_matter_of_configuration(history: History, tmp_path: Path) -> None:
    other = moved(history, tmp_path)
    world = other.world()
    with world.warehouse.store.transaction() as tx:
        tx.start_run("run-0002", tx.now, Provenance("test", "0"))
        begun = tx.now
    world.warehouse.publisher.publish()
    rows = diff(other.reader, "reports", history.known["two"], begun + timedelta(seconds=1))
    assert set(rows["kind"]) == {"vanished"}
    assert set(rows["cause"]) == {"configuration"}
    assert "run-0001 → run-0002" in rows["because"][0]


def moved(history: History, home: Path) -> History:
    """The same history in another place, to be added to."""
    shutil.copytree(history.home, home, symlinks=True, dirs_exist_ok=True)
    return History(home, SteppingClock(history.clock.now), history.known)


def test_mistakes_are_told_in_words(history: History) -> None:
    start, end = history.known["start"], history.known["two"]
    with pytest.raises(UserMistake, match="is after"):
        diff(history.reader, "reports", end, start)
    with pytest.raises(UserMistake, match="time zone"):
        diff(history.reader, "reports", start.replace(tzinfo=None), end)
    with pytest.raises(UnknownName):
        diff(history.reader, "no_such_log", start, end)
    assert diff(history.reader, "reports", start, start).is_empty()
