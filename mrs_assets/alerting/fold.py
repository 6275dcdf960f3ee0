"""The fold: what is known of alerts, what was found now, and what follows. No clock, no store, no channel.

An alert opens when its condition is first found. It is resolved when the condition has been gone for the hold-down;
coming back before that is no news. What changes in between is kept, and told only where somebody would act on it: it
is more severe than was ever told, or, once the hold-down has passed since the last word, it grew or shrank by a step
or another conclusion was reached. What an open alert explains is kept and not told. The same look twice changes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from mrs_assets.alerting.condition import Condition, Look, merged, rank
from mrs_assets.alerting.note import Note, by_alert, identity, opening, said
from mrs_assets.contracts.alerting import Alerting

FLAPPING_WINDOW = timedelta(days=1)
"""Openings within it lengthen the hold-down."""

EXPLAINS = timedelta(days=1)
"""How long after an alert opened it explains others that open: what is down for weeks explains nothing new."""


def changes(history: Iterable[Note], look: Look, now: datetime, policy: Alerting) -> list[Note]:
    """The notes that follow from a look, sorted by alert.

    Args:
        history: of every alert that is open or opened within the last day: its newest note and those that were told.
        look: what was found now.
        now: the instant of the look; UTC.
        policy: hold-downs and steps.
    """
    alerts = list(by_alert(history).values())
    standing = {notes[-1].fingerprint: notes for notes in alerts if notes[-1].state != "resolved"}
    openings = _openings(alerts, now)
    found = merged(look.conditions)
    gone = [
        note
        for fingerprint, notes in standing.items()
        if fingerprint not in found and fingerprint not in look.unknown and notes[-1].rule in look.rules
        if (note := _gone(notes, look, now, policy.hold_down(openings.get(fingerprint, 1))))
    ]
    over = {note.fingerprint for note in gone if note.state == "resolved"}
    opened = {name: (notes[-1].alert_id, notes[-1].opened_at) for name, notes in standing.items() if name not in over}
    opened |= {name: (identity(name, now), now) for name in found if name not in opened}
    there = [
        note
        for fingerprint, condition in found.items()
        if (note := _there(standing.get(fingerprint), condition, _parent(condition, opened), now, policy))
    ]
    return sorted([*gone, *there], key=lambda note: note.alert_id)


def _openings(alerts: Sequence[Sequence[Note]], now: datetime) -> dict[str, int]:
    """How often each fingerprint opened lately."""
    counts: dict[str, int] = {}
    for notes in alerts:
        if now - notes[-1].opened_at < FLAPPING_WINDOW:
            counts[notes[-1].fingerprint] = counts.get(notes[-1].fingerprint, 0) + 1
    return counts


def _parent(condition: Condition, opened: Mapping[str, tuple[str, datetime]]) -> str | None:
    """The open alert that explains a condition: one of its parents that did not open long before it."""
    own, since = opened[condition.fingerprint]
    likeliest_first = (name for parent in condition.parents for name in sorted(opened) if fnmatchcase(name, parent))
    for name in likeliest_first:
        alert, began = opened[name]
        if alert != own and since - began <= EXPLAINS:
            return alert
    return None


def _gone(notes: Sequence[Note], look: Look, now: datetime, hold_down: timedelta) -> Note | None:
    """What follows where a condition is not there any more."""
    newest = notes[-1]
    ending = look.endings.get(newest.fingerprint)
    cleared_at = newest.cleared_at or now
    if ending is None and now - cleared_at < hold_down:
        return None if newest.cleared_at else _next(newest, now, state="updated", tells=False, cleared_at=now)
    was_told = any(note.tells for note in notes)
    body = ending or f"Over since {cleared_at:%Y-%m-%d %H:%M} UTC. It was: {newest.body}"
    return _next(newest, now, state="resolved", tells=was_told, cleared_at=cleared_at, body=body)


def _there(
    notes: Sequence[Note] | None, condition: Condition, parent_id: str | None, now: datetime, policy: Alerting
) -> Note | None:
    """What follows where a condition is there."""
    if not notes:
        return opening(condition, now, parent_id)
    newest = notes[-1]
    drawn = replace(
        newest, state="updated", size=condition.measured, parent_id=parent_id, cleared_at=None, **said(condition)
    )
    told = [note for note in notes if note.tells]
    tells = parent_id is None and _is_news(drawn, told, now, policy)
    if not tells and drawn == replace(newest, state="updated"):
        return None
    return replace(drawn, change=newest.change + 1, tells=tells, noted_at=now)


def _is_news(drawn: Note, told: Sequence[Note], now: datetime, policy: Alerting) -> bool:
    """Whether somebody who was told would act on it."""
    if not told:
        return True
    last = told[-1]
    if rank(drawn.severity) > max(rank(note.severity) for note in told):
        return True
    silent = now - last.noted_at
    if drawn.severity == "page" and silent >= timedelta(minutes=policy.repeat_minutes):
        return True
    grew = drawn.size >= last.size * policy.growth_step or drawn.size * policy.growth_step <= last.size
    changed = (grew and drawn.size != last.size) or drawn.conclusion != last.conclusion
    return changed and silent >= timedelta(minutes=policy.hold_down_minutes)


def _next(newest: Note, now: datetime, **different: object) -> Note:
    return replace(newest, change=newest.change + 1, noted_at=now, **different)  # type: ignore[arg-type]
