"""The command line as a user types it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import duckdb
import polars as pl
import pytest
from typer.testing import CliRunner

from mrs_assets.cli import main
from mrs_assets.cli.app import app
from tests.stories.test_one_anomaly import spike
from tests.world import REPORTS_FROM, daily_sales

FEEDS = f"""
[retailers.acme]
timezone = "Europe/London"
currency = "GBP"
reports_from = {REPORTS_FROM}
[calendar]
first_day = 2023-01-01
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "feeds.toml").write_text(FEEDS)
    inbox = folder / ".mrs" / "inbox" / "sales" / "acme"
    inbox.mkdir(parents=True)
    daily_sales(124, change=spike).write_csv(inbox / "sales.csv")
    (inbox / "broken.csv").write_text("store_id,sku,ts,units\ns1,milk,soon,3\ns1,milk,2024-01-01,many\n")
    return folder


def mrs(home: Path, *arguments: str) -> tuple[int, str, str]:
    before = Path.cwd()
    os.chdir(home)
    try:
        result = CliRunner().invoke(app, list(arguments))
    finally:
        os.chdir(before)
    return result.exit_code, result.stdout, result.stderr


def rows(home: Path, *arguments: str) -> list[dict[str, object]]:
    code, out, _ = mrs(home, *arguments, "--format", "json")
    assert code == 0
    found = json.loads(out)
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def ticked(home: Path) -> Path:
    code, out, err = mrs(home, "tick")
    assert code == 0, err
    assert "unified_sales_data" in out
    return home


def test_a_second_tick_says_that_nothing_is_new(ticked: Path) -> None:
    code, _, err = mrs(ticked, "tick")
    assert code == 0
    assert "no log gained a row" in err


def test_json_is_one_array_and_nothing_else(ticked: Path) -> None:
    found = rows(ticked, "show", "reports", "--where", "sku = 'eggs'")
    assert [r["store_id"] for r in found] == ["s2"]
    assert str(found[0]["window_start"]).endswith("Z")


def test_a_log_shows_every_row_and_only_the_true_ones_on_request(ticked: Path) -> None:
    assert len(rows(ticked, "show", "MRDL")) >= len(rows(ticked, "show", "mrdl", "--live")) > 0


def test_columns_are_chosen_and_shown_as_they_are_stored(ticked: Path) -> None:
    (first, *_) = rows(ticked, "show", "reports", "--columns", "sku, window_start,sku")
    assert [*first] == ["sku", "window_start"]


def test_parquet_and_csv_read_back(ticked: Path) -> None:
    _, out, _ = mrs(ticked, "show", "reports", "--format", "csv")
    assert pl.read_csv(out.encode())["report_id"].str.starts_with("MR-").all()


def test_explain_names_every_log_and_the_winning_source(ticked: Path) -> None:
    report = str(rows(ticked, "show", "reports", "--limit", "1")[0]["report_id"])
    code, out, err = mrs(ticked, "explain", report)
    assert code == 0
    for expected in ("minority_reports_detected_log", "minority_reports_finalised_log", "supplied by", "attribution"):
        assert expected in out
    assert "The numbers behind the cause" in err


def test_dead_letters_are_grouped_and_shown_with_what_they_said(ticked: Path) -> None:
    codes = {r["error_code"] for r in rows(ticked, "errors")}
    assert codes == {"bad_timestamp", "not_a_number"}
    payloads = " ".join(str(r["raw_payload"]) for r in rows(ticked, "errors", "unified_sales_data", "--rows"))
    assert "soon" in payloads
    assert "many" in payloads


def test_a_log_that_is_too_wide_for_a_table_is_shown_as_records_and_says_what_it_leaves_out(ticked: Path) -> None:
    code, out, err = mrs(ticked, "show", "feed_arrivals_log")
    assert code == 0
    cells = [line.split("│") for line in out.split("row 2 of ")[0].splitlines() if "│" in line]
    told = {name.strip(): value.strip() for _, name, value, _ in cells}
    assert told["rows_duplicate"] == "0", "none is a number, and is told"
    assert told.keys().isdisjoint({"row_hash", "is_retracted"})
    assert "Not shown: run_id" in err
    assert "is_retracted" in err


def test_a_log_without_rows_shows_its_columns(ticked: Path) -> None:
    code, out, _ = mrs(ticked, "show", "unified_sales_data", "--limit", "0")
    assert code == 0
    assert "┏" in out


def test_health_counts_rows_per_log(ticked: Path) -> None:
    code, out, _ = mrs(ticked, "health", "--json")
    assert code == 0
    assert {r["log"] for r in json.loads(out)} >= {"unified_sales_data", "minority_events_log"}


def test_an_edit_waits_in_the_inbox_and_the_next_tick_applies_it(ticked: Path) -> None:
    report = str(rows(ticked, "show", "reports", "--where", "sku = 'eggs'")[0]["report_id"])
    code, _, _ = mrs(ticked, "edit", report, "approve", "--actor", "lewis", "--reason", "seen in the shop")
    assert code == 0
    assert "1 files wait" in mrs(ticked, "plan")[2]
    assert mrs(ticked, "tick")[0] == 0
    after = rows(ticked, "show", "reports", "--where", f"report_id = '{report}'")[0]
    assert (after["final_decision"], after["source_used_final"]) == ("approved", "ui")


