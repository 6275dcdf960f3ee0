"""The page that one reads: the views in the order in which an operator asks, as HTML that needs no server.

Everything comes from outside and is escaped by the template engine; nothing here builds markup.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from mrs_assets.contracts.settings import Settings
from mrs_assets.health import words
from mrs_assets.health.charts import HEIGHT, WIDTH, Chart, chart
from mrs_assets.health.finality_sql import FEWEST_WATCHED_DAYS, HEALTH_FINALITY, HEALTH_FINALITY_CURVE
from mrs_assets.health.judged_sql import HEALTH_ALERTS, HEALTH_OBJECTIVES, HEALTH_PLANS
from mrs_assets.health.logs_sql import HEALTH_DAYS, HEALTH_DEGRADED
from mrs_assets.health.reading import Health
from mrs_assets.health.recall_sql import HEALTH_RECALL
from mrs_assets.health.state import all_retailers, limit_in_words, state_of

DAYS_DRAWN = 60
"""Business days in the charts of a retailer, the newest ones."""

WORST_SHOWN = 3


def page(health: Health, settings: Settings) -> str:
    """The page: the same text for the same health."""
    objectives = health[HEALTH_OBJECTIVES].to_dicts()
    return _template().render(
        state=state_of(health),
        health=health,
        objectives=sorted(objectives, key=_urgency),
        logs=all_retailers(health).to_dicts(),
        degraded=health[HEALTH_DEGRADED].to_dicts(),
        alerts=health[HEALTH_ALERTS].to_dicts(),
        plans=health[HEALTH_PLANS].to_dicts(),
        recall=health[HEALTH_RECALL].to_dicts(),
        finality=health[HEALTH_FINALITY].to_dicts(),
        charts={retailer: list(_charts(health, retailer)) for retailer in sorted(settings.retailers)},
        fewest_watched_days=FEWEST_WATCHED_DAYS,
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"words": words, "drawing": (WIDTH, HEIGHT), "worst": _worst, "statuses": _statuses}
    environment.globals["limit"] = limit_in_words
    return environment.get_template("page.html")


def _charts(health: Health, retailer: str) -> Iterator[Chart]:
    """What is known of a retailer over time; nothing where nothing is."""
    days = health[HEALTH_DAYS].filter(pl.col("retailer") == retailer)
    if days.height:
        days = days.upsample("business_day", every="1d").tail(DAYS_DRAWN)
        ends = (words.instant(days["business_day"][0]), words.instant(days["business_day"][-1]))
        yield _over_days("Lag from receipt to view", days["lag_minutes"].to_list(), ends, words.duration, 60.0)
        yield _over_days("Degraded share of rows", days["degraded_share"].to_list(), ends, words.share, 1.0, whole=True)
    curve = health[HEALTH_FINALITY_CURVE].filter(pl.col("retailer") == retailer)
    if curve.height:
        settled = health[HEALTH_FINALITY].filter(pl.col("retailer") == retailer)["settled_after_days"][0]
        known = f"95 % of them are settled after {settled} days" if settled is not None else "too few to know when"
        yield chart(
            "Restated days settled, by age",
            f"Share of restated days that saw no later restatement, by days after their end: {known}.",
            curve["settled_share"].to_list(),
            highest=1.0,
            top="100 %",
            ends=("0 d", f"{curve['lag_days'][-1]} d"),
            mark=(0.95, "95 %"),
            steps=True,
        )


def _over_days(
    title: str, figures: list[float | None], ends: tuple[str, str], told: Any, least: float, *, whole: bool = False
) -> Chart:
    """Figures per business day; the axis reaches `least` at least, and no further where that is the whole."""
    known = [figure for figure in figures if figure is not None]
    highest = least if whole else max([least, *known])
    newest = told(figures[-1])
    summary = f"from {told(min(known))} to {told(max(known))}, newest {newest}" if known else "not known"
    return chart(
        title, f"{title}, {ends[0]} to {ends[1]}: {summary}.", figures, highest=highest, top=told(highest), ends=ends
    )


def _urgency(row: dict[str, Any]) -> tuple[int, bool]:
    """Red before amber before what is kept before what nobody knows."""
    return ["breached", "met", "unknown"].index(row["state"]), row["severity"] != "error"


def _worst(row: dict[str, Any]) -> list[str]:
    """Of what is breached, the partitions that are furthest off, in words."""
    if row["state"] != "breached":
        return []
    try:
        entries = json.loads(row["worst"] or "[]")
    except json.JSONDecodeError:
        return [str(row["worst"])]
    entries = entries if isinstance(entries, list) else [entries]
    return [
        ", ".join(f"{name} {value}" for name, value in entry.items() if value != row["subject"])
        if isinstance(entry, dict)
        else str(entry)
        for entry in entries[:WORST_SHOWN]
    ]


def _statuses(row: dict[str, Any]) -> list[tuple[str, int]]:
    """Status and rows, most rows first."""
    told: dict[str, int] = json.loads(row["rows_by_status"] or "{}")
    return sorted(told.items(), key=lambda item: (-item[1], item[0]))
