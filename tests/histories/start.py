"""What every history begins with, made once: four quiet weeks, and a baseline model in force."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.detection.baseline_stage import MODEL
from mrs_assets.detection.training import dump, train_baseline
from mrs_resources.file_backend import FileBackend
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN
from tests.conftest import SteppingClock
from tests.detection.pipeline import axis_of, series_rows
from tests.detection.pipeline import settings_for as settings_to_train
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.histories.story import FIRST_DAY, KNOWN_DAYS, RETAILERS, Row, Signal, known_sales

RESENDS = {"acme": "rows", "bolt": "store_days"}
ZONES = {"acme": "Europe/London", "bolt": "America/New_York"}
MORNING = datetime(2024, 3, 1, 6, tzinfo=UTC)
"""When a history begins: its first file comes then."""


def settings_of(home: Path) -> Settings:
    """Two retailers in two zones that announce contextual events."""
    reports_from = FIRST_DAY + timedelta(days=KNOWN_DAYS - 7)
    return Settings.model_validate(
        {
            "home": home,
            "retailers": {
                name: {"timezone": zone, "reports_from": reports_from, "resends": RESENDS[name]}
                for name, zone in ZONES.items()
            },
            "calendar": {"first_day": FIRST_DAY},
            "feeds": {"contextual_events": {}},
            "environment": "staging",
            "retries": {"attempts": 1},
            "detection": {"max_window_ticks": 10},
        }
    )


def sales_file(rows: Iterable[Row]) -> str:
    lines = [f"{row.store},{row.sku},{row.day},{'' if row.units is None else row.units}\n" for row in rows]
    return "store_id,sku,ts,units\n" + "".join(lines)


def signals_file(signals: Iterable[Signal]) -> str:
    return "".join(
        json.dumps(
            {
                "event_id": s.event_id,
                "signal_type": "weather",
                "title": f"Heatwave {s.event_id}",
                "starts_at": f"{s.first_day}T00:00:00Z",
                "ends_at": f"{s.first_day + timedelta(days=s.days)}T00:00:00Z",
                "direction": s.direction,
                "stores": [s.store],
            }
        )
        + "\n"
        for s in signals
    )


@dataclass(frozen=True)
class Start:
    """What histories begin with.

    Attributes:
        folder: where it is kept.
        known: home with the known days; files: what was sent to it, as (retailer, text).
    """

    folder: Path
    files: tuple[tuple[str, str], ...]

    @classmethod
    def made(cls, folder: Path, stores: Sequence[str]) -> Start:
        """Make it once. Call within `warehouses_in_memory`."""
        blank = Home(settings_of(folder / "blank"), SteppingClock(MORNING - timedelta(days=2)))
        in_memory.begin(blank.settings.home)
        _put_model_in_force(blank)
        in_memory.save(blank.settings.home, folder / "blank.duckdb")
        start = cls(folder, tuple((r, sales_file(row for s in stores for row in known_sales(s, r))) for r in RETAILERS))
        known = start.open("blank", folder / "known", MORNING - timedelta(days=1))
        for retailer, text in start.files:
            known.send("sales", retailer, text)
        known.tick()
        in_memory.save(known.settings.home, folder / "known.duckdb")
        return start

    def open(self, which: str, home: Path, at: datetime = MORNING) -> Home:
        """A home of one's own that begins so."""
        if home != self.folder / which:
            shutil.copytree(self.folder / which, home)
        in_memory.begin(home, self.folder / f"{which}.duckdb")
        return Home(settings_of(home), SteppingClock(at))

    def put(self, which: str, home: Path) -> Home:
        """The same, with its warehouse in a file."""
        shutil.copytree(self.folder / which, home)
        file = FileBackend(home).file
        file.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.folder / f"{which}.duckdb", file)
        return Home(settings_of(home), SteppingClock(MORNING))


def _put_model_in_force(home: Home) -> None:
    retailer = Retailer(timezone="UTC")
    rng = np.random.default_rng(3)
    series = series_rows(axis_of(retailer, 120), rng.poisson(20, (120, 60)).astype(float))
    model, _ = train_baseline(series, PROMOTIONS.empty(stored=True), settings_to_train(retailer))
    artefact_hash = home.warehouse.models.save(dump(model))
    row = {
        "retailer": "*",
        "business_day": FIRST_DAY,
        "model_name": MODEL,
        "model_version_id": artefact_hash[:12],
        "trained_on_from": FIRST_DAY,
        "trained_on_to": FIRST_DAY,
        "metrics": "{}",
        "artefact_hash": artefact_hash,
        "is_active": True,
    }
    with home.warehouse.store.transaction() as tx:
        everywhere = replace(EVER, complete=False)
        tx.append(MODEL_REGISTRY, pl.DataFrame([row]), everywhere, Provenance("start", "1"), run_id=SYSTEM_RUN)
