"""A rehearsal: builds a run again from the archive, in a shadow of its own, and compares what both say row by row.

The run is read from the published snapshot, so that the warehouse is neither opened nor locked.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.settings import Settings
from mrs_assets.drill.comparison import Difference, differences
from mrs_assets.drill.drill import Build
from mrs_assets.drill.shadow import Shadow, moments, written_with
from mrs_assets.tick import Told
from mrs_resources.log_store import SYSTEM_RUN, LogStore
from mrs_resources.warehouse import Warehouse

SHADOWS = "shadow"


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
    if asked is not None and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", asked):
        raise UnknownName(f"There is no run {asked!r}.")
    published = warehouse.publisher.published()
    if published is None:
        raise UserMistake("Nothing is published yet.", remedy="Run `mrs tick` first.")
    began_at = warehouse.clock()
    run_id = asked or published.run_id
    folder = settings.home / SHADOWS / f"{run_id}-{began_at:%Y%m%dT%H%M%S%fZ}"
    try:
        published = warehouse.publisher.copy_to(folder / "compared") or published
        told_by = LogStore(folder / "compared", warehouse.clock)
        _refuse_unknown(told_by, run_id)
        result = RehearsalResult(run_id, published.known_at, began_at, folder)
        _rebuild_and_compare(result, Shadow(folder, run_id, warehouse, settings, build), warehouse, told_by, tell)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if result.passed:
        shutil.rmtree(folder)
    return result


def _rebuild_and_compare(
    result: RehearsalResult, shadow: Shadow, warehouse: Warehouse, told_by: LogStore, tell: Told
) -> None:
    with told_by.transaction() as tx:
        ticks, lost = moments(tx, warehouse.archive, result.run_id)
    for moment in ticks:
        tell(f"{moment.at:%Y-%m-%d %H:%M}: {len(moment.arrivals)} files")
        result.failed.extend(shadow.tick(moment, told_by, tell).failed)
    result.ticks, result.files = len(ticks), sum(len(moment.arrivals) for moment in ticks)
    result.closed_days, failed = shadow.close_days(told_by, result.run_id)
    result.failed.extend(failed)
    tell("the same again")
    result.appended_again = sum(shadow.settle(tell).appended.values())
    tell("comparing")
    built = shadow.warehouse.store
    result.differences.extend(differences(built, shadow.run_id, told_by, result.run_id))
    if lost:
        result.notes.append(f"{lost} files that the run admitted are not in the archive any more.")
    if former := sum(change.former for change in result.differences):
        result.notes.append(
            f"{former} records of withdrawn reports and events differ; that is history: they keep what was believed "
            "for a while, as on a degraded day, and a rebuild does not come to believe it."
        )
    with told_by.transaction() as tx, built.transaction() as again:
        older = written_with(tx, result.run_id) - written_with(again, shadow.run_id)
    if older:
        result.notes.append(f"Rows of the run were written by other versions of the code: {', '.join(sorted(older))}.")


def _refuse_unknown(store: LogStore, run_id: str) -> None:
    with store.transaction() as tx:
        found = tx.query("SELECT DISTINCT run_id FROM append_batches WHERE run_id <> ? ORDER BY ALL", [SYSTEM_RUN])
    runs = found["run_id"].to_list()
    if run_id not in runs:
        raise UnknownName(f"There is no run {run_id!r} in the snapshot.", remedy=f"Runs: {', '.join(runs)}.")
