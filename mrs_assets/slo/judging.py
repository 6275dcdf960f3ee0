"""Judges what was measured: met, breached or unknown per objective and subject, since when, with its error budget."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import polars as pl

from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.slo.budgets import Budget, budget_of_days, budget_of_time
from mrs_assets.slo.facts import Facts
from mrs_assets.slo.measured import Measured
from mrs_assets.slo.objectives import OBJECTIVES, Objective

State = Literal["met", "breached", "unknown"]

WORST_KEPT = 5
"""Partitions that a recorded result names."""

STEPS = 10
"""A budget is recorded in tenths, rounded down, so that it moves seldom."""


@dataclass(frozen=True)
class Judged:
    """One objective for one subject at one instant.

    Attributes:
        objective: what was promised.
        measured: what was found.
        state: `unknown` where nothing was there to measure.
        since: when the state began; UTC.
        first_day: day of the first result ever, on which all of them lie.
        budget: the error budget; None: there is none.
    """

    objective: Objective
    measured: Measured
    state: State
    since: datetime
    first_day: date
    budget: Budget | None


def judge(facts: Facts, objectives: Sequence[Objective] = OBJECTIVES) -> list[Judged]:
    """Every objective for each of its subjects."""
    newest = facts["results"].sort("version").unique(["objective", "subject"], keep="last")
    before = {(row["objective"], row["subject"]): row for row in newest.to_dicts()}
    found = []
    for objective in objectives:
        for measured in objective.measure(facts):
            known = before.get((objective.name, measured.subject))
            state = _state(objective, measured, facts)
            lasts = known is not None and known["state"] == state
            since = known["since"] if known is not None and lasts else facts.now
            first_day = known["business_day"] if known is not None else facts.now.date()
            budget = _budget(objective, measured, state, since, facts)
            found.append(Judged(objective, measured, state, since, first_day, budget))
    return found


def result_rows(judged: Sequence[Judged], facts: Facts) -> pl.DataFrame:
    """What was judged as rows of `slo_results_log`."""
    rows = [
        {
            "retailer": each.measured.subject,
            "business_day": each.first_day,
            "objective": each.objective.name,
            "subject": each.measured.subject,
            "state": each.state,
            "severity": each.objective.severity,
            "since": each.since,
            "value": each.measured.value,
            "missed_with": _missed_with(each),
            "limit": each.objective.limit(facts.settings.slo),
            "unit": each.objective.unit,
            "window": each.objective.window_in_words(facts.settings.slo),
            "worst": json.dumps(list(each.measured.worst)[:WORST_KEPT], ensure_ascii=False),
            "budget_left": _stepped(each.budget),
            "burn": each.budget.burn if each.budget else "none",
        }
        for each in judged
    ]
    return pl.DataFrame(rows, schema={c: t for c, t in SLO_RESULTS.body.items() if not rows or c in rows[0]})


def news_in(rows: pl.DataFrame, facts: Facts) -> pl.DataFrame:
    """Rows that say something else than is known; the kernel would leave out the others too, and take longer."""
    newest = facts["results"].sort("version").unique(["objective", "subject"], keep="last")
    same = [column for column in SLO_RESULTS.hashed if column in rows.columns]
    return rows.join(newest, on=same, how="anti", nulls_equal=True)


def _state(objective: Objective, measured: Measured, facts: Facts) -> State:
    if measured.value is None:
        return "unknown"
    return "met" if objective.is_kept(measured.value, facts.settings.slo) else "breached"


def _budget(objective: Objective, measured: Measured, state: State, since: datetime, facts: Facts) -> Budget | None:
    """Of retailer-days where a retailer sends once a day; otherwise of time."""
    if objective.judged_days is None:
        return None
    levels = facts.settings.slo
    period = timedelta(days=levels.budget_days)
    if facts.settings.retailers[measured.subject].grain == "1d":
        judged = objective.judged_days(facts, objective.limit(levels)).filter(retailer=measured.subject)
        recent = judged.filter(pl.col("at") > facts.now - period)
        return budget_of_days(recent, facts.now, levels.budget_share, period)
    past = facts["results"].filter(objective=objective.name, subject=measured.subject).select("since", "state")
    current = pl.DataFrame([{"since": since, "state": state}], schema=past.schema)
    history = pl.concat([past, current]).unique(["since", "state"], maintain_order=True)
    return budget_of_time(history, facts.now, levels.budget_share, period)


def _missed_with(judged: Judged) -> float | None:
    """The value of a breach to one significant digit: it moves when the breach does, and seldom with the clock."""
    return float(f"{judged.measured.value:.0e}") if judged.state == "breached" else None


def _stepped(budget: Budget | None) -> float | None:
    if budget is None or budget.left is None:
        return None
    return math.floor(budget.left * STEPS + 1e-9) / STEPS
