"""The report of an evaluation: complete, plain about what was not met, and the same bytes for the same sections."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from matplotlib.figure import Figure

from evaluation.__main__ import main
from evaluation.report import Told, code_versions, figures_of, verdict, write_report
from evaluation.section import Section, Target

ROOT = Path(__file__).parents[2]
TARGETS = (
    Target("share found", 0.71, reach=0.6, aim=0.75, interval=(0.66, 0.75)),
    Target("false discoveries", 0.031, reach=0.08, aim=0.05, lower_is_better=True, remark="at 8 % | pooled"),
    Target("coverage off by", 0.05, reach=0.03, aim=0.015, lower_is_better=True, remark="tails are heavy"),
    Target("share of repeats", None, reach=0.95, aim=0.99, remark="no repeats in this year"),
)


def sections() -> list[Section]:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0.0, 0.5, 1.0], [1.0, 0.8, 0.3], label="precision")
    axes.fill_between([0.0, 1.0], [0.0, 0.1], [0.2, 0.3])
    axes.legend()
    found = pl.DataFrame({"type": ["spike", "level|shift"], "recall": [0.81234567, float("nan")], "events": [120, 7]})
    detection = Section("Detection", "Seed 3, 40 stores.", TARGETS[:3], {"Recall per type": found}, {"A curve": figure})
    return [detection, Section("Repeats", "There were none.", TARGETS[3:])]


def written(folder: Path, told: Told | None = None) -> dict[str, bytes]:
    write_report(sections(), told or Told(seed=3), folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_equal_sections_give_equal_bytes_in_any_process(tmp_path: Path) -> None:
    here = written(tmp_path / "one")
    assert written(tmp_path / "two") == here
    elsewhere = tmp_path / "three"
    script = f"from pathlib import Path; import tests.evaluation.test_report as t; t.written(Path({str(elsewhere)!r}))"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
    assert {str(p.relative_to(elsewhere)): p.read_bytes() for p in elsewhere.rglob("*") if p.is_file()} == here
    assert set(here) == {"report.md", "figures.json", "img/detection-a-curve.svg"}


def test_every_target_is_in_the_first_table_with_its_verdict_and_remark(tmp_path: Path) -> None:
    page = written(tmp_path)["report.md"].decode()
    first_table = page.split("## Detection")[0]
    for line in (
        "| share found | 0.71 | 0.66 … 0.75 | ≥ 0.6 | ≥ 0.75 | reach met |  |",
        "| false discoveries | 0.031 | – | ≤ 0.08 | ≤ 0.05 | aim met | at 8 % \\| pooled |",
        "| coverage off by | 0.05 | – | ≤ 0.03 | ≤ 0.015 | not met | tails are heavy |",
        "| share of repeats | – | – | ≥ 0.95 | ≥ 0.99 | not measured | no repeats in this year |",
    ):
        assert line in first_table
    assert "| level\\|shift | – | 7 |" in page
    assert "![A curve](img/detection-a-curve.svg)" in page
    assert "should not be used for academic research, commercial decision-making" in page


def test_figures_say_what_they_belong_to(tmp_path: Path) -> None:
    told = json.loads(written(tmp_path)["figures.json"])
    assert told["figures"]["share found"] == {
        "measured": 0.71,
        "interval": [0.66, 0.75],
        "reach": 0.6,
        "aim": 0.75,
        "verdict": "reach met",
    }
    assert told["figures"]["share of repeats"]["measured"] is None
    assert (told["seed"], told["code"]) == (3, code_versions())
    assert figures_of(sections(), Told(seed=3)) == told


@pytest.mark.parametrize(
    ("measured", "lower", "said"),
    [
        (0.5, False, "aim met"),
        (0.499, False, "reach met"),
        (0.1, False, "not met"),
        (float("nan"), False, "not measured"),
        (0.5, True, "not met"),
        (0.4, True, "reach met"),
        (0.3, True, "aim met"),
    ],
)
def test_a_limit_itself_is_met(measured: float, lower: bool, said: str) -> None:
    reach, aim = (0.4, 0.3) if lower else (0.4, 0.5)
    assert verdict(Target("a figure", measured, reach, aim, lower_is_better=lower)) == said


def test_pictures_of_an_earlier_report_go(tmp_path: Path) -> None:
    written(tmp_path)
    write_report([Section("Repeats", "There were none.", TARGETS[3:])], Told(seed=3), tmp_path)
    assert not list(tmp_path.rglob("*.svg"))


def test_a_trial_run_says_that_it_is_one(tmp_path: Path) -> None:
    assert b"not the published ones" in written(tmp_path, Told(seed=3, quick=True))["report.md"]
    assert b"not the published ones" not in written(tmp_path)["report.md"]


def test_a_chapter_that_does_not_exist_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--sections", "horoscopes"])
    assert ended.value.code == 2
    assert "detection" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [0, 1_500])
def test_a_seed_that_models_were_made_with_is_refused(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--seed", str(seed)])
    assert ended.value.code == 2
    assert "not one to evaluate with" in capsys.readouterr().err
