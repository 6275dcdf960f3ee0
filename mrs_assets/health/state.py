"""What the views add up to: one level, one sentence, and what needs somebody's attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from mrs_assets.health.judged_sql import HEALTH_ALERTS, HEALTH_OBJECTIVES, HEALTH_PLANS
from mrs_assets.health.logs_sql import HEALTH_DEGRADED, HEALTH_LOGS
from mrs_assets.health.reading import Health
from mrs_assets.health.words import amount, instant, several, share
from mrs_assets.slo.objectives import OBJECTIVES

Level = Literal["healthy", "degraded", "broken", "unknown"]
AT_LEAST = {objective.name: objective.at_least for objective in OBJECTIVES}
NAMED = 3
"""Names that a sentence lists before it says how many more there are."""


@dataclass(frozen=True)
class State:
    """The state of the whole.

    Attributes:
        level: `broken`: an objective of severity error is breached; `degraded`: something else is not as it should
            be; `unknown`: nothing is wrong that is known, but nothing was judged; else `healthy`.
        sentence: why.
    """

    level: Level
    sentence: str


def state_of(health: Health) -> State:
    """What one sentence says of the system."""
    objectives, degraded = health[HEALTH_OBJECTIVES], health[HEALTH_DEGRADED]
    breached = objectives.filter(pl.col("state") == "breached").sort("severity", maintain_order=True)
    parts = [_of_objectives(objectives, breached)]
    if degraded.height:
        reasons = _named(degraded["reason"].unique().sort().to_list())
        logs = several(degraded["log"].n_unique(), "log", "logs")
        parts.append(f"rows of {logs} are degraded ({reasons})")
    if health.failing:
        names = _named([known.name for known in health.failing])
        parts.append(f"{several(len(health.failing), 'thing keeps', 'things keep')} failing ({names})")
    plans = health[HEALTH_PLANS].height
    if plans:
        parts.append(f"{several(plans, 'planned replay is', 'planned replays are')} not done")
    alerts = health[HEALTH_ALERTS].filter(pl.col("state") != "resolved").height
    if alerts:
        parts.append(f"{several(alerts, 'alert is', 'alerts are')} open")
    wrong = breached.height or len(parts) > 1
    if not len(parts) > 1:
        parts.append("nothing is degraded")
    level: Level = "degraded" if wrong else "healthy" if (objectives["state"] == "met").any() else "unknown"
    if breached.filter(pl.col("severity") == "error").height:
        level = "broken"
    sentence = "; ".join(parts)
    return State(level, f"{sentence[0].upper()}{sentence[1:]}.")


def worries(health: Health, dead_letter_limit: float) -> list[str]:
    """What needs somebody's attention now, one sentence each; what is breached as a warning does not.

    Args:
        health: the views, at the instant asked about.
        dead_letter_limit: largest share of a log's rows that may be open dead letters.
    """
    red = health[HEALTH_OBJECTIVES].filter((pl.col("state") == "breached") & (pl.col("severity") == "error"))
    found = [f"{row['objective']} is breached for {_whom(row['subject'])}" for row in red.to_dicts()]
    found += [
        f"{row['log']}: {row['dead_letters']} dead letters, {share(row['dead_letter_share'])} of its rows"
        for row in all_retailers(health).filter(pl.col("dead_letter_share") > dead_letter_limit).to_dicts()
    ]
    found += [
        f"{known.name} is left alone until {instant(known.retry_at)} UTC" for known in health.failing if known.retry_at
    ]
    for plan in health[HEALTH_PLANS].to_dicts():
        waits = "waits for approval" if plan["state"] == "held" else "was planned and is not done"
        found.append(f"{plan['plan_id']} {waits}")
    found += [
        f"alert {row['alert_id']} did not reach {', '.join(row['undelivered_to'])}: {row['delivery_error']}"
        for row in health[HEALTH_ALERTS].filter(pl.col("undelivered_to").list.len() > 0).to_dicts()
    ]
    return found


def all_retailers(health: Health) -> pl.DataFrame:
    """Rows of the logs as a whole."""
    return health[HEALTH_LOGS].filter(pl.col("retailer").is_null())


def limit_in_words(row: dict[str, Any]) -> str:
    """The limit of an objective's row, and on which side of it the value is to be."""
    side = {None: "", True: "≥ ", False: "≤ "}[AT_LEAST.get(row["objective"])]
    return side + amount(row["limit"], row["unit"])


def _of_objectives(objectives: pl.DataFrame, breached: pl.DataFrame) -> str:
    if objectives.is_empty():
        return "no objective has been judged yet"
    if breached.height:
        whose = [f"{name} for {_whom(subject)}" for name, subject in breached.select("objective", "subject").rows()]
        return f"{_of(breached.height, objectives)} breached ({_named(whose)})"
    met = objectives.filter(pl.col("state") == "met").height
    unknown = objectives.height - met
    if unknown:
        return f"{_of(met, objectives)} met, {unknown} not known"
    return f"all {met} objectives are met" if met > 1 else "the one objective is met"


def _of(number: int, objectives: pl.DataFrame) -> str:
    noun = "objective" if objectives.height == 1 else "objectives"
    return f"{number} of {objectives.height} {noun} {'is' if number == 1 else 'are'}"


def _whom(subject: str) -> str:
    return "all retailers" if subject == "*" else subject


def _named(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
