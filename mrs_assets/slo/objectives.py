"""The declared table of objectives: what is promised of which asset, how it is measured, and how bad missing it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import polars as pl

from mrs_assets.contracts.logs.alerts import DELIVERIES
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.service_levels import ServiceLevels
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.slo import admission, answers, freshness, telling
from mrs_assets.slo.facts import Facts
from mrs_assets.slo.measured import Measured

Severity = Literal["warn", "error"]
Unit = Literal["minutes", "hours", "share", "count"]

UNSEEN = "no_partition_left_degraded_unseen"


@dataclass(frozen=True)
class Objective:
    """One promise.

    Attributes:
        name: a true sentence in snake case, while it is kept.
        description: the same in words.
        asset: the asset that it is about.
        severity: `warn` is amber, `error` red.
        unit: of value and limit.
        window: what the value is taken over, in words; `{days}` stands for the configured window.
        measure: facts → one value per subject.
        setting: key of `[slo]` that holds the limit; None: the limit is 0.
        at_least: the value must not be under the limit; otherwise not over it.
        judged_days: facts and limit → retailer-days with columns retailer, at, bad, for an error budget; None: none.
    """

    name: str
    description: str
    asset: str
    severity: Severity
    unit: Unit
    window: str
    measure: Callable[[Facts], Sequence[Measured]]
    setting: str | None = None
    at_least: bool = False
    judged_days: Callable[[Facts, float], pl.DataFrame] | None = None

    def limit(self, levels: ServiceLevels) -> float:
        """The limit that is configured."""
        return float(getattr(levels, self.setting)) if self.setting else 0.0

    def is_kept(self, value: float, levels: ServiceLevels) -> bool:
        """Whether a value is within the limit."""
        limit = self.limit(levels)
        return value >= limit if self.at_least else value <= limit

    def window_in_words(self, levels: ServiceLevels) -> str:
        """What the value is taken over."""
        return self.window.format(days=f"{levels.window_days} days")


def _fresh(name: str, words: str, log: str, setting: str) -> Objective:
    return Objective(
        name=name,
        description=f"{words} are shown soon after the file that they follow from, 95 of 100 times.",
        asset=log,
        severity="warn",
        unit="minutes",
        window="p95 of retailer-days that came within {days} or are not shown yet",
        measure=partial(freshness.lag_of, log),
        setting=setting,
        judged_days=partial(freshness.judged_days, log),
    )


OBJECTIVES: tuple[Objective, ...] = (
    Objective(
        name="sales_arrive_on_time",
        description="Every retailer's sales had news lately: a feed that stops goes stale.",
        asset=UNIFIED_SALES.name,
        severity="warn",
        unit="hours",
        window="since the newest row",
        measure=freshness.hours_without_news,
        setting="sales_hours",
    ),
    _fresh("detection_is_fresh", "Reports", DETECTED.name, "detection_minutes"),
    _fresh("clustering_is_fresh", "Clusters", CLUSTERED.name, "clustering_minutes"),
    _fresh("attribution_is_fresh", "Causes", ATTRIBUTED.name, "attribution_minutes"),
    Objective(
        name="few_rows_are_dead_lettered",
        description="Of the rows of each log, few lie among its dead letters unresolved.",
        asset=UNIFIED_SALES.name,
        severity="warn",
        unit="share",
        window="the worst log, over {days}",
        measure=admission.dead_letter_share,
        setting="dead_letter_share",
        judged_days=admission.dead_lettered_days,
    ),
    Objective(
        name="every_file_is_used",
        description="No file that was rejected whole waits for somebody.",
        asset=ARRIVALS.name,
        severity="warn",
        unit="count",
        window="ever",
        measure=admission.rejected_files,
    ),
    Objective(
        name="active_reports_have_a_cause",
        description="Most reports that are still going on have a proposed cause.",
        asset=MINORITY_REPORTS.name,
        severity="warn",
        unit="share",
        window="active reports",
        measure=answers.active_with_a_cause,
        setting="attributed_share",
        at_least=True,
    ),
    Objective(
        name="reports_are_clustered_in_time",
        description="Most detected reports have a cluster within the limit of clustering.",
        asset=CLUSTERED.name,
        severity="warn",
        unit="share",
        window="reports of retailer-days written within {days}",
        measure=partial(answers.answered_in_time, CLUSTERED.name),
        setting="clustered_share",
        at_least=True,
    ),
    Objective(
        name="reports_are_attributed_in_time",
        description="Most detected reports have a cause within the limit of attribution.",
        asset=ATTRIBUTED.name,
        severity="warn",
        unit="share",
        window="reports of retailer-days written within {days}",
        measure=partial(answers.answered_in_time, ATTRIBUTED.name),
        setting="attributed_share",
        at_least=True,
    ),
    Objective(
        name="every_received_row_is_accounted_for",
        description="Of every file, rows received = accepted + duplicate + dead-lettered.",
        asset=ARRIVALS.name,
        severity="error",
        unit="count",
        window="every file ever",
        measure=admission.unaccounted_rows,
    ),
    Objective(
        name="every_key_counts_once",
        description="No version of a key stands twice, and every report has exactly one answer of each log that owes "
        "one: what is there after a replay is what was there to compute.",
        asset=DETECTED.name,
        severity="error",
        unit="count",
        window="every retailer-day",
        measure=answers.unreconciled_rows,
    ),
    Objective(
        name="no_partition_left_failed",
        description="No retailer-day waits for a replay that was planned long ago, failed, or was never planned.",
        asset=FINALISED.name,
        severity="error",
        unit="count",
        window="retailer-days that wait for longer than open_minutes of [slo]",
        measure=answers.left_behind,
    ),
    Objective(
        name=UNSEEN,
        description="No partition is still degraded long after its cause is gone: quiet does not mean forgotten.",
        asset=MINORITY_REPORTS.name,
        severity="warn",
        unit="count",
        window="degraded partitions that wait for nothing for longer than overdue_minutes of [recovery]",
        measure=answers.left_degraded,
    ),
    Objective(
        name="every_edit_has_its_report",
        description="Every edit is of a report or an event that is or was there.",
        asset=USER_EDITS.name,
        severity="warn",
        unit="count",
        window="edits of {days} that nobody undid",
        measure=answers.stray_edits,
    ),
    Objective(
        name="recalled_reports_are_looked_at_in_time",
        description="No recalled report waits long for its re-review.",
        asset=REREVIEW_WORKLIST.name,
        severity="warn",
        unit="hours",
        window="since the oldest waiting report was recalled",
        measure=answers.waiting_for_a_look,
        setting="recall_hours",
    ),
    Objective(
        name="volume_is_as_usual",
        description="A day has about as many rows of sales as its weekday had before.",
        asset=UNIFIED_SALES.name,
        severity="warn",
        unit="share",
        window=f"the newest {admission.DAYS_JUDGED} days against the median of up to {admission.WEEKS_BEFORE} weeks",
        measure=admission.unusual_volume,
        setting="volume_change",
    ),
    Objective(
        name="columns_stay_the_same",
        description="The newest file of every feed has the columns of the one before.",
        asset=ARRIVALS.name,
        severity="warn",
        unit="count",
        window="the newest file of each feed against the one before",
        measure=admission.changed_columns,
    ),
    Objective(
        name="alerts_are_delivered_in_time",
        description="Most changes of alerts reach every channel that wants them soon: the teller is watched as well.",
        asset=DELIVERIES.name,
        severity="error",
        unit="share",
        window="deliveries within {days}",
        measure=telling.delivered_in_time,
        setting="alerted_share",
        at_least=True,
    ),
)
"""Every objective, in the order in which they are shown."""
