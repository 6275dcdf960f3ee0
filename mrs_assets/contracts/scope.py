"""The part of the key space that a computation answers for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta


@dataclass(frozen=True)
class Scope:
    """A rectangle of retailers × business days × stores, both days included.

    Attributes:
        first_day, last_day: business days of the retailer.
        retailer: one retailer, or None for all of them.
        stores: some stores, or None for all of them.
        subjects: some reports or events, by the first column of a log's key; None for all of them.
        complete: the frame offered with this scope is the whole truth for it, so that a live key that the
            frame does not hold is retracted. False where the frame only adds and updates.
        whole: columns; the frame is the whole truth of each combination of their values that it has a row of, where no
            row of it was refused.
    """

    first_day: date
    last_day: date
    retailer: str | None = None
    stores: tuple[str, ...] | None = None
    subjects: tuple[str, ...] | None = None
    complete: bool = True
    whole: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.first_day > self.last_day:
            raise ValueError(f"scope ends ({self.last_day}) before it begins ({self.first_day})")

    def __str__(self) -> str:
        stores = "" if self.stores is None else f", {len(self.stores)} stores"
        return f"{self.first_day} to {self.last_day}{stores}"

    @property
    def days(self) -> Sequence[date]:
        """Every business day of the scope, in order."""
        return [self.first_day + timedelta(days=n) for n in range((self.last_day - self.first_day).days + 1)]

    def widened(self, before: int = 0, after: int = 0) -> Scope:
        """The scope with more days at its ends."""
        return replace(
            self, first_day=self.first_day - timedelta(days=before), last_day=self.last_day + timedelta(days=after)
        )
