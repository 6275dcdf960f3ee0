"""The command that says how the system is: in the order in which an operator asks, or for programs."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated, Any

import polars as pl
import typer
from rich.markup import escape
from rich.text import Text

from mrs_assets.cli.look import reader_of
from mrs_assets.cli.output import Format, print_banner, print_coloured, print_rows, say
from mrs_assets.contracts.settings import load_settings
from mrs_assets.health import words
from mrs_assets.health.finality_sql import HEALTH_FINALITY
from mrs_assets.health.judged_sql import HEALTH_ALERTS, HEALTH_OBJECTIVES, HEALTH_PLANS
from mrs_assets.health.logs_sql import HEALTH_DEGRADED
from mrs_assets.health.metrics import exposition
from mrs_assets.health.reading import Health, published_health
from mrs_assets.health.recall_sql import HEALTH_RECALL
from mrs_assets.health.state import all_retailers, limit_in_words, state_of, worries
from mrs_resources import heartbeat
from mrs_resources.clock import utc_now
from mrs_resources.publisher import Publisher

STYLES = {
    "healthy": "green",
    "met": "green",
    "degraded": "yellow",
    "warn": "yellow",
    "broken": "red",
    "error": "red",
    "page": "red",
}
"""Colours of levels, states and severities; what is not here is plain."""


class HealthFormat(StrEnum):
    """Shapes in which health is printed."""

    table = "table"
    json = "json"
    prometheus = "prometheus"


def health(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout: a row per log.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 when something needs attention.")] = False,
    form: Annotated[HealthFormat, typer.Option("--format", help="How to print it.")] = HealthFormat.table,
) -> None:
    """Show how the system is: objectives, what keeps failing, alerts, what is degraded or waits, logs, finality."""
    settings = load_settings()
    known = published_health(reader_of(settings), settings, utc_now())
    if as_json or form is HealthFormat.json:
        print_rows(all_retailers(known).drop("retailer"), Format.json)
    elif form is HealthFormat.prometheus:
        sys.stdout.write(exposition(known).decode())
    else:
        _print(known)
    published = Publisher(settings.home).published()
    found = (
        [f"the snapshot was published without {name}: {why}" for name, why in published.left_out.items()]
        if published
        else []
    )
    found += worries(known, settings.slo.dead_letter_share)
    found += heartbeat.worries(settings.home, known.now, settings.alerts)
    for worry in found:
        say(f"[yellow]{escape(worry)}[/yellow]")
    if check and found:
        sys.exit(1)


def _print(known: Health) -> None:
    state = state_of(known)
    print_banner(state.sentence, STYLES.get(state.level, "none"))
    age = (known.now - known.known_at).total_seconds() / 60
    say(f"Published state of {words.instant(known.known_at)} UTC, {words.duration(age)} ago; run {known.run_id}.")
    _print_objectives(known[HEALTH_OBJECTIVES])
    print_coloured(
        ("What keeps failing", "State", "Failures#", "Since", "Left alone until", "What went wrong last"),
        (
            (
                one.name,
                _coloured(one.state, "broken"),
                str(one.failures),
                words.instant(one.since),
                words.instant(one.retry_at),
                one.detail or words.UNKNOWN,
            )
            for one in known.failing
        ),
        title="What keeps failing",
    )
    print_coloured(
        ("Alert", "Severity", "What", "For", "Since", "Silent until", "Not delivered to"),
        (
            (
                row["alert_id"],
                _coloured(row["severity"]),
                row["title"],
                ", ".join(row["retailers"]) or "all",
                words.instant(row["opened_at"]),
                words.instant(until) if (until := row["silent_until"]) and until > known.now else words.UNKNOWN,
                ", ".join(row["undelivered_to"]) or words.UNKNOWN,
            )
            for row in known[HEALTH_ALERTS].to_dicts()
        ),
        title="Open alerts",
    )
    print_coloured(
        ("Log", "Retailer", "Without", "Rows#", "Days#", "From", "To"),
        (
            (
                row["log"],
                row["retailer"],
                _coloured(row["reason"], "degraded"),
                words.count(row["rows"]),
                words.count(row["days"]),
                words.instant(row["first_day"]),
                words.instant(row["last_day"]),
            )
            for row in known[HEALTH_DEGRADED].to_dicts()
        ),
        title="Rows that do without something",
    )
    print_coloured(
        ("Plan", "Retailer", "State", "Why", "From", "To", "Since"),
        (
            (
                row["plan_id"],
                row["retailer"],
                _coloured(row["state"], "degraded"),
                row["purpose"],
                words.instant(row["first_day"]),
                words.instant(row["last_day"]),
                words.instant(row["written_at"]),
            )
            for row in known[HEALTH_PLANS].to_dicts()
        ),
        title="Replays that are not done",
    )
    print_coloured(
        ("Trigger", "Concluded#", "Otherwise#", "Their share#", "Compute per change#", "Waiting#", "Waiting since"),
        (
            (
                row["trigger_reason"],
                words.count(row["reviewed"]),
                words.count(row["changed"]),
                words.share(row["changed_share"]),
                words.duration(None if row["seconds_per_change"] is None else row["seconds_per_change"] / 60),
                words.count(row["waiting"]),
                words.instant(row["waiting_since"]),
            )
            for row in known[HEALTH_RECALL].to_dicts()
        ),
        title="Past reports that were looked at again",
    )
    _print_logs(known)
    _print_finality(known[HEALTH_FINALITY])


def _print_objectives(objectives: pl.DataFrame) -> None:
    """Those that are breached, burn their budget, or are not known; breached ones first."""
    burning = objectives.filter((pl.col("state") != "met") | (pl.col("burn") != "none"))
    print_coloured(
        ("Objective", "For", "State", "Value then#", "Limit#", "Budget left#", "Burn", "Since", "Over"),
        (
            (
                row["objective"],
                "all" if row["subject"] == "*" else row["subject"],
                _state(row),
                words.amount(row["value"], row["unit"]),
                limit_in_words(row),
                words.share(row["budget_left"]),
                _coloured(row["burn"], {"fast": "broken", "slow": "degraded"}.get(row["burn"], "")),
                words.instant(row["since"]),
                row["window"] or words.UNKNOWN,
            )
            for row in burning.sort(pl.col("state") != "breached", "objective", "subject").to_dicts()
        ),
        title=f"Objectives that are breached, burning or not known: {burning.height} of {objectives.height}",
    )


def _print_logs(known: Health) -> None:
    def line(row: dict[str, Any]) -> tuple[str | Text, ...]:
        age = (known.now - row["last_written_at"]).total_seconds() / 60
        degraded = words.share(row["degraded_share"])
        letters = words.count(row["dead_letters"])
        return (
            row["log"],
            words.instant(row["last_written_at"]),
            words.duration(age),
            words.duration(row["lag_p50_minutes"]),
            words.duration(row["lag_p95_minutes"]),
            words.count(row["rows"]),
            words.count(row["rows_live"]),
            _coloured(degraded, "degraded") if row["degraded_share"] else degraded,
            _coloured(letters, "degraded") if row["dead_letters"] else letters,
            words.share(row["dead_letter_share"]),
        )

    written, ledger = ("Log", "Last written", "Ago#"), ("Lag p50#", "Lag p95#", "Rows#", "True#", "Degraded#")
    heads = (*written, *ledger, "Dead letters#", "Their share#")
    print_coloured(heads, map(line, all_retailers(known).to_dicts()), title="Logs")


def _print_finality(finality: pl.DataFrame) -> None:
    print_coloured(
        ("Retailer", "Settled after#", "Provisional from", "Watched#", "Restated#", "Size, median#", "Size, p95#"),
        (
            (
                row["retailer"],
                _days(row["settled_after_days"]),
                words.instant(row["provisional_from"]),
                words.count(row["days_watched"]),
                words.count(row["days_restated"]),
                words.share(row["size_p50"]),
                words.share(row["size_p95"]),
            )
            for row in finality.to_dicts()
        ),
        title="Finality: when a retailer's days are settled",
    )


def _state(row: dict[str, Any]) -> Text:
    return _coloured(row["state"], row["severity"] if row["state"] == "breached" else row["state"])


def _coloured(text: str, style: str | None = None) -> Text:
    return Text(text, style=STYLES.get(style or text, ""))


def _days(days: int | None) -> str:
    return words.UNKNOWN if days is None else f"{days} d"
