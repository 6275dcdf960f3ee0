"""`mrs verify`: builds a run again from its final inputs, in a shadow, and compares every row that follows from them.

The run is read from the published snapshot: the warehouse is neither opened nor locked.
"""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from mrs_assets.contracts.settings import Settings
from mrs_assets.tick import Told
from mrs_assets.verification.clean_build import CleanBuild
from mrs_assets.verification.comparison import Difference, differences
from mrs_assets.verification.legitimate import HISTORY, WORDS, set_apart
from mrs_assets.verification.shadow import Shadow, copied_run, filed, notes_on
from mrs_resources.warehouse import Warehouse


@dataclass
class Verification:
    """What a verification came to.

    Attributes:
        run_id: the run that was verified.
        known_at: up to when the snapshot knows of it; UTC, ISO 8601.
        shadow: the rebuild's folder; kept where something differs.
        files: how many archived files it was built again from.
        days: retailer-days computed.
        failed: what failed in the rebuild, in words.
        differences: per dataset, what the run says unlike the rebuild, which is what is expected.
        notes: why a rebuild may rightly differ, as far as that can be told.
    """

    run_id: str
    known_at: str
    shadow: Path
    files: int = 0
    days: int = 0
    failed: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything could be built again and says what the run says."""
        return not self.failed and bool(self.differences) and all(change.is_none for change in self.differences)


def verify(settings: Settings, warehouse: Warehouse, asked: str | None, tell: Told) -> Verification:
    """Build a run again from its final inputs and compare.

    Args:
        settings: what is configured today; the rebuild knows no other.
        warehouse: whose run.
        asked: the run; the one in force where None.
        tell: is told what happens.

    Raises:
        UserMistake: nothing is published yet.
        UnknownName: there is no such run.
    """
    with copied_run(settings, warehouse, asked) as copy:
        result = Verification(copy.run_id, copy.known_at, copy.folder)
        shadow = Shadow(copy, warehouse, settings)
        with copy.store.looking() as tx:
            tx.run_id = copy.run_id
            files, lost = filed(tx, warehouse.archive, copy.run_id)
            apart = set_apart(tx, warehouse.models, settings)
        build = CleanBuild(shadow)
        build.build(files, tell)
        result.files, result.days, result.failed = len(files), build.days, build.failed
        tell("comparing")
        built = shadow.warehouse.store
        result.differences.extend(differences(built, shadow.run_id, copy.store, copy.run_id, apart))
        result.notes.extend(_counted_apart(result.differences))
        result.notes.extend(notes_on(shadow, lost))
    if result.passed:
        shutil.rmtree(copy.folder)
    return result


def kept_apart(change: Difference) -> Counter[str]:
    """Differences of one dataset that are no error, by reason."""
    return +(Counter({HISTORY: change.former}) + Counter(dict(change.apart)))


def _counted_apart(changes: list[Difference]) -> list[str]:
    counts: Counter[str] = sum((kept_apart(change) for change in changes), Counter())
    return [f"{counts[reason]} {words}." for reason, words in WORDS.items() if counts[reason]]
