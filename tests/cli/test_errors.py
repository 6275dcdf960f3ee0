"""`mrs errors` as a user types it: dead letters counted, shown, retried, fixed and dismissed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from mrs_assets.cli import main
from tests.cli.test_commands import mrs, rows

FEEDS = """
[retailers.acme]
timezone = "Europe/London"
{more}
[calendar]
first_day = 2024-01-01
"""
HEADER = "store_id,sku,ts,units\n"


@pytest.fixture(scope="module")
def ticked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A retailer whose first file has four broken rows, one of them a formula, after its first tick."""
    folder = tmp_path_factory.mktemp("errors")
    (folder / "feeds.toml").write_text(FEEDS.format(more=""))
    rows = 's1,a,2024-03-01,"12,5"\ns1,b,2024-03-01,many\ns1,c,soon,5\ns1,d,2024-03-01,7\n=1+1\n'
    send(folder, "first.csv", HEADER + rows)
    code, _, err = mrs(folder, "tick")
    assert code == 0
    assert "4 dead letters wait" in err
    return folder


@pytest.fixture
def home(ticked: Path, tmp_path: Path) -> Path:
    """A copy of that home, to change."""
    return Path(shutil.copytree(ticked, tmp_path / "home", symlinks=True))


def send(home: Path, name: str, content: str) -> None:
    inbox = home / ".mrs" / "inbox" / "sales" / "acme"
    inbox.mkdir(parents=True, exist_ok=True)
    (inbox / name).write_text(content)


def letter(home: Path, row: int) -> dict[str, object]:
    return next(found for found in rows(home, "errors", "--rows") if found["source_row"] == row)


def units(home: Path) -> dict[object, object]:
    return {r["sku"]: r["units"] for r in rows(home, "show", "unified_sales_data", "--live")}


def series(home: Path) -> dict[object, object]:
    found = rows(home, "show", "sales_timeseries_data", "--live", "--where", "business_day = '2024-03-01'")
    return {r["sku"]: r["units"] for r in found}


def test_letters_are_counted_with_an_example_and_what_to_do(ticked: Path) -> None:
    found = {r["error_code"]: r for r in rows(ticked, "errors")}
    assert set(found) == {"not_a_number", "bad_timestamp", "broken_line"}
    numbers = found["not_a_number"]
    assert (numbers["log"], numbers["retailer"]) == ("unified_sales_data", "acme")
    assert (numbers["letters"], numbers["open"], numbers["resolved"]) == (2, 2, 0)
    assert '"units":"12,5"' in str(numbers["example"])
    assert "or set decimal_sign in feeds.toml" in str(numbers["what_to_do"])
    assert numbers["first_seen"] == numbers["last_seen"]
    code, out, _ = mrs(ticked, "errors")
    assert code == 0
    assert "send ISO 8601" in " ".join(out.split())


def test_single_letters_are_chosen_and_limited(ticked: Path) -> None:
    found = rows(ticked, "errors", "unified_sales_data", "--code", "bad_timestamp", "--retailer", "acme")
    assert [(r["source_row"], r["state"]) for r in found] == [(3, "open")]
    assert rows(ticked, "errors", "unified_sales_data", "--retailer", "nobody") == []
    assert len(rows(ticked, "errors", "unified_sales_data", "--limit", "1")) == 1
    code, out, err = mrs(ticked, "errors", "unified_sales_data", "--limit", "2")
    assert code == 0
    assert "DL-" in out
    assert "2 of 4 letters" in err


def test_letters_are_safe_in_a_spreadsheet(ticked: Path) -> None:
    _, out, _ = mrs(ticked, "errors", "unified_sales_data", "--code", "broken_line", "--format", "csv")
    (broken,) = csv.DictReader(io.StringIO(out))
    assert broken["raw_payload"] == "'=1+1"
    assert rows(ticked, "errors", "unified_sales_data", "--code", "broken_line")[0]["raw_payload"] == "=1+1"


