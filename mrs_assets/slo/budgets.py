"""Error budgets: how much of what may go wrong is left, and how fast it is being spent.

Burn rate is the share that went wrong over the share that may: at 1 a budget lasts exactly its period. Rates and
windows of intraday data are those of the Google SRE workbook, chapter "Alerting on SLOs", table 5-8: a page where 2 %
of a budget of 30 days went in an hour, or 5 % in six hours, a ticket where 10 % went in three days; each only while
the short window burns as well, so that it ends soon after the trouble does. Retailers who send once a day have one
retailer-day a day to judge: for them the same is asked of days.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Literal

import polars as pl

Burn = Literal["none", "slow", "fast"]


@dataclass(frozen=True)
class BurnWindow:
    """A rate at which a budget must not be spent.

    Attributes:
        over: the window that says how much was spent.
        still_over: the window that says that it goes on.
        rate: burn rate in both from which somebody is told.
        burn: `fast` is for a pager, `slow` for a ticket.
    """

    over: timedelta
    still_over: timedelta
    rate: float
    burn: Burn


INTRADAY = (
    BurnWindow(timedelta(hours=1), timedelta(minutes=5), 14.4, "fast"),
    BurnWindow(timedelta(hours=6), timedelta(minutes=30), 6.0, "fast"),
    BurnWindow(timedelta(days=3), timedelta(hours=6), 1.0, "slow"),
)
DAILY = (
    BurnWindow(timedelta(days=2), timedelta(days=1), 7.0, "fast"),
    BurnWindow(timedelta(days=7), timedelta(days=2), 2.0, "slow"),
)
"""Half of a budget of 28 days in two days, or in seven."""


@dataclass(frozen=True)
class Budget:
    """An error budget at one instant.

    Attributes:
        left: share that is left; None: nothing was judged yet. 0 where more was spent than there was.
        burn: whether it is spent too fast.
        rates: window in words → burn rate; None: nothing was judged in it.
    """

    left: float | None
    burn: Burn
    rates: dict[str, float | None]


def budget_of_days(
    judged: pl.DataFrame, now: datetime, share: float, period: timedelta, windows: Sequence[BurnWindow] = DAILY
) -> Budget:
    """The budget of retailer-days that were judged one by one.

    Args:
        judged: columns at (when the retailer-day counts from; UTC) and bad (it missed the objective).
        now: the instant; UTC.
        share: of the retailer-days of a period that may be bad.
        period: how long the budget lasts.
        windows: rates to watch.
    """
    known = list(judged.select("at", "bad").iter_rows())

    def bad_share(length: timedelta) -> float | None:
        inside = [bad for at, bad in known if now - length < at <= now]
        return sum(inside) / len(inside) if inside else None

    return _budget(bad_share, share, period, windows)


def budget_of_time(
    history: pl.DataFrame, now: datetime, share: float, period: timedelta, windows: Sequence[BurnWindow] = INTRADAY
) -> Budget:
    """The budget of time during which an objective may be missed.

    Args:
        history: columns since (when a state began; UTC) and state, any order; the newest state lasts until now.
        now: the instant; UTC.
        share: of the time of a period that may be bad.
        period: how long the budget lasts.
        windows: rates to watch.
    """
    begun = list(history.filter(pl.col("since") <= now).sort("since", maintain_order=True).iter_rows(named=True))
    spans = [
        (row["since"], after["since"] if after else now, row["state"])
        for row, after in zip_longest(begun, begun[1:])
        if row["state"] != "unknown"
    ]

    def bad_share(length: timedelta) -> float | None:
        inside = [(until - max(since, now - length), state) for since, until, state in spans if until > now - length]
        total = sum((took for took, _ in inside), timedelta())
        return sum((took for took, state in inside if state == "breached"), timedelta()) / total if total else None

    return _budget(bad_share, share, period, windows)


def _budget(
    bad_share: Callable[[timedelta], float | None], share: float, period: timedelta, windows: Sequence[BurnWindow]
) -> Budget:
    rates: dict[str, float | None] = {}

    def rate(length: timedelta) -> float | None:
        bad = bad_share(length)
        rates[in_words(length)] = None if bad is None else bad / share
        return rates[in_words(length)]

    reached = [w.burn for w in windows if min(rate(w.over) or 0.0, rate(w.still_over) or 0.0) >= w.rate]
    spent = bad_share(period)
    left = None if spent is None else max(0.0, 1 - spent / share)
    burn: Burn = "fast" if "fast" in reached else "slow" if reached else "none"
    return Budget(left, burn, rates)


def in_words(length: timedelta) -> str:
    """A length of time as people say it."""
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if length.total_seconds() % seconds == 0:
            return f"{length.total_seconds() / seconds:.0f} {unit}"
    return f"{length.total_seconds():.0f} s"
