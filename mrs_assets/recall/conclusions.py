"""What a round came to: its conclusion beside the one before, or what it could not conclude for."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.recall.facts import Facts

CONFIDENCE_STEP = 0.05
"""A confidence that moves by less concludes the same."""

_BELIEF = ("cluster_id", "cluster_name", "proposed_cause", "proposed_cause_category", "confidence_score")


def concluded(
    facts: Facts, items: pl.DataFrame, clustered: pl.DataFrame, attributed: pl.DataFrame, seconds: float
) -> pl.DataFrame:
    """The items as they stand after a look.

    A look that does without something which the belief rests on concludes nothing: a poorer conclusion must not take
    the place of a better one, so that the item waits for what is missing.

    Args:
        facts: what is believed.
        items: rows of MRRW that were looked at, in the columns of its body.
        clustered: rows of MRCL for the items' reports at their newest tick, as computed now.
        attributed: the same of MRPAL.
        seconds: time that computing all of them took.

    Returns:
        Rows of MRRW's body, sorted by key: with an outcome, or with `waits_for`.
    """
    reports = {row["report_id"]: row for row in facts["reports"].join(items, on="report_id", how="semi").to_dicts()}
    clusters = {(row["report_id"], row["tick"]): row for row in clustered.to_dicts()}
    causes = {(row["report_id"], row["tick"]): row for row in attributed.to_dicts()}
    share = round(seconds / items.height, 6) if items.height else 0.0
    rows = []
    for item in items.to_dicts():
        report = reports[item["report_id"]]
        key = (report["report_id"], report["tick"])
        rows.append(_closed(facts, item, report, clusters.get(key), causes.get(key), share))
    return pl.DataFrame(rows, schema=REREVIEW_WORKLIST.body).sort(REREVIEW_WORKLIST.key)


def _closed(
    facts: Facts,
    item: Mapping[str, object],
    report: Mapping[str, object],
    cluster: Mapping[str, object] | None,
    cause: Mapping[str, object] | None,
    share: float,
) -> dict[str, object]:
    lacks = {"no_answer"} if cluster is None or cause is None else {*_reasons(cluster), *_reasons(cause)}
    lacks -= {*_as_list(report["reasons"])}
    if lacks or cluster is None or cause is None:
        return {**item, "waits_for": ", ".join(sorted(lacks))}
    before = {name: report[name] for name in _BELIEF}
    after = {name: (cluster if name.startswith("cluster") else cause)[name] for name in _BELIEF}
    stands_by, says = report["person_cause"], after["proposed_cause"]
    return {
        **item,
        "tick": report["tick"],
        "business_day": report["business_day"],
        "waits_for": None,
        "outputs_generated_at": facts.now,
        "outcome": "unchanged" if same_conclusion(before, after) else "changed",
        "concluded_before": json.dumps(before, sort_keys=True),
        "concluded_after": json.dumps(after, sort_keys=True),
        "contradicts_verdict": None if stands_by is None else says != stands_by,
        "compute_seconds": share,
    }


def same_conclusion(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    """Same cluster, same cause and kind, and about the same confidence."""
    named = all(before[name] == after[name] for name in ("cluster_id", "proposed_cause", "proposed_cause_category"))
    was, is_ = before["confidence_score"], after["confidence_score"]
    if was is None or is_ is None:
        return named and was is is_
    return named and abs(float(str(was)) - float(str(is_))) < CONFIDENCE_STEP


def _reasons(row: Mapping[str, object]) -> list[str]:
    return _as_list(row["degraded_reasons"])


def _as_list(value: object) -> list[str]:
    return list(value) if isinstance(value, list) else []
