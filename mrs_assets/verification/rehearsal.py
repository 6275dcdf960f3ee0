"""A rehearsal: repeats a run's ticks from the archive, in a shadow, and compares what both say row by row."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mrs_assets.contracts.settings import Settings
from mrs_assets.in_process import Build
from mrs_assets.tick import Told
from mrs_assets.verification.comparison import Difference, differences
from mrs_assets.verification.repetition import Repetition, moments
from mrs_assets.verification.shadow import copied_run, notes_on
from mrs_resources.warehouse import Warehouse


@dataclass
class RehearsalResult:
    """What a rehearsal came to.

    Attributes:
        run_id: the run that was built again.
        known_at: up to when the snapshot knows of it; UTC, ISO 8601.
        began_at: UTC.
        ticks: how many ticks it was built again in.
        files: how many archived files it was built again from.
        closed_days: days computed that had no file.
        appended_again: rows that one more tick in the shadow appended; none, where replays are free of effect.
        failed: what failed in the shadow, in words.
        differences: per dataset, what the run says unlike the rebuild.
        notes: why a rebuild may rightly differ, as far as that can be told.
        shadow: the shadow's folder, kept where something differs.
    """

    run_id: str
    known_at: str
    began_at: datetime
    shadow: Path
    ticks: int = 0
    files: int = 0
    closed_days: int = 0
    appended_again: int = 0
    failed: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether the rebuild says what the run says, and saying it again adds nothing."""
        same = bool(self.differences) and all(change.is_none for change in self.differences)
        return same and not self.appended_again and not self.failed

    @property
    def coverage(self) -> float:
        """Share of all keys that both sides have."""
        shared = sum(change.expected - change.missing for change in self.differences)
        every = shared + sum(change.missing + change.unexpected for change in self.differences)
        return shared / every if every else 1.0


def rehearse(settings: Settings, warehouse: Warehouse, build: Build, asked: str | None, tell: Told) -> RehearsalResult:
    """Build a run again and compare.

    Args:
        settings: what is configured today; the rebuild knows no other.
        warehouse: whose run.
        build: assembles the graph.
        asked: the run; the one in force where None.
        tell: is told what happens.

    Raises:
        UserMistake: nothing is published yet.
        UnknownName: there is no such run.
    """
    with copied_run(settings, warehouse, asked) as copy:
        result = RehearsalResult(copy.run_id, copy.known_at, copy.began_at, copy.folder)
        _rebuild_and_compare(result, Repetition(copy, warehouse, settings, build), warehouse, tell)
    if result.passed:
        shutil.rmtree(copy.folder)
    return result


def _rebuild_and_compare(result: RehearsalResult, shadow: Repetition, warehouse: Warehouse, tell: Told) -> None:
    told_by, built = shadow.copy.store, shadow.warehouse.store
    with told_by.looking() as tx:
        ticks, lost = moments(tx, warehouse.archive, result.run_id)
    for moment in ticks:
        tell(f"{moment.at:%Y-%m-%d %H:%M}: {len(moment.arrivals)} files")
        result.failed.extend(shadow.tick(moment, tell).failed)
    result.ticks, result.files = len(ticks), sum(len(moment.arrivals) for moment in ticks)
    result.closed_days, failed = shadow.close_days()
    result.failed.extend(failed)
    tell("the same again")
    result.appended_again = sum(shadow.settle(tell).appended.values())
    tell("comparing")
    result.differences.extend(differences(built, shadow.run_id, told_by, result.run_id))
    if former := sum(change.former for change in result.differences):
        result.notes.append(
            f"{former} records of withdrawn reports and events differ; that is history: they keep what was believed "
            "for a while, as on a degraded day, and a rebuild does not come to believe it."
        )
    result.notes.extend(notes_on(shadow, lost))
