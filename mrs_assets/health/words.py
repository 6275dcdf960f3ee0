"""How figures of health are written for people: durations, shares and instants; what is not known is a dash."""

from __future__ import annotations

from datetime import date, datetime

UNKNOWN = "–"


def duration(minutes: float | None) -> str:
    """Minutes in the unit that suits them."""
    if minutes is None:
        return UNKNOWN
    for longest, length, unit in ((2, 1 / 60, "s"), (120, 1, "min"), (60 * 48, 60, "h")):
        if minutes < longest:
            return f"{_short(minutes / length)} {unit}"
    return f"{_short(minutes / (60 * 24))} d"


def share(value: float | None) -> str:
    """A share in per cent; small ones with the digits that tell them from none."""
    if value is None:
        return UNKNOWN
    percent = value * 100
    return f"{percent:.2f} %" if 0 < abs(percent) < 1 else f"{_short(percent)} %"


def amount(value: float | None, unit: str) -> str:
    """A value in the unit of an objective: `minutes`, `hours`, `share` or `count`."""
    if unit in ("minutes", "hours"):
        return duration(None if value is None else value * (60 if unit == "hours" else 1))
    if unit == "share":
        return share(value)
    return count(value)


def count(value: float | None) -> str:
    """A number of things, with thousands apart."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def instant(moment: datetime | date | None) -> str:
    """An instant to the second, UTC; a day as it is."""
    if moment is None:
        return UNKNOWN
    return f"{moment:%Y-%m-%d %H:%M:%S}" if isinstance(moment, datetime) else f"{moment:%Y-%m-%d}"


def several(number: int, one: str, many: str) -> str:
    """A number with its noun and verb in the right form."""
    return f"{number} {one if number == 1 else many}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}".removesuffix(".0")
