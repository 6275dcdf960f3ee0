"""What deploy/ says holds together: pinned, without secrets, and as the rest of the project expects it."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from mrs_assets.contracts.settings import load_settings
from tests.backends import LAKE_IS_THERE, REQUIRED
from tests.postgres import USER, Postgres

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET = re.compile(r"PASSWORD|SECRET|KEY|CATALOG")


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text("utf-8"))


def documents() -> list[Any]:
    files = [DEPLOY / "compose.yaml", *sorted((DEPLOY / "kubernetes").glob("*.yaml"))]
    return [document for file in files for document in yaml.safe_load_all(file.read_text("utf-8"))]


def pairs(node: Any) -> list[tuple[str, Any]]:
    """Every key with its value, however deep."""
    if isinstance(node, list):
        return [pair for item in node for pair in pairs(item)]
    if not isinstance(node, dict):
        return []
    return [pair for key, value in node.items() for pair in ((str(key), value), *pairs(value))]


def test_every_image_names_its_version() -> None:
    images = {value for key, value in pairs(documents()) if key == "image" and isinstance(value, str)}
    assert len(images) >= 4
    assert not [image for image in images if ":" not in image.rsplit("/", 1)[-1] or image.endswith(":latest")]


def test_no_secret_is_written_down() -> None:
    told = [(key, value) for key, value in pairs(documents()) if SECRET.search(key) and isinstance(value, str)]
    assert len(told) >= 5
    assert not [key for key, value in told if "${" not in value]
    example = (DEPLOY / "environment.example").read_text("utf-8")
    assert re.findall(r"^(?:.*(?:PASSWORD|KEY).*)=(.+)$", example, re.MULTILINE) == []


def test_every_service_of_ours_can_be_asked_whether_it_is_well() -> None:
    services = read("compose.yaml")["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"bucket"}
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "web": ["127.0.0.1:3000:3000"]
    }, "nothing that has no log-in is open to others"


def test_limits_are_those_of_one_machine_but_for_the_number_of_runs() -> None:
    many, one = read("dagster.yaml"), yaml.safe_load((DEPLOY.parent / "dagster.yaml").read_text("utf-8"))
    for settings in (many, one):
        settings["concurrency"]["runs"].pop("max_concurrent_runs")
    assert {key: value for key, value in many.items() if key in one} == one
    chart = read("kubernetes/values.yaml")["concurrency"]
    assert chart["pools"] == {"defaultLimit": 1, "granularity": "op"}
    assert one["concurrency"]["pools"] == {
        "default_limit": 1,
        "granularity": "op",
    }
    assert chart["runs"]["tagConcurrencyLimits"] == one["concurrency"]["runs"]["tag_concurrency_limits"]


def test_the_example_of_settings_can_be_read(tmp_path: Path) -> None:
    declared = (DEPLOY / "feeds.toml").read_text("utf-8")
    assert tomllib.loads(declared)["execution"] == {"executor": "dask", "scheduler": "tcp://scheduler:8786"}
    (tmp_path / "feeds.toml").write_text(declared, "utf-8")
    settings = load_settings({}, tmp_path)
    assert settings.execution.scheduler == "tcp://scheduler:8786"
    storage = settings.storage
    assert storage.backend == "ducklake"
    assert storage.in_a_bucket


@dg.asset
def thing() -> int:
    return 1


@LAKE_IS_THERE
@pytest.mark.lake
@pytest.mark.skipif(
    not find_spec("dagster_postgres") and REQUIRED not in os.environ, reason="not installed: the extra `workers`"
)
def test_runs_are_kept_in_postgresql_with_these_settings(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
    said = dict(part.split("=") for part in postgres.address.split())
    given = {"HOST": said["host"], "PORT": said["port"], "DB": said["dbname"], "USER": USER, "PASSWORD": "unused"}
    for name, value in given.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        run_id = dg.materialize([thing], instance=instance).run_id
    with dg.DagsterInstance.get() as instance:
        kept = instance.get_run_by_id(run_id)
        assert kept is not None
        assert kept.is_success
        assert instance.get_latest_materialization_event(dg.AssetKey("thing")) is not None
        limits = instance.get_concurrency_config().run_queue_config
        assert limits is not None
        assert limits.tag_concurrency_limits[0]["key"] == "mrs/retailer"
