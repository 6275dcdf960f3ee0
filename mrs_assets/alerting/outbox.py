"""The outbox: what each channel has still to be told, and what its failures mean. Pure.

What must go out is not kept in a queue: it is every alert's newest change worth telling that a subscribed channel was
neither sent nor given up on. A message that failed is tried again as it was, under the same identities; what comes up
behind it waits, and then goes out as one digest. No channel waits for another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from mrs_assets.alerting.condition import Condition, Look, rank
from mrs_assets.alerting.note import Note, by_alert
from mrs_assets.contracts.alerting import CONSOLE, Alerting, Channel

RULE = "undelivered_alerts"


@dataclass(frozen=True)
class Attempt:
    """The newest attempt of one delivery: a row of `alert_deliveries_log`; the columns are described there."""

    delivery_id: str
    attempt: int
    alert_id: str
    change: int
    channel: str
    outcome: str
    message_id: str
    attempted_at: datetime
    retry_at: datetime | None


@dataclass(frozen=True)
class Silence:
    """Fingerprints that nobody wants to hear of for a while; `since` and `until` are instants, UTC."""

    pattern: str
    since: datetime
    until: datetime

    def covers(self, note: Note, at: datetime) -> bool:
        """Whether an alert was silenced at an instant."""
        return self.since <= at < self.until and fnmatchcase(note.fingerprint, self.pattern)


@dataclass(frozen=True)
class Message:
    """What goes out at once over one channel: one change, or a digest of several.

    Attributes:
        message_id: the same at each attempt.
        notes: what it tells of, the most severe first.
        attempt: number of the attempt that is due.
    """

    message_id: str
    channel: str
    notes: tuple[Note, ...]
    attempt: int = 1


def delivery_id(note: Note, channel: str) -> str:
    """Identity of one change on one channel, for whoever drops repetitions."""
    return _hash("D", note.alert_id, str(note.change), channel)


def channels_of(policy: Alerting) -> dict[str, Channel]:
    """The channels there are; without a console among them, one that is told only of channels that fail."""
    return {**policy.channels, CONSOLE: policy.channels.get(CONSOLE, Channel())}


def due(
    name: str,
    policy: Alerting,
    history: Iterable[Note],
    attempts: Iterable[Attempt],
    silences: Sequence[Silence],
    now: datetime,
) -> Message | None:
    """The next message of a channel; None while it has nothing to send or waits for its next try.

    Args:
        name: of the channel.
        policy: who is told what.
        history: of alerts that are open or were resolved lately: newest notes and those that tell.
        attempts: the newest attempt of every delivery of these alerts.
        silences: all that may cover one of them.
        now: the instant; UTC.
    """
    alerts = by_alert(note for note in history if note.tells and _is_subscribed(name, policy, note))
    tries = [attempt for attempt in attempts if attempt.channel == name and attempt.alert_id in alerts]
    waiting = [attempt for attempt in tries if attempt.outcome in ("sending", "failed")]
    if waiting:
        return _again(name, alerts, waiting, now)
    pending = [newest for notes in alerts.values() if (newest := _untold(notes, tries, silences, now)) is not None]
    pending.sort(key=lambda note: (-rank(note.severity), note.noted_at, note.alert_id))
    if not pending:
        return None
    together = pending if channels_of(policy)[name].digest else pending[:1]
    return Message(message_id([delivery_id(note, name) for note in together]), name, tuple(together))


def message_id(delivery_ids: Iterable[str]) -> str:
    """Identity of what goes out together."""
    return _hash("M", *sorted(delivery_ids))


def _again(
    name: str, alerts: Mapping[str, Sequence[Note]], waiting: Sequence[Attempt], now: datetime
) -> Message | None:
    """A message that is under way, as it was; at once where whoever sent it died."""
    oldest = min(waiting, key=lambda attempt: (attempt.attempted_at, attempt.message_id))
    if oldest.retry_at is not None and oldest.retry_at > now:
        return None
    parts = {(a.alert_id, a.change) for a in waiting if a.message_id == oldest.message_id}
    notes = [note for own in alerts.values() for note in own if (note.alert_id, note.change) in parts]
    notes.sort(key=lambda note: (-rank(note.severity), note.noted_at, note.alert_id))
    return Message(oldest.message_id, name, tuple(notes), oldest.attempt + 1) if notes else None


def _untold(notes: Sequence[Note], tries: Sequence[Attempt], silences: Sequence[Silence], now: datetime) -> Note | None:
    """The newest change of an alert that the channel has not been told of and wants to hear.

    Who was told that something began is told that it is over, silence or not; what was over within a silence is not
    told at all.
    """
    newest = notes[-1]
    settled = [attempt for attempt in tries if attempt.alert_id == newest.alert_id]
    if any(attempt.change >= newest.change for attempt in settled):
        return None
    is_over = newest.state == "resolved"
    if is_over and any(attempt.outcome == "sent" for attempt in settled):
        return newest
    at = newest.noted_at if is_over else now
    return None if any(silence.covers(newest, at) for silence in silences) else newest


def _is_subscribed(name: str, policy: Alerting, note: Note) -> bool:
    if note.rule == RULE:
        return name not in note.members and (name == CONSOLE or _wants(policy.channels[name], note))
    return name in policy.channels and _wants(policy.channels[name], note)


def _wants(channel: Channel, note: Note) -> bool:
    limits = (
        (channel.retailers, note.retailers),
        (channel.regions, note.regions),
        (channel.categories, note.categories),
    )
    return (
        note.kind in channel.kinds
        and rank(note.severity) >= rank(channel.minimum_severity)
        and all(not wanted or not of or set(wanted) & set(of) for wanted, of in limits)
    )


def undelivered(policy: Alerting, attempts: Iterable[Attempt]) -> Look:
    """One condition per channel that was given up on and has taken nothing since.

    Args:
        policy: which channels there are.
        attempts: the newest attempt of every delivery of late.
    """
    newest: dict[str, Attempt] = {}
    for attempt in sorted(attempts, key=lambda a: (a.attempted_at, a.message_id, a.delivery_id)):
        if attempt.outcome in ("sent", "given_up"):
            newest[attempt.channel] = attempt
    found = [
        Condition(
            fingerprint=f"channel:{name}",
            rule=RULE,
            kind="operational",
            severity="error",
            title=f"The channel {name} does not take alerts",
            body=(
                f"A message was given up after {last.attempt} tries. The alerts are kept: `mrs alerts` lists those "
                f"that are open. Check the address in its environment variable, then `mrs alerts test {name}`."
            ),
            members=(name,),
        )
        for name, last in sorted(newest.items())
        if name in channels_of(policy) and last.outcome == "given_up"
    ]
    return Look(frozenset({RULE}), tuple(found))


def _hash(prefix: str, *parts: str) -> str:
    return f"{prefix}-{hashlib.sha256(chr(31).join(parts).encode()).hexdigest()[:20]}"
