"""Whether looking again is worth it: per trigger what was recalled, what came of it, and what it cost."""

from __future__ import annotations

from collections.abc import Collection

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.health.view import COUNT, NUMBER, TEXT, HealthView, true_rows


def _recall(tables: Collection[str]) -> str:
    """One line per trigger that ever fired; a round counts for the trigger that it is named for."""
    return (
        "SELECT trigger_reason, count(*) AS rounds, count(*) FILTER (outcome IS NULL) AS waiting, "
        "count(*) FILTER (outcome IN ('changed', 'unchanged')) AS reviewed, "
        "count(*) FILTER (outcome = 'changed') AS changed, count(*) FILTER (contradicts_verdict) AS contradicting, "
        "count(*) FILTER (outcome = 'changed') / nullif(count(*) FILTER (outcome IN ('changed', 'unchanged')), 0) "
        "AS changed_share, sum(compute_seconds) AS compute_seconds, "
        "sum(compute_seconds) / nullif(count(*) FILTER (outcome = 'changed'), 0) AS seconds_per_change, "
        "min(trigger_at) FILTER (outcome IS NULL) AS waiting_since "
        f"FROM ({true_rows(REREVIEW_WORKLIST, tables)}) GROUP BY trigger_reason"
    )


HEALTH_RECALL = HealthView(
    name="health_recall",
    title="One trigger of recall: what it had looked at again, what came of it, and what that cost.",
    columns={
        "trigger_reason": (TEXT, "The trigger that the rounds are named for."),
        "rounds": (COUNT, "Rounds that it began."),
        "waiting": (COUNT, "Rounds that wait for their re-review."),
        "reviewed": (COUNT, "Rounds that were concluded."),
        "changed": (COUNT, "Of these, rounds whose conclusion is another one."),
        "contradicting": (COUNT, "Rounds that contradict what a person decided; the decision stands."),
        "changed_share": (NUMBER, "Share of the concluded rounds that changed something; NULL: none was concluded."),
        "compute_seconds": (NUMBER, "Seconds of computing spent on its rounds."),
        "seconds_per_change": (NUMBER, "The same per changed conclusion; NULL: nothing changed."),
        "waiting_since": (INSTANT, "When the oldest waiting round began; NULL: none waits. UTC."),
    },
    order=("trigger_reason",),
    sql=_recall,
)
