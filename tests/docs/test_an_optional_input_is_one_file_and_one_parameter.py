"""The how-to for an optional input, followed as written in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "add-an-optional-input.md"
STAGE = Path("mrs_assets/attribution/stage.py")
STORY = """
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl

from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.settings import ContextFeed
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, World, daily_sales, settings_for

home = Path(sys.argv[1])
world = World(home, settings_for(home).model_copy(update={"feeds": {"footfall": ContextFeed()}}))
world.send(daily_sales(124, change=spike))
world.tick()
rows = world.live(ATTRIBUTED)
assert rows.height and rows["degraded_reasons"].list.contains("footfall_down").all(), rows["degraded_reasons"]
assert rows["supporting_evidence"].str.contains("what footfall tells of").all()
day = FIRST_DAY + timedelta(days=118)
world.send(pl.DataFrame({"store": ["s2"], "date": [day], "visitors": [41]}), "f.json", feed="footfall")
world.tick()
rows = world.live(ATTRIBUTED)
assert not rows["is_degraded"].any(), "every day heals, not only the one that the file speaks of"
assert (rows["version"] > 1).all()
"""


def test_the_page_works_as_written(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    for room in ("mrs_assets", "mrs_resources", "schedules", "sensors", "tests"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    declaration, want = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (copy / "mrs_assets/contracts/feeds/footfall.py").write_text(declaration, "utf-8")
    (line,) = [line for line in want.splitlines() if "Want(" in line]
    stage = (copy / STAGE).read_text("utf-8")
    assert stage.count("    wants={\n") == 1
    stage = stage.replace("    wants={\n", f"    wants={{\n    {line}\n")
    imported = "from mrs_assets.contracts.feeds.footfall import FOOTFALL\n"
    before = "from mrs_assets.contracts.feeds.promotions import"
    (copy / STAGE).write_text(stage.replace(before, imported + before, 1), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", STORY, str(tmp_path / "home")],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
