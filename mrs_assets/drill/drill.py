"""A drill: takes one optional input away on staging, confirms the degraded path, gives it back, confirms healing.

Faults are settings of the drill's own runs; nobody else's runs see them. What heals is the planner that the recovery
sensor asks, with a pause so short that the drill need not wait.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

import dagster as dg

from mrs_assets.contracts.errors import MrsError, UserMistake
from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.contracts.resilience import Breakers, Fault
from mrs_assets.contracts.settings import Settings
from mrs_assets.drill.confirmations import (
    Confirmation,
    Observed,
    as_before,
    healed,
    holds_nothing_guessed,
    observed,
    without_it,
)
from mrs_assets.drill.points import Exercise, next_exercise
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.in_process import Build, GraphRunner, Ran
from mrs_assets.partitions import range_tags
from mrs_assets.planning.intake import replay_plans
from mrs_assets.planning.plan import Plan
from mrs_assets.planning.recovery import recovery
from mrs_assets.planning.run_tags import RETAILER_TAG
from mrs_resources.warehouse import Warehouse

DAYS = 7
"""Days with reports that a drill takes, unless told otherwise."""

AT_ONCE = Breakers(pause_minutes=1e-6, longest_pause_minutes=1e-6)
"""What failed in a drill is tried again at once."""


@dataclass
class DrillResult:
    """What a drill came to.

    Attributes:
        exercise: what was taken away.
        began_at: UTC.
        degraded: what was confirmed while the input was gone.
        healed: what was confirmed after it was back.
        restored: what was confirmed after everything was computed again without any fault; nothing where healing had
            done it all.
        seconds: how long each part took.
    """

    exercise: Exercise
    began_at: datetime
    degraded: list[Confirmation] = field(default_factory=list)
    healed: list[Confirmation] = field(default_factory=list)
    restored: list[Confirmation] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether everything was confirmed."""
        return bool(self.degraded and self.healed) and all(c.holds for c in [*self.degraded, *self.healed])


class Drill:
    """One drill on one warehouse.

    Attributes:
        result: what was confirmed so far.
    """

    def __init__(
        self,
        settings: Settings,
        warehouse: Warehouse,
        instance: dg.DagsterInstance,
        build: Build,
        *,
        asked: str | None = None,
        days: int = DAYS,
    ) -> None:
        """Choose what to take away.

        Raises:
            UserMistake: this is not a staging environment, or what is asked for cannot be taken away.
            MrsError: something waits to be computed, which a drill would be mistaken for.
        """
        if settings.environment != "staging":
            raise UserMistake(
                "A drill breaks things on purpose; this environment is in production.",
                remedy='Say environment = "staging" in the feeds.toml of a system that may be broken.',
            )
        self._settings = settings.model_copy(update={"breakers": AT_ONCE})
        self._warehouse, self._instance, self._build = warehouse, instance, build
        began_at = warehouse.clock()
        with warehouse.store.looking() as tx:
            exercise = next_exercise(tx, settings, began_at.date(), asked, days)
        self.result = DrillResult(exercise, began_at)
        self._refuse_while_something_waits()

    def run(self) -> DrillResult:
        """Take it away, look, give it back, look; whatever happens, leave everything as it was.

        Raises:
            MrsError: something made the drill itself impossible; what it changed was computed again.
        """
        exercise, result = self.result.exercise, self.result
        before = self._look()
        try:
            began = time.perf_counter()
            runs = self._compute((*self._settings.faults, exercise.point.fault))
            gone = self._look()
            result.degraded.extend(without_it(exercise, before, gone, runs))
            if exercise.point.want is None:
                with self._warehouse.store.looking() as tx:
                    models = self._warehouse.models
                    result.degraded.append(holds_nothing_guessed(tx, exercise, gone, models, self._settings))
            result.seconds["taking it away"] = time.perf_counter() - began
            began = time.perf_counter()
            plans, runs = self._heal()
            result.healed.extend(healed(exercise, before, self._look(), plans, runs))
            result.seconds["healing"] = time.perf_counter() - began
        finally:
            self._restore(before)
        return result

    def _refuse_while_something_waits(self) -> None:
        changed = replay_plans(self._warehouse, self._settings, FEED_LOGS, STAGES, CLOSING)
        degraded = recovery(self._warehouse, self._settings, STAGES, CLOSING, ()).plans
        if changed or degraded:
            raise MrsError(
                "Something waits to be computed; a drill would be mistaken for it.",
                remedy="`mrs plan` shows it; `mrs tick` computes it. Then drill again.",
            )

    def _look(self) -> Observed:
        with self._warehouse.store.looking() as tx:
            return observed(tx, self.result.exercise, self._settings)

    def _runner(self, settings: Settings) -> GraphRunner:
        return GraphRunner(self._build(settings, self._warehouse), self._warehouse, settings, self._instance)

    def _compute(self, faults: tuple[Fault, ...]) -> list[Ran]:
        """Compute what the exercise is about, under some faults."""
        runner = self._runner(self._settings.model_copy(update={"faults": faults}))
        steps = self.result.exercise.steps
        own = {RETAILER_TAG: self.result.exercise.retailer}
        return [runner.run(step.assets, range_tags(step.scope) | own) for step in steps]

    def _heal(self) -> tuple[list[Plan], list[Ran]]:
        """Do what the recovery planner says, as often as it can take to mend every day."""
        exercise, runner = self.result.exercise, self._runner(self._settings)
        plans: list[Plan] = []
        runs: list[Ran] = []
        for _ in range(1 + len(exercise.days) // self._settings.recovery.days_at_once + 1):
            found = recovery(self._warehouse, self._settings, STAGES, CLOSING, ()).plans
            for plan in found:
                plans.append(plan)
                runs.extend(runner.carry_out(plan))
            if not found:
                break
        return plans, runs

    def _restore(self, before: Observed) -> None:
        """Where something is not as it was, compute it again without any fault, those of the settings included."""
        if all(confirmed.holds for confirmed in as_before(before, self._look())):
            return
        began = time.perf_counter()
        self._compute(())
        self.result.restored.extend(as_before(before, self._look()))
        self.result.seconds["restoring"] = time.perf_counter() - began
