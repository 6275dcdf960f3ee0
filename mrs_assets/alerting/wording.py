"""How a message reads: title and text, plain words that every channel can carry."""

from __future__ import annotations

from collections import Counter

from mrs_assets.alerting.note import Note
from mrs_assets.alerting.outbox import Message

WORDS = {"open": "open", "updated": "changed", "resolved": "resolved"}
SHOWN = 40
"""Alerts of a digest that are told in full sentences; the others are counted."""


def title(message: Message) -> str:
    """One line: the alert, or how many there are in a digest."""
    first = message.notes[0]
    if len(message.notes) == 1:
        return f"[{_word(first)}] {first.title}"
    counts = Counter(WORDS[note.state] for note in message.notes)
    told = ", ".join(f"{counts[word]} {word}" for word in WORDS.values() if counts[word])
    return f"[{first.severity}] {len(message.notes)} alerts: {told}"


def text(message: Message) -> str:
    """The alert, or every alert of a digest, the most severe first."""
    if len(message.notes) == 1:
        (note,) = message.notes
        return "\n\n".join(filter(None, [note.body, _facts(note)]))
    lines = [f"[{_word(note)}] {note.title}\n{note.body}\n{_facts(note)}" for note in message.notes[:SHOWN]]
    if len(message.notes) > SHOWN:
        lines.append(f"And {len(message.notes) - SHOWN} more: `mrs alerts`.")
    return "\n\n".join(lines)


def _word(note: Note) -> str:
    return "resolved" if note.state == "resolved" else f"{note.severity}, {WORDS[note.state]}"


def _facts(note: Note) -> str:
    facts = [f"since {note.opened_at:%Y-%m-%d %H:%M} UTC", f"silence: {note.fingerprint}", note.alert_id]
    return " · ".join([*facts, *([note.link] if note.link else [])])
