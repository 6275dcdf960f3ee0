"""What a command stands on: settings, warehouse, and a Dagster instance that keeps its runs for the UI."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from mrs_assets.contracts.settings import Settings, load_settings
from mrs_resources.warehouse import Warehouse

INSTANCE_SETTINGS = Path(__file__).with_name("dagster.yaml")


def open_settings() -> tuple[Settings, Warehouse]:
    """Settings of the working directory and the warehouse that they name."""
    settings = load_settings()
    settings.home.mkdir(parents=True, exist_ok=True)
    return settings, Warehouse(settings.home, storage=settings.storage)


def dagster_home(settings: Settings) -> Path:
    """Dagster's home below MRS_HOME, made with the project's instance settings where it does not exist."""
    home = Path(os.environ.get("DAGSTER_HOME") or settings.home / "dagster")
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(INSTANCE_SETTINGS, home / "dagster.yaml")
    return home


def quiet_dagster() -> None:
    """Keep Dagster's log messages off the terminal."""
    logging.getLogger("dagster").setLevel(logging.ERROR)


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The instance that keeps runs and materialisations."""
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    quiet_dagster()
    with dg.DagsterInstance.get() as instance:
        yield instance
