"""What the publisher is given so that a snapshot says how the system is: tables, page and metrics."""

from __future__ import annotations

from dataclasses import dataclass

from mrs_assets.contracts.settings import Settings
from mrs_assets.health.metrics import exposition
from mrs_assets.health.page import page
from mrs_assets.health.reading import HEALTH_VIEWS, read_health
from mrs_assets.health.view import parameters_at
from mrs_resources.snapshot_draft import SnapshotDraft

PAGE = "health.html"
METRICS = "metrics.prom"


@dataclass(frozen=True)
class HealthCompanion:
    """Writes the health views, `health.html` and `metrics.prom` into a snapshot.

    All of it is as of the snapshot's newest row, so that one state has one page, whenever it is published.
    """

    settings: Settings
    name: str = "health"

    def write(self, draft: SnapshotDraft) -> None:
        """Add them."""
        parameters = parameters_at(self.settings, draft.run_id, draft.known_at)
        for view in HEALTH_VIEWS:
            draft.put_table(view.name, view.ddl, view.rows(draft.query, draft.tables, parameters))
        at = draft.known_at
        health = read_health(draft.query, draft.tables, self.settings, run_id=draft.run_id, known_at=at, now=at)
        draft.put_file(PAGE, page(health, self.settings).encode())
        draft.put_file(METRICS, exposition(health))
