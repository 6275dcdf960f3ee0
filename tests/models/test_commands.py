"""`mrs models` as a user types it: train, look, put in force, go back, withdraw."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.cli import main
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.detection.baseline_stage import MODEL
from mrs_assets.graph import TRAINABLES
from tests.cli.test_commands import FEEDS, mrs, rows
from tests.world import REPORTS_FROM, daily_sales

SALES = daily_sales(114, skus=tuple(f"sku-{n}" for n in range(16)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with sales up to the first day of reports, and two baselines, of which the newer is in force."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "feeds.toml").write_text(FEEDS)
    send(folder, SALES.filter(pl.col("ts") < REPORTS_FROM), "history.csv")
    assert mrs(folder, "tick")[0] == 0
    early = str(REPORTS_FROM - timedelta(days=7))
    for arguments in (["--last-day", early], []):
        code, _, err = mrs(folder, "models", "train", MODEL, *arguments, "--approve-as", "ada")
        assert code == 0, err
        assert f"{MODEL} " in err
    return folder


def send(home: Path, sales: pl.DataFrame, name: str) -> None:
    inbox = home / ".mrs" / "inbox" / "sales" / "acme"
    inbox.mkdir(parents=True, exist_ok=True)
    sales.write_csv(inbox / name)


def versions(home: Path) -> dict[str, dict[str, object]]:
    """The baseline's versions by the last day that they learnt from."""
    return {str(row["learnt_to"]): row for row in rows(home, "models", "list") if row["model"] == MODEL}


EARLY, LATE = (str(REPORTS_FROM - timedelta(days=days)) for days in (7, 1))


def test_a_version_learns_from_no_day_after_its_last(home: Path) -> None:
    known = versions(home)
    assert set(known) == {EARLY, LATE}
    assert known[EARLY]["version"] != known[LATE]["version"]


def test_the_list_says_which_is_in_force_since_when_and_who_said_so(home: Path) -> None:
    late, early = versions(home)[LATE], versions(home)[EARLY]
    assert (late["state"], late["by"]) == ("in force", "ada")
    assert (early["state"], early["by"]) == ("was in force", "ada")
    assert str(late["since"]).endswith("Z")
    assert "coverage_80" in str(late["metrics"])


def test_going_back_and_forth_is_felt_by_the_next_tick_and_by_no_row_before(home: Path) -> None:
    early, late = (str(versions(home)[day]["version"]) for day in (EARLY, LATE))
    send(home, SALES.filter(pl.col("ts") == REPORTS_FROM), "first.csv")
    assert mrs(home, "tick")[0] == 0
    code, _, err = mrs(home, "models", "rollback", MODEL, "--as", "bo")
    assert code == 0, err
    assert early in err
    assert versions(home)[EARLY]["by"] == "bo"
    send(home, SALES.filter(pl.col("ts") > REPORTS_FROM), "second.csv")
    assert mrs(home, "tick")[0] == 0
    told = {
        (str(row["business_day"]), row["model_version"])
        for row in rows(home, "show", BASELINE.name, "--live")
        if str(row["business_day"]) >= str(REPORTS_FROM)
    }
    assert (str(REPORTS_FROM), late) in told
    assert {version for day, version in told if day > str(REPORTS_FROM)} == {early}
    assert mrs(home, "models", "approve", MODEL, late, "--as", "ada")[0] == 0
    assert versions(home)[LATE]["state"] == "in force"


def test_a_withdrawn_model_is_said_to_be_and_comes_back_by_approval(home: Path) -> None:
    late = str(versions(home)[LATE]["version"])
    code, _, err = mrs(home, "models", "withdraw", MODEL, "--as", "cy")
    assert code == 0, err
    assert (versions(home)[LATE]["state"], versions(home)[LATE]["by"]) == ("withdrawn", "cy")
    assert mrs(home, "models", "approve", MODEL, late, "--as", "ada")[0] == 0
    assert versions(home)[LATE]["state"] == "in force"


def test_show_tells_a_version_whose_artefact_is_gone_and_approval_refuses_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    early = str(versions(home)[EARLY]["version"])
    facts = {row["fact"]: row["value"] for row in rows(home, "models", "show", MODEL, early)}
    assert facts["artefact state"] == "there, and it loads"
    assert float(str(facts["coverage_80"])) > 0
    artefact = home / ".mrs" / "models" / str(facts["artefact"])
    whole = artefact.read_bytes()
    artefact.write_bytes(whole[:-1])
    try:
        facts = {row["fact"]: row["value"] for row in rows(home, "models", "show", MODEL, early)}
        assert "is not the one that was registered" in str(facts["artefact state"])
        assert told_as_a_mistake(home, monkeypatch, "models", "approve", MODEL, early)
        assert "cannot be put in force" in capsys.readouterr().err
        assert versions(home)[LATE]["state"] == "in force"
    finally:
        artefact.write_bytes(whole)


def test_training_everything_leaves_out_what_has_too_little_to_learn_from(tmp_path: Path) -> None:
    (tmp_path / "feeds.toml").write_text(FEEDS)
    send(tmp_path, SALES.filter(pl.col("ts") < REPORTS_FROM - timedelta(days=100)), "few.csv")
    assert mrs(tmp_path, "tick")[0] == 0
    code, _, err = mrs(tmp_path, "models", "train")
    assert code == 0
    for model in TRAINABLES:
        assert model.name in err
    assert f"{MODEL} was not trained" in err
    assert mrs(tmp_path, "models", "train", MODEL)[0] == 2


@pytest.mark.parametrize(
    "mistake",
    [
        ["train", "no_such_model"],
        ["train", MODEL, "--last-day", "soon"],
        ["approve", MODEL, "v0"],
        ["approve", "no_such_model", "v0"],
        ["approve", MODEL, "v0", "--as", " "],
        ["rollback", "no_such_model"],
        ["show", MODEL, "v0"],
        ["withdraw", "no_such_model"],
    ],
    ids=" ".join,
)
def test_a_mistake_ends_in_words_and_changes_nothing(
    mistake: list[str], home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = versions(home)
    assert told_as_a_mistake(home, monkeypatch, "models", *mistake)
    assert "Traceback" not in capsys.readouterr().err
    assert versions(home) == before


def told_as_a_mistake(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> bool:
    monkeypatch.chdir(home)
    monkeypatch.setattr("sys.argv", ["mrs", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code == 2
