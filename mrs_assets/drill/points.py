"""What a drill can take away: the optional inputs of stages, and stages that may fail; and which is next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from mrs_assets.contracts.errors import UnknownName, UserMistake
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.resilience import Fault
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.ledger import known_days
from mrs_assets.planning.plan import Step, steps_over
from mrs_assets.planning.reach import Days, reach, runs_of
from mrs_assets.planning.standing import Standing
from mrs_resources.liveness import down_from, is_configured
from mrs_resources.log_store import EVER, Transaction
from mrs_resources.model_store import active_model

DAYS_A_WEEK = 7


@dataclass(frozen=True)
class Point:
    """One thing that the graph can do without.

    Attributes:
        stage: the stage that wants it, or that is it.
        want: the want's name; None where the stage itself is made to fail.
    """

    stage: Stage
    want: str | None = None

    @property
    def name(self) -> str:
        """As `[[faults]]` names it."""
        return self.stage.name if self.want is None else f"{self.stage.name}.{self.want}"

    @property
    def reason(self) -> str:
        """What rows say that went without it."""
        return self.stage.down if self.want is None else self.stage.wants[self.want].reason

    @property
    def fault(self) -> Fault:
        """What takes it away."""
        return Fault(point=self.name, action="raise" if self.want is None else "drop")


POINTS: tuple[Point, ...] = (
    *(Point(stage, want) for stage in STAGES for want in stage.wants),
    *(Point(stage) for stage in STAGES if not stage.critical),
)
"""Everything that a drill can take away, in the order in which the rotation takes it."""


@dataclass(frozen=True)
class Exercise:
    """One drill to be done.

    Attributes:
        point: what is taken away.
        retailer: from whom.
        days: on which days; they have reports.
        spans: stretches of days for which the stage is computed.
        steps: runs that compute it for these, and all that feels it.
    """

    point: Point
    retailer: str
    days: tuple[date, ...]
    spans: tuple[Days, ...]
    steps: tuple[Step, ...]

    @property
    def first_day(self) -> date:
        """First day that may change: nothing before it is computed."""
        return min(step.scope.first_day for step in self.steps)

    @property
    def affected(self) -> pl.Expr:
        """Which rows of the stage's logs are to be flagged."""
        within = pl.any_horizontal(pl.col("business_day").is_between(*span) for span in self.spans)
        return within if self.point.stage.span == "everything" else within & (pl.col("retailer") == self.retailer)

    def names(self, item: Standing) -> bool:
        """Whether an item of the standing list is about what was taken away here."""
        logs = {log.name for log in self.point.stage.writes}
        about = item.log in logs and item.reason == self.point.reason
        return about and (item.retailer == self.retailer or self.point.stage.span == "everything")


def next_exercise(tx: Transaction, settings: Settings, today: date, asked: str | None, days: int) -> Exercise:
    """The point that was asked for, or the one whose turn it is this week, on a retailer's newest days with reports.

    The rotation goes through every pair of a point and a retailer for which it is there to be taken away, one a week.

    Args:
        tx: where the logs are.
        settings: what is configured.
        today: decides whose turn it is.
        asked: a point's name; None for the rotation.
        days: at most so many days.

    Raises:
        UnknownName: there is no such point.
        UserMistake: there are no reports yet, or the point is not there to be taken away.
    """
    points = [point for point in POINTS if asked in (None, point.name)]
    if not points:
        raise UnknownName(f"No stage wants {asked!r}.", remedy=f"Inputs: {', '.join(p.name for p in POINTS)}.")
    with_reports = {name: found[-days:] for name in sorted(settings.retailers) if (found := _report_days(tx, name))}
    if not with_reports:
        raise UserMistake("No retailer has a report to drill on.", remedy="`mrs tick` with sales in the inbox first.")
    there = [
        (point, name)
        for point in points
        for name, found in with_reports.items()
        if _is_there(tx, settings, point, name, found[-1])
    ]
    if not there:
        raise UserMistake(
            f"{asked or 'Nothing optional'} is not there, so that it cannot be taken away.",
            remedy="Configure the feed and send a file, or approve a model, first.",
        )
    point, retailer = there[today.toordinal() // DAYS_A_WEEK % len(there)]
    chosen = with_reports[retailer]
    spans = runs_of(chosen, tx.days_with_rows(point.stage.writes[0], retailer))
    felt = reach({point.stage.name: spans}, STAGES, known_days(tx, settings)[retailer].last_day)
    steps = steps_over(felt, (), STAGES, CLOSING, retailer)
    return Exercise(point, retailer, tuple(chosen), tuple(spans), tuple(steps))


def _report_days(tx: Transaction, retailer: str) -> list[date]:
    rows = tx.live(DETECTED, Scope(EVER.first_day, EVER.last_day, retailer))
    return sorted(set(rows["business_day"].to_list()))


def _is_there(tx: Transaction, settings: Settings, point: Point, retailer: str, day: date) -> bool:
    """Whether a point can be missed: a stage always, a feed that spoke, a model in force, a log of an earlier stage."""
    if point.want is None:
        return True
    want = point.stage.wants[point.want]
    if want.log is None:
        return active_model(tx, str(want.model)) is not None
    contract = want.log.contract
    whose = None if point.stage.span == "everything" else retailer
    computed = any(contract in stage.writes for stage in STAGES)
    return computed or (is_configured(contract, settings, whose) and day < down_from(tx, contract, settings, whose))
