"""Objectives that are missed, and error budgets that are spent too fast."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping

import polars as pl

from mrs_assets.alerting.condition import ALL, Condition, Look
from mrs_assets.alerting.rules.held_plans import fingerprint as held_plan
from mrs_assets.alerting.rules.missing_inputs import cause
from mrs_assets.alerting.rules.orchestration import red_run
from mrs_assets.contracts.alerting import Severity
from mrs_assets.contracts.logs.slo import SLO_RESULTS

RULE = "service_levels"
WORST_TOLD = 3
EVERYTHING = "*"
"""Subject of an objective that is about no retailer alone."""

_NOT_COMPUTED = (red_run("replay", "{subject}"), held_plan("{subject}"), red_run("admission", "{subject}"))
_NO_CLUSTERS = (cause("MRCL_down", ALL), cause("MRCL_down", "{subject}"))
_NO_CAUSES = (
    *(cause("MRPAL_down", whose) for whose in (ALL, "{subject}")),
    *(cause(reason, "{subject}") for reason in ("promotions_down", "campaigns_down", "context_down")),
)

EXPLAINED_BY: Mapping[str, tuple[str, ...]] = {
    "sales_arrive_on_time": ("sensor:retail_feed", red_run("admission", "{subject}")),
    "detection_is_fresh": _NOT_COMPUTED,
    "clustering_is_fresh": (*_NOT_COMPUTED, "slo:detection_is_fresh:{subject}", *_NO_CLUSTERS),
    "attribution_is_fresh": (*_NOT_COMPUTED, "slo:detection_is_fresh:{subject}", *_NO_CAUSES),
    "reports_are_clustered_in_time": (*_NO_CLUSTERS, "slo:clustering_is_fresh:{subject}", *_NOT_COMPUTED),
    "reports_are_attributed_in_time": (*_NO_CAUSES, "slo:attribution_is_fresh:{subject}", *_NOT_COMPUTED),
    "active_reports_have_a_cause": _NO_CAUSES,
    "no_partition_left_failed": _NOT_COMPUTED,
    "volume_is_as_usual": ("slo:sales_arrive_on_time:{subject}", cause("*", "{subject}")),
    "alerts_are_delivered_in_time": ("channel:*",),
    "columns_stay_the_same": ("slo:every_file_is_used:{subject}",),
    "few_rows_are_dead_lettered": ("slo:every_file_is_used:{subject}",),
}
"""Objective → fingerprints of what would explain that it is missed, the likeliest first. The others stand for
themselves."""


def service_levels(
    results: pl.DataFrame, subjects: Collection[str], reasons: Mapping[str, str], link: str | None
) -> Look:
    """One condition per objective and subject that is missed, or whose budget burns.

    Args:
        results: live rows of `slo_results_log`.
        subjects: the configured retailers.
        reasons: feed → the reason that rows carry which did without it.
        link: where checks can be looked at.
    """
    judged = results.filter(pl.col("subject").is_in([*subjects, EVERYTHING])).sort("objective", "subject").to_dicts()
    bad = [row for row in judged if row["state"] == "breached" or row["burn"] != "none"]
    unknown = frozenset(_fingerprint(row) for row in judged if row["state"] == "unknown" and row["burn"] == "none")
    return Look(frozenset({RULE}), tuple(_condition(row, reasons, link) for row in bad), unknown)


def _fingerprint(row: Mapping[str, object]) -> str:
    return f"slo:{row['objective']}:{ALL if row['subject'] == EVERYTHING else row['subject']}"


def _condition(row: Mapping[str, object], reasons: Mapping[str, str], link: str | None) -> Condition:
    worst = json.loads(str(row["worst"])) if row["worst"] else []
    subject = str(row["subject"])
    whose = "" if subject == EVERYTHING else f" for {subject}"
    value = "unknown" if row["value"] is None else f"{row['value']:.4g}"
    told = "; ".join(", ".join(f"{name} {what}" for name, what in one.items()) for one in worst[:WORST_TOLD])
    return Condition(
        fingerprint=_fingerprint(row),
        rule=RULE,
        kind="operational",
        severity=_severity(row),
        title=f"{row['objective']} is not true{whose}",
        body=(
            f"{value} {row['unit']} where the limit is {row['limit']:.4g}, {row['window']}.{_budget(row)}"
            f"{f' Furthest off: {told}.' if told else ''} What is published stays as it is and says how fresh and how "
            f"complete it is. Look at the check {row['objective']} of {SLO_RESULTS.name}, and at `mrs health`."
        ),
        retailers=() if subject == EVERYTHING else (subject,),
        members=(str(row["objective"]),),
        parents=tuple(parent.format(subject=subject) for parent in EXPLAINED_BY.get(str(row["objective"]), ()))
        + tuple(cause(reasons[one["feed"]], subject) for one in worst if one.get("feed") in reasons),
        link=link,
    )


def _severity(row: Mapping[str, object]) -> Severity:
    if row["burn"] == "fast":
        return "page"
    return "error" if row["severity"] == "error" or row["burn"] == "slow" else "warn"


def _budget(row: Mapping[str, object]) -> str:
    if row["burn"] == "none":
        return ""
    left = "" if row["budget_left"] is None else f", {row['budget_left']:.0%} is left"
    return f" Its error budget is being spent {'far ' if row['burn'] == 'fast' else ''}too fast{left}."
