"""Conditions made up for a test, and days full of faults."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mrs_assets.alerting.condition import Condition, Look
from mrs_assets.alerting.fold import changes
from mrs_assets.alerting.note import Note
from mrs_assets.contracts.alerting import Alerting, Severity

MORNING = datetime(2024, 6, 1, 6, tzinfo=UTC)
RULE = "made_up"


def condition(name: str, severity: Severity = "warn", **other: Any) -> Condition:
    told: dict[str, Any] = {"title": f"{name} is down", "body": f"{name} failed."} | other
    return Condition(fingerprint=name, rule=RULE, kind="operational", severity=severity, **told)


def look(*conditions: Condition, **other: Any) -> Look:
    return Look(frozenset({RULE}), conditions, **other)


class Told:
    """A history that grows look by look, every note of it kept.

    Attributes:
        notes: all of them.
        fresh: those of the last look.
    """

    def __init__(self, policy: Alerting | None = None) -> None:
        self.policy = policy or Alerting()
        self.notes: list[Note] = []
        self.fresh: list[Note] = []

    def look(self, minute: float, *conditions: Condition, **other: Any) -> list[Note]:
        now = MORNING + timedelta(minutes=minute)
        self.fresh = changes(self.notes, look(*conditions, **other), now, self.policy)
        self.notes += self.fresh
        return self.fresh

    @property
    def told(self) -> list[Note]:
        return [note for note in self.notes if note.tells]


def fault_day(seed: int) -> Iterator[tuple[int, Sequence[Condition]]]:
    """A day of looks, five minutes apart: causes that come and go, each with all that it breaks.

    Yields:
        (minute, raw conditions: one per log and partition that a cause degrades).
    """
    drawn = random.Random(seed)  # noqa: S311 - faults, not secrets
    causes = []
    for n in range(drawn.randint(2, 6)):
        begins, lasts = drawn.randrange(0, 1200), drawn.randrange(20, 400)
        causes.append((f"feed{n}", begins, begins + lasts, drawn.randint(1, 6), drawn.randint(1, 20)))
    for minute in range(0, 1440, 5):
        found = []
        for name, begins, ends, logs, days in causes:
            if begins <= minute < ends and drawn.random() > 0.1:
                members = [f"log{log}" for log in range(logs)]
                found += [condition(f"missing:{name}", members=(log,), size=float(days)) for log in members * days]
                found.append(condition(f"coverage:{name}", parents=(f"missing:{name}",)))
        yield minute, found
