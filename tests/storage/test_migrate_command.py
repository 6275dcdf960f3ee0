"""`mrs migrate` as a user types it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mrs_assets.cli.app import app
from mrs_assets.contracts.errors import UserMistake
from mrs_resources.log_store import LogStore
from tests.backends import ON_A_LAKE
from tests.cli.test_commands import mrs
from tests.storage.lakes import FEW, write_logs

pytestmark = [*ON_A_LAKE, pytest.mark.usefixtures("postgres")]

FEEDS = """
[retailers.acme]
timezone = "Europe/London"
[storage]
backend = "{}"
catalogue = "moved_by_hand"
"""


def refused(home: Path, why: str, *arguments: str) -> None:
    with contextlib.chdir(home), pytest.raises(UserMistake, match=why):
        CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_a_home_moves_and_says_so_until_the_settings_do(tmp_path: Path) -> None:
    settings = tmp_path / "feeds.toml"
    settings.write_text(FEEDS.format("file"))
    refused(tmp_path, "has no logs to move", "migrate", "--to", "ducklake")

    write_logs(LogStore(tmp_path / ".mrs"), logs=FEW)
    code, out, said = mrs(tmp_path, "migrate", "--to", "ducklake", "--format", "json")
    assert code == 0
    assert all(table["same"] for table in json.loads(out))
    assert 'Now set backend = "ducklake" in [storage]' in said

    refused(tmp_path, "lie in the backend 'ducklake'", "alerts")
    settings.write_text(FEEDS.format("ducklake"))
    assert mrs(tmp_path, "alerts")[0] == 0
    refused(tmp_path, "already", "migrate", "--to", "ducklake")
