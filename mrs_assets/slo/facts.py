"""What objectives are measured from: typed frames read at one instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.settings import Settings

_PARTITION: dict[str, pl.DataType] = {"retailer": pl.String(), "business_day": pl.Date()}
_FILE: dict[str, pl.DataType] = {
    "retailer": pl.String(),
    "feed": pl.String(),
    "file_name": pl.String(),
    "received_at": INSTANT,
}
_COUNTED = ("rows_received", "rows_accepted", "rows_duplicate", "rows_dead_lettered")

FRAMES: Mapping[str, pl.Schema] = {
    "levels": SLO.schema,
    "results": SLO_RESULTS.schema,
    "news": pl.Schema({"retailer": pl.String(), "written_to": INSTANT}),
    "volumes": pl.Schema(_PARTITION | {"rows": pl.Int64()}),
    "files": pl.Schema(_FILE | dict.fromkeys(_COUNTED, pl.Int64())),
    "headers": pl.Schema(_FILE | {"columns": pl.List(pl.String)}),
    "active": pl.Schema(_PARTITION | {"reports": pl.Int64(), "with_cause": pl.Int64()}),
    "left_behind": pl.Schema(_PARTITION | {"since": INSTANT, "why": pl.String()}),
    "deliveries": pl.Schema(
        {
            "alert_id": pl.String(),
            "change": pl.Int64(),
            "channel": pl.String(),
            "noted_at": INSTANT,
            "sent_at": INSTANT,
        }
    ),
    "edits": pl.Schema(_PARTITION | {"annotation_id": pl.String(), "subject": pl.String(), "is_stray": pl.Boolean()}),
    "recalled": pl.Schema(_PARTITION | {"report_id": pl.String(), "trigger_reason": pl.String(), "since": INSTANT}),
    "standing": pl.Schema(
        {
            "log": pl.String(),
            "retailer": pl.String(),
            "reason": pl.String(),
            "first_day": pl.Date(),
            "last_day": pl.Date(),
            "days": pl.Int64(),
            "rows": pl.Int64(),
            "waits_for": pl.String(),
            "free_from": INSTANT,
        }
    ),
}
"""Columns of every frame."""


@dataclass(frozen=True)
class Facts:
    """What is known at one instant.

    Attributes:
        now: the instant; UTC.
        settings: what is configured.
        frames: by the names of `FRAMES`. `levels`: live rows of `slo_log` that were available, written or counted
            within the longest window, and those not shown yet. `results`: history of `slo_results_log` over the
            budget's days, and the row before. `news`: newest row of each retailer's sales. `volumes`: rows of sales
            per retailer-day. `files`: live accounts. `headers`: the columns of each feed's newest two files.
            `active`: active reports per retailer-day. `left_behind`: retailer-days whose input no finished plan has
            answered. `deliveries`: changes of alerts that somebody tried to tell, per channel; `sent_at` is NULL until
            it was taken. `edits`: the window's edits that nobody undid; stray is one of what was never there.
            `recalled`: reports that wait for their re-review. `standing`: the standing list of degraded partitions. An
            absent frame is an empty one.
    """

    now: datetime
    settings: Settings
    frames: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pl.DataFrame:
        found = self.frames.get(name)
        return pl.DataFrame(schema=FRAMES[name]) if found is None else found

    @property
    def retailers(self) -> Sequence[str]:
        """Every configured retailer, sorted."""
        return sorted(self.settings.retailers)

    def since(self, days: int) -> datetime:
        """The instant that many days ago."""
        return self.now - timedelta(days=days)
