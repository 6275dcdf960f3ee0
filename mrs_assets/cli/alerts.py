"""`mrs alerts`: which alerts are open, silences, and a test of a channel."""

from __future__ import annotations

import getpass
import hashlib
import re
import sys
from datetime import datetime, timedelta
from typing import Annotated

import polars as pl
import typer
from rich.markup import escape

from mrs_assets import __version__
from mrs_assets.alert_watch.books import append, open_books, silences
from mrs_assets.alert_watch.delivering import try_channel
from mrs_assets.alerting.note import Note, open_alerts
from mrs_assets.alerting.outbox import Attempt, Silence, channels_of
from mrs_assets.cli.look import instant
from mrs_assets.cli.output import Format, print_rows, say
from mrs_assets.cli.session import open_settings
from mrs_assets.contracts.errors import SettingsMistake, UnknownName, UserMistake
from mrs_assets.contracts.logs.alerts import SILENCES
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import SYSTEM_RUN
from mrs_resources.notifier import Notifier

alerts_app = typer.Typer(help="Show open alerts, silence some for a while, test a channel.")

SAID_BY = Provenance("mrs alerts", __version__)
_DURATION = re.compile(r"^([1-9]\d{0,4})(m|h|d)$")
_PATTERN = re.compile(r"^[A-Za-z0-9_:./*?-]{1,256}$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@alerts_app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context,
    form: Annotated[Format, typer.Option("--format", help="How to print the alerts.")] = Format.table,
) -> None:
    """Show the alerts that are open, the most severe first, and whom they have reached."""
    if context.invoked_subcommand is not None:
        return
    _, warehouse = open_settings()
    with warehouse.store.looking() as tx:
        books = open_books(tx)
        standing = silences(tx, tx.now)
        now = tx.now
    rows = _table(open_alerts(books.history), books.attempts, standing, now)
    if form is Format.table and rows.is_empty():
        say("[green]No alert is open.[/green]")
    else:
        columns = ["severity", "title", "since", "told over", "waits", "fingerprint"]
        print_rows(rows.select(columns) if form is Format.table else rows, form)


