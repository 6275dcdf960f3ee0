"""What the publisher is given so that a snapshot says how the system is: tables, page and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.finality_sql import HEALTH_FINALITY_DAYS, TOUCHED_DAYS, reckoning, restated_days_sql
from mrs_assets.health.metrics import exposition
from mrs_assets.health.page import page
from mrs_assets.health.reading import HEALTH_VIEWS, read_health
from mrs_assets.health.view import HealthView, parameters_at
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
        parameters["reckoning"] = reckoning(self.settings)
        tables = draft.tables
        for view in HEALTH_VIEWS:
            draft.put_table(view.name, view.ddl, _rows(view, draft, tables, parameters))
            tables |= {view.name}
        at = draft.known_at
        health = read_health(draft.query, tables, self.settings, run_id=draft.run_id, known_at=at, now=at)
        draft.put_file(PAGE, page(health, self.settings).encode())
        draft.put_file(METRICS, exposition(health))


def _rows(
    view: HealthView, draft: SnapshotDraft, tables: frozenset[str], parameters: Mapping[str, object]
) -> pl.DataFrame:
    """The rows of a view. Of restated days only those that were written to since the snapshot before."""
    former = draft.former_rows(view.name) if view is HEALTH_FINALITY_DAYS else None
    if former is None or UNIFIED_SALES.name not in tables:
        return view.rows(draft.query, tables, parameters)
    since, known = former
    if known.schema != view.schema or (known["reckoning"] != parameters["reckoning"]).any():
        return view.rows(draft.query, tables, parameters)
    asked = {"run_id": draft.run_id, "since": since}
    touched = draft.query(TOUCHED_DAYS, asked)
    only_touched = replace(view, sql=partial(restated_days_sql, only_touched=True))
    fresh = only_touched.rows(draft.query, tables, {**parameters, **asked})
    kept = known.join(touched, on=["retailer", "business_day"], how="anti")
    return pl.concat([kept, fresh]).sort(view.order)
