"""What comes out: whether reports are answered, keys counted once, edits placed, and no partition left behind."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.slo.facts import Facts
from mrs_assets.slo.measured import SHOWN, Measured, Worst


def answered_in_time(log: str, facts: Facts) -> list[Measured]:
    """Per retailer the share of the window's detected reports that a log answered within its limit."""
    recent = facts["levels"].filter(
        pl.col("log") == log,
        pl.col("written_to") > facts.since(facts.settings.slo.window_days),
        pl.col("reports") > 0,
    )
    return [_share(name, recent.filter(retailer=name), "reports_in_time") for name in facts.retailers]


def active_with_a_cause(facts: Facts) -> list[Measured]:
    """Per retailer the share of active reports that have a proposed cause, not the fallback's."""
    return [_share(name, facts["active"].filter(retailer=name), "with_cause") for name in facts.retailers]


def _share(retailer: str, days: pl.DataFrame, good: str) -> Measured:
    """Share of reports that are good; there is none of no reports."""
    reports = int(days["reports"].sum())
    if not reports:
        return Measured(retailer, None)
    missing = days.with_columns(without=pl.col("reports") - pl.col(good)).filter(pl.col("without") > 0)
    worst: list[Worst] = [
        {"retailer": retailer, "day": str(row["business_day"]), "reports": row["reports"], "without": row["without"]}
        for row in missing.sort("without", "business_day", descending=True).head(SHOWN).to_dicts()
    ]
    return Measured(retailer, int(days[good].sum()) / reports, worst)


def unreconciled_rows(facts: Facts) -> list[Measured]:
    """Per retailer the rows that stand twice under one key and version, and reports without exactly one answer."""
    known = facts["levels"].filter(pl.col("rows_unreconciled").is_not_null())
    return [_unreconciled(retailer, known.filter(retailer=retailer)) for retailer in facts.retailers]


def _unreconciled(retailer: str, known: pl.DataFrame) -> Measured:
    if known.is_empty():
        return Measured(retailer, None)
    wrong = known.filter(pl.col("rows_unreconciled") > 0)
    worst: list[Worst] = [
        {"log": row["log"], "retailer": retailer, "day": str(row["business_day"]), "rows": row["rows_unreconciled"]}
        for row in wrong.sort("rows_unreconciled", "log", "business_day", descending=True).head(SHOWN).to_dicts()
    ]
    return Measured(retailer, float(wrong["rows_unreconciled"].sum()), worst)


def left_behind(facts: Facts) -> list[Measured]:
    """Per retailer the days whose input came, or whose replay was planned, too long ago and is not answered."""
    limit = facts.now - timedelta(minutes=facts.settings.slo.open_minutes)
    known = set(facts["news"]["retailer"])
    late = facts["left_behind"].filter(pl.col("since") < limit)
    return [
        _left(retailer, late.filter(retailer=retailer)) if retailer in known else Measured(retailer, None)
        for retailer in facts.retailers
    ]


def _left(retailer: str, late: pl.DataFrame) -> Measured:
    worst: list[Worst] = [
        {"retailer": retailer, "day": str(row["business_day"]), "since": str(row["since"]), "why": row["why"]}
        for row in late.sort("since", "business_day").head(SHOWN).to_dicts()
    ]
    return Measured(retailer, float(late["business_day"].n_unique()), worst)


def stray_edits(facts: Facts) -> list[Measured]:
    """Per retailer the window's edits of a report or event that was never there; no edits: not known."""
    return [_stray(retailer, facts["edits"].filter(retailer=retailer)) for retailer in facts.retailers]


def _stray(retailer: str, edits: pl.DataFrame) -> Measured:
    if edits.is_empty():
        return Measured(retailer, None)
    stray = edits.filter("is_stray").sort("business_day", "annotation_id")
    worst: list[Worst] = [
        {"retailer": retailer, "day": str(row["business_day"]), "edit": row["annotation_id"], "of": row["subject"]}
        for row in stray.head(SHOWN).to_dicts()
    ]
    return Measured(retailer, float(stray.height), worst)


def waiting_for_a_look(facts: Facts) -> list[Measured]:
    """Per retailer the hours that the oldest recalled report has waited for its re-review; 0 where none waits."""
    known = set(facts["news"]["retailer"])
    return [
        _waiting(facts, retailer) if retailer in known else Measured(retailer, None) for retailer in facts.retailers
    ]


def _waiting(facts: Facts, retailer: str) -> Measured:
    waiting = facts["recalled"].filter(retailer=retailer).sort("since", "report_id")
    worst: list[Worst] = [
        {
            "retailer": retailer,
            "day": str(row["business_day"]),
            "report": row["report_id"],
            "trigger": row["trigger_reason"],
            "since": str(row["since"]),
        }
        for row in waiting.head(SHOWN).to_dicts()
    ]
    since = waiting["since"].to_list()[:1]
    return Measured(retailer, (facts.now - since[0]) / timedelta(hours=1) if since else 0.0, worst)


def left_degraded(facts: Facts) -> list[Measured]:
    """Per retailer the items of the standing list that wait for nothing and were not computed again for too long.

    The list is shown whole, what is overdue first: also what rightly waits is degraded.
    """
    known = set(facts["news"]["retailer"])
    limit = facts.now - timedelta(minutes=facts.settings.recovery.overdue_minutes)
    overdue = pl.col("waits_for").is_null() & (pl.col("free_from") < limit)
    standing = facts["standing"].with_columns(is_overdue=overdue)
    return [
        _degraded(retailer, standing.filter(retailer=retailer)) if retailer in known else Measured(retailer, None)
        for retailer in facts.retailers
    ]


def _degraded(retailer: str, standing: pl.DataFrame) -> Measured:
    ordered = standing.sort("is_overdue", "rows", "log", "reason", descending=[True, True, False, False])
    worst: list[Worst] = [
        {
            "log": row["log"],
            "retailer": retailer,
            "reason": row["reason"],
            "days": row["days"],
            "from": str(row["first_day"]),
            "to": str(row["last_day"]),
            "rows": row["rows"],
            "waits for": row["waits_for"] or "nothing",
        }
        for row in ordered.head(SHOWN).to_dicts()
    ]
    return Measured(retailer, float(standing["is_overdue"].sum()), worst)