@alerts_app.command()
def silence(
    pattern: Annotated[str, typer.Argument(help="Fingerprints, with `*` for any text: `missing:promotions_down:*`.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    lasting: Annotated[str | None, typer.Option("--for", help="How long: 30m, 4h, 2d.")] = None,
    until: Annotated[str | None, typer.Option(help="Until when: ISO 8601 with a time zone.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who asks for it; the user of this shell unless said.")] = None,
) -> None:
    """Tell nobody of some alerts for a while; they are still kept, and what was told of is still told to be over."""
    _, warehouse = open_settings()
    if not _PATTERN.match(pattern):
        raise UserMistake(
            f"{pattern!r} is not a pattern of fingerprints.",
            remedy="`mrs alerts` shows fingerprints; `*` stands for any text, as in `missing:*:acme`.",
        )
    if not reason.strip():
        raise UserMistake("A silence needs a reason.", remedy="Say it with --reason, for whoever wonders later.")
    with warehouse.store.transaction() as tx:
        ends = _end(lasting, until, tx.now)
        facts = f"{pattern}|{ends.isoformat()}|{tx.now.isoformat()}"
        row = {
            "retailer": "*",
            "business_day": tx.now.date(),
            "silence_id": f"S-{hashlib.sha256(facts.encode()).hexdigest()[:12]}",
            "fingerprint": pattern,
            "since": tx.now,
            "until": ends,
            "actor": actor or getpass.getuser(),
            "reason": reason.strip(),
        }
        append(tx, SILENCES, pl.DataFrame([row]), SAID_BY)
        covered = [note for note in open_alerts(open_books(tx).history) if _covers(pattern, note, tx.now, ends)]
    say(f"{escape(pattern)} is silent until {ends:%Y-%m-%d %H:%M} UTC; it covers {len(covered)} open alerts.")


@alerts_app.command()
def unsilence(
    pattern: Annotated[str, typer.Argument(help="The pattern, as it was silenced; `*` alone: every silence.")],
) -> None:
    """End silences now: what is open and was not told of is told."""
    _, warehouse = open_settings()
    with warehouse.store.transaction() as tx:
        live = tx.live(SILENCES, run_id=SYSTEM_RUN).filter(pl.col("until") > tx.now)
        ended = live if pattern == "*" else live.filter(pl.col("fingerprint") == pattern)
        if ended.is_empty():
            known = ", ".join(sorted(set(live["fingerprint"]))) or "none"
            raise UnknownName(f"No silence {pattern!r} is in force.", remedy=f"In force: {known}.")
        rows = ended.select(name for name in SILENCES.body if name in ended.columns)
        append(tx, SILENCES, rows.with_columns(pl.lit(tx.now).alias("until")), SAID_BY)
    say(f"{ended.height} silences ended.")


@alerts_app.command()
def test(channel: Annotated[str, typer.Argument(help="The channel, as feeds.toml names it.")]) -> None:
    """Send a test message over a channel, and say what happened. Exit code 1 where it was not taken."""
    settings, warehouse = open_settings()
    channels = channels_of(settings.alerts)
    if channel not in channels:
        raise UnknownName(f"There is no channel {channel!r}.", remedy=f"Channels: {', '.join(sorted(channels))}.")
    problem = try_channel(channel, warehouse, settings, Notifier(settings.alerts.send_seconds))
    variable = channels[channel].url_env
    if problem is None:
        where = "printed above" if variable is None else f"accepted by the service that {variable} names"
        say(f"[green]The test message was {where}.[/green]")
        return
    if "environment variable" in problem:
        raise SettingsMistake(
            f"The channel {channel} cannot be tried: {problem}.",
            remedy=f"Set {variable} where the daemon or `mrs tick` runs; docs/how-to/route-alerts.md shows addresses.",
        )
    say(f"[red]The test message was not taken: {escape(problem)}.[/red] Alerts are kept and tried again.")
    sys.exit(1)


def _end(lasting: str | None, until: str | None, now: datetime) -> datetime:
    """When a silence ends.

    Raises:
        UserMistake: neither or both are said, it cannot be read, or it is not in the future.
    """
    if (lasting is None) == (until is None):
        raise UserMistake("A silence ends: say when.", remedy="Either --for 4h or --until 2024-05-01T08:00:00Z.")
    if lasting is not None:
        match = _DURATION.match(lasting)
        if match is None:
            raise UserMistake(f"{lasting!r} is not a length of time.", remedy="Write 30m, 4h or 2d.")
        return now + timedelta(**{_UNITS[match[2]]: int(match[1])})
    ends = instant(str(until))
    if ends <= now:
        raise UserMistake(f"{until} is past.", remedy="A silence ends in the future.")
    return ends


def _covers(pattern: str, note: Note, now: datetime, ends: datetime) -> bool:
    return Silence(pattern, now, ends).covers(note, now)


def _table(notes: list[Note], attempts: tuple[Attempt, ...], standing: list[Silence], now: datetime) -> pl.DataFrame:
    """Open alerts as rows: every column a program may want, those for people among them."""
    parents = {note.alert_id: note.title for note in notes}
    rows = [
        {
            "alert_id": note.alert_id,
            "severity": note.severity,
            "kind": note.kind,
            "title": note.title,
            "since": note.opened_at,
            "told over": ", ".join(sorted(_reached(note, attempts, "sent"))),
            "waits": _waits(note, attempts, parents, standing, now),
            "fingerprint": note.fingerprint,
            "body": note.body,
            "retailers": list(note.retailers),
            "members": list(note.members),
            "link": note.link,
        }
        for note in notes
    ]
    texts = dict.fromkeys(("link", "waits"), pl.String) | dict.fromkeys(("retailers", "members"), pl.List(pl.String))
    return pl.DataFrame(rows, schema_overrides=texts) if rows else pl.DataFrame()


def _reached(note: Note, attempts: tuple[Attempt, ...], *outcomes: str) -> set[str]:
    return {a.channel for a in attempts if a.alert_id == note.alert_id and a.outcome in outcomes}


def _waits(
    note: Note, attempts: tuple[Attempt, ...], parents: dict[str, str], standing: list[Silence], now: datetime
) -> str | None:
    """Why nobody hears of an alert, or why it is nearly over; None: it is told."""
    if note.parent_id in parents:
        return f"explained by: {parents[note.parent_id]}"
    if covering := [silence for silence in standing if silence.covers(note, now)]:
        return f"silent until {max(silence.until for silence in covering):%Y-%m-%d %H:%M} UTC"
    if failing := _reached(note, attempts, "failed", "sending", "given_up"):
        return f"not delivered over {', '.join(sorted(failing))}"
    return f"gone since {note.cleared_at:%Y-%m-%d %H:%M} UTC, resolved soon" if note.cleared_at else None
