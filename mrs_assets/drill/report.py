"""What a drill or a rehearsal came to, as Markdown that a person reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from mrs_assets.drill.confirmations import Confirmation
from mrs_assets.drill.drill import DrillResult
from mrs_assets.verification.comparison import Difference
from mrs_assets.verification.rehearsal import RehearsalResult

WHAT_A_REBUILD_CANNOT_KNOW = """\
A rebuild has the archived files, the models as the registry had them at each tick, and today's feeds.toml and code. It
does not know of settings as they were, of backfills by hand, or of what was degraded then and is not now. A
difference is an error of the run unless one of these explains it."""


def drill_report(result: DrillResult) -> str:
    """One drill: what was taken away, what was confirmed with which figures, and how it ended."""
    return "\n".join(_drill_lines(result)) + "\n"


def rehearsal_report(result: RehearsalResult) -> str:
    """One rehearsal: what was built again, how much of it both sides have, and every difference with examples."""
    return "\n".join(_rehearsal_lines(result)) + "\n"


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
    yield (
        f"On {result.began_at:%Y-%m-%d %H:%M} UTC {what} for {exercise.retailer}, {_days(len(days))} with reports, "
        f"{days[0]} to {days[-1]}. Rows that go without it say `{exercise.point.reason}`. Then it was given back."
    )
    yield from _table("While it was gone", result.degraded)
    yield from _table("After it was back", result.healed)
    if result.restored:
        yield from _table("Healing did not bring everything back: computed again without any fault", result.restored)
    timings = ", ".join(f"{part} {seconds:.1f} s" for part, seconds in result.seconds.items())
    yield from ("", f"Times: {timings}.")


def _rehearsal_lines(result: RehearsalResult) -> Iterator[str]:
    yield f"# Rehearsal of {result.run_id}: {'equal' if result.passed else 'DIFFERENT'}"
    yield ""
    yield (
        f"On {result.began_at:%Y-%m-%d %H:%M} UTC {result.run_id}, published up to {result.known_at}, was built again "
        f"from {result.files} archived files in {result.ticks} ticks, in the order in which they were admitted, and "
        f"{_days(result.closed_days)} that the run had closed without a file."
    )
    yield ""
    yield f"- Coverage: {result.coverage:.2%} of all keys are on both sides."
    yield f"- Idempotency: one more tick appended {result.appended_again} rows."
    yield from (f"- Failed in the rebuild: {_cell(failure)}" for failure in result.failed)
    yield from (f"- {note}" for note in result.notes)
    yield from (
        "",
        "| dataset | rows in the run | in the rebuild | coverage | only in the rebuild | only in the run | other |",
    )
    yield "|---|---|---|---|---|---|---|"
    for one in result.differences:
        counts = " | ".join(str(n) for n in (one.missing, one.unexpected, one.changed))
        yield f"| {one.dataset} | {one.found} | {one.expected} | {one.coverage:.2%} | {counts} |"
    for one in result.differences:
        yield from _examples(one)
    yield from ("", *WHAT_A_REBUILD_CANNOT_KNOW.splitlines())
    if not result.passed:
        yield from ("", f"The rebuild is kept for a closer look: `{result.shadow}`. Delete it when you are done.")


def _examples(difference: Difference) -> Iterator[str]:
    if difference.examples:
        yield from ("", f"## {difference.dataset}", "", "In the rebuild → in the run, the first of each kind:", "")
        yield from (f"- {_cell(example)}" for example in difference.examples)


def _table(title: str, confirmations: Iterable[Confirmation]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| confirmed | | found |", "|---|---|---|")
    for one in confirmations:
        yield f"| {one.claim} | {'yes' if one.holds else '**NO**'} | {_cell(one.found)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


def _days(count: int) -> str:
    return "1 day" if count == 1 else f"{count} days"
