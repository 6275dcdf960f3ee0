"""`mrs alerts` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mrs_assets.alert_watch.delivering import DELIVERING
from mrs_assets.alert_watch.raising import raise_alerts
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.settings import load_settings
from mrs_resources.warehouse import Warehouse
from tests.alerting.faults import condition, look
from tests.alerting.receivers import webhook
from tests.cli.test_commands import mrs

FEEDS = """
[retailers.acme]
timezone = "Europe/London"
[alerts.channels.console]
[alerts.channels.ops]
url_env = "MRS_TEST_ADDRESS"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "feeds.toml").write_text(FEEDS)
    warehouse = Warehouse(tmp_path / ".mrs")
    with warehouse.store.transaction() as tx:
        found = look(condition("missing:promotions_down:acme", "error"), condition("coverage", parents=("missing:*",)))
        raise_alerts(tx, load_settings(working_directory=tmp_path), lambda _: found, DELIVERING)
    return tmp_path


def test_open_alerts_are_listed_with_what_explains_them(home: Path) -> None:
    code, out, _ = mrs(home, "alerts", "--format", "json")
    first, second = json.loads(out)
    assert code == 0
    assert (first["fingerprint"], first["severity"], first["waits"]) == ("missing:promotions_down:acme", "error", None)
    assert second["waits"] == "explained by: missing:promotions_down:acme is down"
    assert "missing:promotions_down:acme" in mrs(home, "alerts")[1]


def test_a_silence_covers_what_it_names_until_it_is_lifted(home: Path) -> None:
    code, _, said = mrs(home, "alerts", "silence", "missing:*", "--for", "4h", "--reason", "the provider moves house")
    assert code == 0
    assert "it covers 1 open alerts" in said
    assert "silent until" in mrs(home, "alerts", "--format", "json")[1]
    assert mrs(home, "alerts", "unsilence", "missing:*")[0] == 0
    assert "silent until" not in mrs(home, "alerts", "--format", "json")[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("silence", "a b;c", "--for", "4h", "--reason", "x"), "not a pattern"),
        (("silence", "missing:*", "--reason", "x"), "say when"),
        (("silence", "missing:*", "--for", "4h", "--until", "2099-01-01T00:00:00Z", "--reason", "x"), "say when"),
        (("silence", "missing:*", "--for", "4 hours", "--reason", "x"), "not a length of time"),
        (("silence", "missing:*", "--until", "2001-01-01T00:00:00Z", "--reason", "x"), "is past"),
        (("silence", "missing:*", "--until", "tomorrow", "--reason", "x"), "not an instant"),
        (("silence", "missing:*", "--for", "4h", "--reason", " "), "needs a reason"),
        (("unsilence", "missing:*"), "is in force"),
        (("test", "pager"), "no channel 'pager'"),
        (("test", "ops"), "MRS_TEST_ADDRESS is not set"),
    ],
)
def test_a_mistake_is_told_in_words(home: Path, arguments: tuple[str, ...], says: str) -> None:
    import os

    from click.testing import Result
    from typer.testing import CliRunner

    from mrs_assets.cli.app import app

    before = Path.cwd()
    os.chdir(home)
    try:
        result: Result = CliRunner().invoke(app, ["alerts", *arguments])
    finally:
        os.chdir(before)
    assert isinstance(result.exception, UserMistake)
    assert says in str(result.exception)


def test_a_test_message_says_plainly_whether_it_was_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with webhook() as hook:
        monkeypatch.setenv("MRS_TEST_ADDRESS", hook.url)
        code, _, said = mrs(home, "alerts", "test", "ops")
        assert (code, len(hook.taken)) == (0, 1)
        assert "accepted by the service that MRS_TEST_ADDRESS names" in said
        hook.outages = 1.0
        monkeypatch.setattr(hook, "fault", lambda: "500")
        code, _, said = mrs(home, "alerts", "test", "ops")
    assert code == 1
    assert "it answered 500" in said
    assert "s3cr3t" not in said