def test_both_sides_of_a_conflict_are_listed_and_explained(ticked: Path) -> None:
    before = rows(ticked, "show", "reports", "--where", "sku = 'eggs'")[0]
    report = str(before["report_id"])
    assert mrs(ticked, "edit", report, "approve", "--value", "Egg [bold]festival", "--actor", "lewis")[0] == 0
    assert mrs(ticked, "tick")[0] == 0
    edits = rows(ticked, "show", "user_edits_log", "--where", "value = 'Egg [bold]festival'")
    assert [edit["based_on_written_at"] for edit in edits] == [before["known_at"]], "what was shown is what was seen"
    assert [r["report_id"] for r in rows(ticked, "show", "reports", "--where", "review_state = 'needs_review'")] == [
        report
    ]
    code, out, _ = mrs(ticked, "explain", report)
    assert code == 0
    for expected in ("Needs review", "the machine says now", "[bold]festival", str(before["proposed_cause"])):
        assert expected in out.replace("\n", " ")


def test_a_difference_between_beliefs_is_told_with_its_cause_and_none_is_said_in_words(ticked: Path) -> None:
    report = str(rows(ticked, "show", "reports", "--where", "sku = 'eggs'")[0]["report_id"])
    begin = str(rows(ticked, "show", "MRFL", "--where", f"report_id = '{report}'")[0]["written_at"])
    assert mrs(ticked, "edit", report, "edit", "--field", "final_cause", "--value", "=Easter", "--actor", "ada")[0] == 0
    assert mrs(ticked, "tick")[0] == 0
    asked = ("diff", "--from", begin, "--where", f"report_id = '{report}' AND field = 'final_cause'")
    (told,) = rows(ticked, *asked)
    assert (told["after"], told["cause"], told["kind"]) == ("=Easter", "edit", "changed")
    assert "ada: edit final_cause = '=Easter'" in str(told["because"])
    assert "'=Easter" in mrs(ticked, *asked, "--format", "csv")[1], "no spreadsheet runs it"
    assert "final_cause" in mrs(ticked, *asked)[1]
    code, out, err = mrs(ticked, "diff", "events", "--from", begin, "--to", begin, "--format", "json")
    assert (code, json.loads(out)) == (0, [])
    assert "No difference" in err


def test_a_reports_life_can_be_looked_at_as_of_an_instant(ticked: Path) -> None:
    report = str(rows(ticked, "show", "reports", "--limit", "1")[0]["report_id"])
    records = rows(ticked, "show", "MRFL", "--where", f"report_id = '{report}'")
    then = rows(ticked, "explain", report, "--as-of", str(records[0]["written_at"]))
    assert sum(entry["log"] == "minority_reports_finalised_log" for entry in then) == 1


def test_a_run_is_verified_and_a_row_tampered_with_ends_in_exit_code_1(ticked: Path, tmp_path: Path) -> None:
    found = rows(ticked, "verify")
    assert {one["dataset"] for one in found} >= {"minority_reports", "minority_events", "unified_sales_data"}
    assert sum(int(str(one["missing"])) + int(str(one["unexpected"])) + int(str(one["changed"])) for one in found) == 0
    meddled = tmp_path / "meddled"
    shutil.copytree(ticked, meddled, symlinks=True)
    with duckdb.connect(str(meddled / ".mrs" / "published" / "mrs.duckdb")) as connection:
        connection.execute("UPDATE minority_reports SET impact_estimate = 1 WHERE sku = 'eggs'")
    code, out, err = mrs(meddled, "verify")
    assert code == 1
    assert "impact_estimate" in out
    assert "is kept for a closer look" in err


@pytest.mark.parametrize(
    "mistake",
    [
        ["show", "no_such_log"],
        ["show", "reports", "--where", "nonsense ("],
        ["show", "reports", "--where", "1 = 1); DROP TABLE minority_reports; --"],
        ["show", "reports", "--as-of", "yesterday"],
        ["show", "reports", "--columns", "sku,units sold"],
        ["explain", "MR-0"],
        ["explain", "MR-0", "--as-of", "2024-06-01T10:00"],
        ["diff", "--from", "2024-06-01"],
        ["diff", "--from", "2024-06-02T00:00Z", "--to", "2024-06-01T00:00Z"],
        ["diff", "no_such_log", "--from", "2024-06-01T00:00Z"],
        ["diff", "--from", "2024-06-01T00:00Z", "--where", "1 = 1); DROP TABLE minority_reports; --"],
        ["verify", "run-0099"],
        ["edit", "MR-0", "approve"],
        ["models", "approve", "v0"],
    ],
    ids=" ".join,
)
def test_a_users_mistake_ends_in_words_and_exit_code_2(
    mistake: list[str], ticked: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ticked)
    monkeypatch.setattr("sys.argv", ["mrs", *mistake])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_setting_that_is_not_known_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "feeds.toml").write_text('[retailers.acme]\ntimezone = "Europe/Londn"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["mrs", "tick"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


def test_brackets_in_a_message_are_told_and_not_taken_for_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["mrs", "tick"])
    with pytest.raises(SystemExit):
        main()
    assert "Write one with a [retailers.<name>] section" in capsys.readouterr().err


def test_reset_starts_every_view_clean_and_a_rebuild_brings_the_same_belief_back(ticked: Path) -> None:
    before = rows(ticked, "show", "reports")
    assert mrs(ticked, "reset", "--rebuild")[0] == 0
    assert rows(ticked, "show", "reports") == []
    assert mrs(ticked, "tick")[0] == 0
    after = rows(ticked, "show", "reports")
    told = ("report_id", "impact_estimate", "window_end", "final_decision", "report_group_id")
    assert [[r[c] for c in told] for r in after] == [[r[c] for c in told] for r in before]


def test_clusters_are_looked_for_and_a_proposal_that_is_not_there_is_told(ticked: Path) -> None:
    assert rows(ticked, "clusters", "list") == []
    code, _, said = mrs(ticked, "clusters", "propose")
    assert code == 0
    assert "0 new proposals" in said
    assert mrs(ticked, "clusters", "approve", "novel-0", "--name", "odd")[0] != 0