def test_a_corrected_setting_and_a_retry_bring_rows_in_and_the_next_tick_replays_them(home: Path) -> None:
    assert mrs(home, "errors", "retry")[0] == 0
    assert sum(int(str(r["open"])) for r in rows(home, "errors")) == 4
    (home / "feeds.toml").write_text(FEEDS.format(more='decimal_sign = ","'))
    code, out, err = mrs(home, "errors", "retry", "--code", "not_a_number", "--actor", "ann")
    assert code == 0, err
    assert "correction" in out
    assert "mrs tick" in err
    assert (units(home)["a"], letter(home, 1)["state"], letter(home, 1)["resolved_by"]) == (12.5, "readmitted", "ann")
    assert letter(home, 2)["state"] == "open"
    assert mrs(home, "tick")[0] == 0
    assert series(home)["a"] == 12.5


def test_a_fixed_row_goes_through_the_inbox_and_resolves_its_letter(home: Path) -> None:
    identity = str(letter(home, 2)["letter_id"])
    code, _, err = mrs(home, "errors", "fix", identity, "--set", "units=9", "--actor", "ann")
    assert code == 0, err
    assert [f.name for f in (home / ".mrs" / "inbox" / "sales" / "acme").iterdir()] == [f"fix-{identity}.csv"]
    assert letter(home, 2)["state"] == "open", "nothing is admitted before the tick"
    assert mrs(home, "tick")[0] == 0
    assert series(home)["b"] == units(home)["b"] == 9
    fixed = letter(home, 2)
    assert (fixed["state"], fixed["resolved_by"]) == ("fixed", "ann")
    assert identity in {str(r["letter_id"]) for r in rows(home, "show", "dead_letters_resolved_log")}
    assert {r["source_row"] for r in rows(home, "errors", "--rows", "--open")} == {1, 3, 5}


def test_a_fix_that_would_be_refused_is_not_sent(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = str(letter(home, 3)["letter_id"])
    said = mistake(home, monkeypatch, capsys, "errors", "fix", identity, "--set", "ts=tomorrow")
    assert "would be refused again. ts is tomorrow: send ISO 8601" in said
    assert list((home / ".mrs" / "inbox" / "sales" / "acme").iterdir()) == []


def test_a_dismissed_letter_stays_with_who_and_why(home: Path) -> None:
    identity = str(letter(home, 3)["letter_id"])
    assert mrs(home, "errors", "dismiss", identity, "--reason", "a test till", "--actor", "ann")[0] == 0
    dismissed = letter(home, 3)
    assert (dismissed["state"], dismissed["resolved_by"], dismissed["resolved_because"]) == (
        "dismissed",
        "ann",
        "a test till",
    )
    assert {r["source_row"] for r in rows(home, "errors", "--rows", "--open")} == {1, 2, 5}
    counts = {r["log"]: r["dead_letters"] for r in json.loads(mrs(home, "health", "--json")[1])}
    assert counts["unified_sales_data"] == 3, "health counts those that wait"


def test_mistakes_end_in_words(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    identity = str(letter(home, 2)["letter_id"])
    for arguments, said in (
        (["errors", "no_such_log"], "no_such_log"),
        (["errors", "fix", "DL-0", "--set", "units=1"], "There is no letter"),
        (["errors", "fix", identity], "Nothing was corrected"),
        (["errors", "fix", identity, "--set", "units"], "is not column=value"),
        (["errors", "fix", identity, "--set", "colour=red"], "There is no column 'colour'"),
        (["errors", "dismiss", "DL-0", "--reason", "x"], "There is no open letter DL-0"),
        (["errors", "dismiss", identity, "--reason", " "], "needs a reason"),
        (["errors", "retry", "--retailer", "nobody"], "No file with an open letter"),
    ):
        assert said in mistake(home, monkeypatch, capsys, *arguments)


def mistake(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Make a user's mistake; what is said of it, in one line."""
    monkeypatch.chdir(home)
    monkeypatch.setattr("sys.argv", ["mrs", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.split())
