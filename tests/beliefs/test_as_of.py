"""What was known at an instant can be asked of every view, every log, every dead-letter log and every report's life."""

from __future__ import annotations

import pytest

from mrs_assets.contracts.errors import UnknownName
from mrs_assets.contracts.logs.catalogue import LOGS
from mrs_assets.contracts.views import VIEWS
from tests.beliefs.history import History

NAMES = [name for log in LOGS for name in (log.name, f"{log.name}_errors")]


@pytest.mark.parametrize("name", NAMES)
def test_a_log_as_of_an_instant_has_the_rows_written_by_then_and_no_other(name: str, history: History) -> None:
    reader = history.reader
    if name not in set(reader.rows("SELECT table_name FROM duckdb_tables()", {})["table_name"]):
        with pytest.raises(UnknownName, match="no row yet"):
            reader.show(name)
        return
    every = reader.show(name)
    for at in history.known.values():
        known = reader.show(name, as_of=at)
        assert known.height == (every["written_at"] <= at).sum()
        assert (known["written_at"] <= at).all()
    if not name.endswith("_errors"):
        assert reader.show(name, as_of=at, live=True).equals(reader.show(name, live=True))


@pytest.mark.parametrize("view", [view.name for view in VIEWS])
def test_a_view_as_of_an_instant_is_what_was_shown_then(view: str, history: History) -> None:
    shown = [history.reader.show(view, as_of=at) for at in history.known.values()]
    assert shown[-1].equals(history.reader.show(view))
    assert any(not earlier.equals(shown[-1]) for earlier in shown)
    for rows, at in zip(shown, history.known.values(), strict=True):
        assert rows.height > 0
        assert (rows["known_at"] <= at).all()


def test_a_reports_life_as_of_an_instant_ends_there(history: History) -> None:
    report, reader = history.first_report, history.reader
    whole = reader.explain(report)
    for at in history.known.values():
        then = reader.explain(report, as_of=at)
        assert then.current.equals(reader.show("reports", as_of=at, where=f"report_id = '{report}'"))
        for log, rows in whole.logs.items():
            assert then.logs[log].height == (rows["written_at"] <= at).sum()
    before, after = (reader.explain(report, as_of=history.known[step]) for step in ("recovery", "edit"))
    assert (before.sources["final"], after.sources["final"]) == ("attribution", "finalised")
    with pytest.raises(UnknownName):
        reader.explain(report, as_of=history.known["start"].replace(year=2020))
