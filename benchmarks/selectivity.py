"""Late campaigns on the year of the demo, against brute force: whom recall must not miss, and whom it leaves alone.

Needs the home of `make demo`. Each seed copies it, sends a campaign around one report's time (for its store, its
product, or both) beside a correction whose replay is held for approval, and ticks once. What attribution says of every
report at its newest tick, computed for all days before and after, tells which reports needed another look.

    make demo
    python -m benchmarks.selectivity --seeds 16
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings, load_settings
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.demo.complete_journey import TIMEZONE
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.recall.conclusions import CONFIDENCE_STEP
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from tests.conftest import SteppingClock
from tests.histories.driver import Home

RETAILER = "complete_journey"
DAYS = 6
REACH = timedelta(days=12)
"""More than a campaign's lead, lag and a misjudged onset together."""


@dataclass(frozen=True)
class Tried:
    """One late campaign: numbers of reports.

    Attributes:
        reports: all that there are.
        near: those that the campaign may concern, by time and place.
        recalled: those that were looked at again.
        needed: those whose cause, or confidence by a step, is another with the campaign.
        missed: needed and not recalled.
        far: recalled and not near.
    """

    reports: int
    near: int
    recalled: int
    needed: int
    missed: int
    far: int


def attempt(settings: Settings, seed: int) -> Tried:
    """Try one campaign on a copy of the home that the settings name."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="mrs-bench-") as folder:
        copy = shutil.copytree(settings.home, Path(folder) / "home", symlinks=True)
        home = Home(settings.model_copy(update={"home": Path(copy)}), SteppingClock(datetime.now(UTC)))
        home.tick()
        reports, before, known = _reports(home), _every_answer(home), _rounds(home)
        about = reports.row(chance.randrange(reports.height), named=True)
        late = _campaign(about, chance)
        home.send("campaigns", RETAILER, json.dumps(late) + "\n")
        home.send("sales", RETAILER, _corrected(home, about))
        assert len(home.tick().held) == 1, "nothing is replayed"
        recalled = _rounds(home) - known
        after = _every_answer(home).join(before, on="report_id", suffix="_before")
        moved = (pl.col("confidence_score") - pl.col("confidence_score_before")).abs() >= CONFIDENCE_STEP
        named = pl.col("proposed_cause") != pl.col("proposed_cause_before")
        needed = {*after.filter(named | moved)["report_id"]}
        near = {*_near(reports, late)["report_id"]}
        counts = (len(recalled), len(needed), len(needed - recalled), len(recalled - near))
        return Tried(reports.height, len(near), *counts)


def _campaign(about: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    first = about["window_start"].date() + timedelta(days=chance.choice((-2, 0, 1)))
    row = {"campaign_id": "late", "start_day": str(first), "end_day": str(first + timedelta(days=DAYS - 1))}
    store, product = {"stores": [about["store_id"]]}, {"skus": [about["sku"]]}
    return row | chance.choice((store, product, store | product))


def _near(reports: pl.DataFrame, late: dict[str, Any]) -> pl.DataFrame:
    begin = datetime.combine(datetime.fromisoformat(late["start_day"]), time(), UTC)
    near = reports.filter(pl.col("window_start") < begin + timedelta(days=DAYS) + REACH, pl.col("tick") > begin - REACH)
    for name, column in (("stores", "store_id"), ("skus", "sku")):
        near = near.filter(pl.col(column).is_in(late[name])) if name in late else near
    return near


def _corrected(home: Home, about: dict[str, Any]) -> str:
    """A file with one more unit on the first day of a report."""
    with home.warehouse.store.transaction() as tx:
        sold = tx.live(SALES_TIMESERIES, columns=["store_id", "sku", "ts", "units"])
    day = sold.filter(store_id=about["store_id"], sku=about["sku"], ts=about["window_start"]).row(0, named=True)
    local = about["window_start"].astimezone(ZoneInfo(TIMEZONE)).date()
    row = {"store": about["store_id"], "category": about["sku"], "date": local, "quantity": int(day["units"] or 0) + 1}
    return pl.DataFrame(row | {"net_sales": 10.0}).write_csv()


def _reports(home: Home) -> pl.DataFrame:
    with home.warehouse.store.transaction() as tx:
        return Hydrator(FOLDS).as_of(tx, MINORITY_REPORTS, None).sort("report_id")


def _rounds(home: Home) -> set[str]:
    """Reports that were ever looked at again."""
    with home.warehouse.store.transaction() as tx:
        tx.ensure(REREVIEW_WORKLIST)
        return {*tx.live(REREVIEW_WORKLIST)["report_id"]}


def _every_answer(home: Home) -> pl.DataFrame:
    """What attribution says of every report at its newest tick, computed for every day."""
    days = _reports(home)["business_day"]
    whole = Scope(days.min(), days.max(), RETAILER)  # type: ignore[arg-type]
    runner = StageRunner(home.warehouse.store, home.warehouse.models, home.settings)
    rows, _ = runner.answer(ATTRIBUTION_STAGE, whole, Provenance("benchmark", "1"))
    return rows.sort("tick").group_by("report_id").last().select("report_id", "proposed_cause", "confidence_score")


def main() -> None:
    """Print a line per campaign, and what all of them come to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16)
    declared = load_settings()
    held = declared.replays.model_copy(update={"hold_above_reports": 0})
    everyone = declared.recall.model_copy(update={"most_per_run": 10_000})
    settings = declared.model_copy(update={"replays": held, "recall": everyone})
    tried = []
    for seed in range(parser.parse_args().seeds):
        tried.append(attempt(settings, seed))
        print(seed, tried[-1], flush=True)
    print(f"needed and missed: {sum(one.missed for one in tried)} of {sum(one.needed for one in tried)}")
    print(f"recalled and far: {sum(one.far for one in tried)} of {sum(one.recalled for one in tried)}")


if __name__ == "__main__":
    main()
