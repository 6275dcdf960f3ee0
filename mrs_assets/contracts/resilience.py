"""How much failure is borne, and for how long: limits, retries, breakers, and faults on purpose."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from mrs_assets.contracts.section import Section

Environment = Literal["production", "staging"]
FaultAction = Literal["drop", "delay", "corrupt", "raise", "kill", "exhaust"]


class Isolation(Section):
    """Limits of a stage that runs in a process of its own: `[isolation]`.

    Attributes:
        seconds: how long it may compute.
        memory_mb: how much memory it may hold, MiB.
    """

    seconds: float = Field(default=900, gt=0)
    memory_mb: int = Field(default=8192, ge=512)


class Retries(Section):
    """What is done again at once, where doing it again can help: `[retries]`.

    Attributes:
        attempts: tries altogether, the first included.
        first_pause_seconds, longest_pause_seconds: the pause doubles from the first to the longest, with jitter.
        budget_seconds: no further try begins after this.
    """

    attempts: int = Field(default=3, ge=1, le=10)
    first_pause_seconds: float = Field(default=0.5, ge=0)
    longest_pause_seconds: float = Field(default=10, ge=0)
    budget_seconds: float = Field(default=60, ge=0)


class Breakers(Section):
    """When something that keeps failing is left alone: `[breakers]`.

    Attributes:
        failures: failures in a row that open a breaker.
        pause_minutes: how long it stays open; doubles with every probe that fails.
        longest_pause_minutes: the longest it stays open.
    """

    failures: int = Field(default=3, ge=1)
    pause_minutes: float = Field(default=5, gt=0)
    longest_pause_minutes: float = Field(default=240, gt=0)

    def pause(self, failed_again: int) -> timedelta:
        """How long something is left alone that failed so many times more after it was left alone first."""
        return timedelta(minutes=min(self.pause_minutes * 2 ** min(failed_again, 30), self.longest_pause_minutes))


class Recovery(Section):
    """How much of what was degraded is computed again at once: `[recovery]`.

    Attributes:
        days_at_once: most days of one retailer in one plan; the others wait for the next.
        overdue_minutes: how long something may wait although nothing stands in its way before a check says so.
    """

    days_at_once: int = Field(default=31, ge=1)
    overdue_minutes: float = Field(default=60, gt=0)


class Replays(Section):
    """Which corrections wait for a person: `[replays]`. None does unless a limit is set.

    Attributes:
        hold_above_reports: most live reports that a replay may put in question by itself.
        hold_above_impact: most money that these may hold.
    """

    hold_above_reports: int | None = Field(default=None, ge=0)
    hold_above_impact: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class Drift(Section):
    """From when on the world is said to differ from what a model learnt: `[drift]`.

    Attributes:
        days: newest days that are looked at.
        least_rows, least_reports: rows, and reports, under which nothing is judged.
        most_shift: largest population stability index of a main input.
        most_bias: largest mean residual of quiet days, in standard deviations, either way.
        most_miscalibration: how far the share of quiet days outside of their 80 % interval may lie from 20 %.
        most_without_history: largest share of expectations for which there was too little history.
        most_unclustered: largest share of reports that no cluster is near.
        most_unknown: largest share of reports without a likely cause.
    """

    days: int = Field(default=28, ge=1)
    least_rows: int = Field(default=500, ge=1)
    least_reports: int = Field(default=20, ge=1)
    most_shift: float = Field(default=0.25, gt=0)
    most_bias: float = Field(default=0.25, gt=0)
    most_miscalibration: float = Field(default=0.08, gt=0, le=0.8)
    most_without_history: float = Field(default=0.3, ge=0, le=1)
    most_unclustered: float = Field(default=0.7, ge=0, le=1)
    most_unknown: float = Field(default=0.9, ge=0, le=1)


class Fault(Section):
    """One failure on purpose: `[[faults]]`; refused unless `environment = "staging"`.

    Attributes:
        point: where: a stage, such as `minority_reports_clustered_log`; one of its wants, such as
            `minority_reports_proposed_attribution_log.promotions`; or the admission of an optional feed, such as
            `promotions_feed`.
        action: what: `drop` (the want is not there), `delay`, `corrupt` (the answer is out of order),
            `raise`, `kill` (with -9), `exhaust` (takes memory until it is refused).
        seconds: length of a delay.
    """

    point: str
    action: FaultAction
    seconds: float = Field(default=0, ge=0)
