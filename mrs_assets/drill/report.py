"""What a drill or a rehearsal came to, as Markdown that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from mrs_assets.drill.confirmations import Confirmation
from mrs_assets.drill.drill import DrillResult


def drill_report(result: DrillResult) -> str:
    """One drill: what was taken away, what was confirmed with which figures, and how it ended."""
    return "\n".join(_drill_lines(result)) + "\n"


def write_report(home: Path, began_at: datetime, subject: str, text: str) -> Path:
    """Keep a report as `drills/<UTC instant>-<subject>.md` in the home directory."""
    folder = home / "drills"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{began_at:%Y%m%dT%H%M%SZ}-{subject}.md"
    file.write_text(text, "utf-8")
    return file


def _drill_lines(result: DrillResult) -> Iterator[str]:
    exercise, days = result.exercise, result.exercise.days
    verdict = "passed" if result.passed else "FAILED"
    yield f"# Drill {verdict}: {exercise.point.name}"
    yield ""
    what = f"`{exercise.point.want}`, which `{exercise.point.stage.name}` wants, was taken away"
    if exercise.point.want is None:
        what = f"`{exercise.point.stage.name}` was made to fail"
    yield f"On {result.began_at:%Y-%m-%d %H:%M} UTC {what} for {exercise.retailer}, {_days(len(days))} with reports, "
    yield f"{days[0]} to {days[-1]}. Rows that go without it say `{exercise.point.reason}`. Then it was given back."
    yield from _table("While it was gone", result.degraded)
    yield from _table("After it was back", result.healed)
    if result.restored:
        yield from _table("Healing did not bring everything back: computed again without any fault", result.restored)
    timings = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.seconds.items())
    yield from ("", f"Times: {timings}.")


def _table(title: str, confirmations: Iterable[Confirmation]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| confirmed | | found |", "|---|---|---|")
    for one in confirmations:
        yield f"| {one.claim} | {'yes' if one.holds else '**NO**'} | {_cell(one.found)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
