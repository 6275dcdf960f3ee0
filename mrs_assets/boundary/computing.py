"""Computes a stage so that its failure stays its own: isolated, retried where that helps, replaced where it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mrs_assets.boundary.answers import Answers, matched
from mrs_assets.boundary.faults import asked_at, out_of_order, strike
from mrs_assets.contracts.errors import MrsError, StageFailed
from mrs_assets.contracts.stage import Frames, Inputs, Stage
from mrs_resources.isolation import WORKER
from mrs_resources.retrying import with_retries

NOTHING_WRITTEN = "Nothing was written; earlier rows stand. Mend the cause and materialise the partition again."


@dataclass(frozen=True)
class Computed:
    """What computing one part of a stage came to.

    Attributes:
        inputs: what the rows rest on in the end: wants that made the stage fail are missing in it.
        answers: the rows.
        error: why the stage fell back, or had to be computed without its wants; None where all went well.
        down: the rows are those of the fallback.
    """

    inputs: Inputs
    answers: Answers
    error: Exception | None = None
    down: bool = False


class Computer:
    """Computes stages.

    Attributes:
        sleep: how to pause between tries.
    """

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self.sleep = sleep

    def compute(self, stage: Stage, inputs: Inputs) -> Computed:
        """Rows of a stage, its fallback's where it has one and fails.

        A critical stage that fails is computed again without what it only wants: first without models, then without
        anything.

        Raises:
            StageFailed: a critical stage could not even compute from its needs.
        """
        return self._critical(stage, inputs) if stage.critical else self._isolated(stage, inputs)

    def fallen(self, stage: Stage, inputs: Inputs, error: Exception) -> Computed:
        """The rows of a stage's fallback."""
        assert stage.fallback is not None
        return Computed(inputs, Answers(stage.fallback(inputs)), error, down=True)

    def _isolated(self, stage: Stage, inputs: Inputs) -> Computed:
        limits = inputs.settings.isolation
        try:
            frames = with_retries(
                lambda: WORKER.run(limits, compute_here, stage.name, stage.compute, inputs),
                inputs.settings.retries,
                sleep=self.sleep,
            )
            if "corrupt" in asked_at(inputs.settings, stage.name):
                frames = out_of_order(frames, stage.writes[0].name)
            return Computed(inputs, matched(stage, inputs, frames))
        except Exception as error:
            return self.fallen(stage, inputs, error)

    def _critical(self, stage: Stage, inputs: Inputs) -> Computed:
        models = {name: want for name, want in stage.wants.items() if want.model in inputs.models}
        tries = [inputs]
        tries += [inputs.withholding(wants) for wants in (models, dict(stage.wants)) if wants]
        first: Exception | None = None
        for poorer in tries:
            try:
                return Computed(poorer, Answers(compute_here(stage.name, stage.compute, poorer)), first)
            except Exception as error:
                first = first or error
        assert first is not None
        known = f"{first}" if isinstance(first, MrsError) else f"{type(first).__name__}: {first}"
        raise StageFailed(
            f"{stage.name} could not be computed for {inputs.scope.first_day} to {inputs.scope.last_day}: {known}.",
            remedy=NOTHING_WRITTEN,
        ) from first


def compute_here(name: str, compute: Callable[[Inputs], Frames], inputs: Inputs) -> Frames:
    """Compute in the process that this is called in; faults on purpose strike here."""
    strike(inputs.settings, name)
    return compute(inputs)
