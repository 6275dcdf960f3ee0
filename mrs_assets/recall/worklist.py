"""The worklist as a fold: what fired becomes rounds, once per cause and within bounds; what waits has an order."""

from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl

from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.recall.facts import Facts
from mrs_assets.recall.table import TRIGGERS

ASKED_BY_A_PERSON = "analyst_request"
WAITING = pl.col("outcome").is_null()


@dataclass(frozen=True)
class Queued:
    """What came of what fired.

    Attributes:
        items: rows of MRRW that are new or changed, in the columns of its body.
        spent: fired causes that the report was recalled for before.
        bounded: reports that have had as many rounds as there may be.
    """

    items: pl.DataFrame
    spent: int
    bounded: int


def queue(facts: Facts, fired: pl.DataFrame) -> Queued:
    """Fold what fired into the worklist.

    A cause that a report was recalled for is spent. What fires while a round waits joins it. A report has at most
    `max_rounds` rounds, but for those that a person asks for. A waiting report that is no longer true is `withdrawn`.

    Args:
        facts: reports and the worklist as it is.
        fired: rows of FIRED.
    """
    known = facts["worklist"].select(REREVIEW_WORKLIST.body.names())
    reports = facts["reports"].unique("report_id")
    mine = fired.unique(["report_id", "fingerprint"], keep="first", maintain_order=True)
    mine = mine.join(reports.select("report_id"), on="report_id", how="semi")
    spent = known.select("report_id", fingerprint="fingerprints").explode("fingerprint").drop_nulls()
    fresh = mine.join(spent, on=["report_id", "fingerprint"], how="anti")
    done = dict(known.group_by("report_id").agg(pl.col("round").max()).iter_rows())
    about = {row["report_id"]: row for row in reports.join(fresh, on="report_id", how="semi").to_dicts()}
    waiting = {row["report_id"]: row for row in known.filter(WAITING).to_dicts()}
    rows, bounded = [], 0
    for (report_id,), causes in fresh.group_by("report_id", maintain_order=True):
        item, number = waiting.get(str(report_id)), done.get(report_id, 0)
        by_person = ASKED_BY_A_PERSON in causes["trigger_reason"]
        if item is None and number >= facts.settings.recall.max_rounds and not by_person:
            bounded += 1
            continue
        rows.append(_round(facts, about[report_id], causes, number + 1, item))
    gone = known.filter(WAITING).join(reports.select("report_id"), on="report_id", how="anti")
    gone = gone.with_columns(outcome=pl.lit("withdrawn"), outputs_generated_at=pl.lit(facts.now))
    items = pl.concat([pl.DataFrame(rows, schema=REREVIEW_WORKLIST.body), gone]).sort("report_id", "round")
    return Queued(items, mine.height - fresh.height, bounded)


def to_review(facts: Facts, worklist: pl.DataFrame) -> pl.DataFrame:
    """Waiting items whose report is there, as many as a run takes."""
    there = facts["reports"].select("report_id")
    return in_order(worklist.join(there, on="report_id", how="semi")).head(facts.settings.recall.most_per_run)


def in_order(worklist: pl.DataFrame) -> pl.DataFrame:
    """Waiting items in the order of their turn.

    What could not be concluded last time comes after what has not been tried; then the most money × uncertainty
    first; ties by report.
    """
    tried = pl.col("waits_for").is_not_null()
    return worklist.filter(WAITING).sort(tried, -pl.col("priority").fill_null(0), "report_id", "round")


def updated(worklist: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    """The worklist with some items replaced or added, in the columns of MRRW's body."""
    key = list(REREVIEW_WORKLIST.key)
    body = REREVIEW_WORKLIST.body.names()
    kept = worklist.select(body).join(changed.select(key), on=key, how="anti")
    return pl.concat([kept, changed.select(body)]).sort(key)


def _round(
    facts: Facts, report: dict[str, object], causes: pl.DataFrame, number: int, item: dict[str, object] | None
) -> dict[str, object]:
    evidence: dict[str, list[object]] = json.loads(str(item["evidence"])) if item else {}
    for trigger, told in causes.select("trigger_reason", "evidence").iter_rows():
        evidence.setdefault(trigger, []).append(json.loads(told))
    order = list(TRIGGERS)
    leading = min(causes["trigger_reason"], key=order.index)
    waiting: list[str] = list(item["fingerprints"] or ()) if item else []  # type: ignore[call-overload]
    same = ("retailer", "business_day", "report_id", "store_id", "sku", "tick")
    return {
        **{name: report[name] for name in same},
        "round": item["round"] if item else number,
        "trigger_reason": item["trigger_reason"] if item else leading,
        "trigger_at": item["trigger_at"] if item else facts.now,
        "fingerprints": sorted({*waiting, *causes["fingerprint"]}),
        "evidence": json.dumps(evidence, sort_keys=True),
        "priority": _priority(report),
        "waits_for": None,
        "is_degraded": False,
        "degraded_reasons": [],
    }


def _priority(report: dict[str, object]) -> float:
    """Money at stake × uncertainty; a report of unknown confidence is wholly uncertain."""
    stake, confidence = report["impact_estimate"], report["confidence_score"]
    return round(abs(float(str(stake or 0))) * (1 - float(str(confidence or 0))), 6)
