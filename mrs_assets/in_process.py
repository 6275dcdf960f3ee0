"""Runs assets of the graph in this process, one run after the other, and says what came of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.intake import announce
from mrs_assets.planning.plan import Plan, Step
from mrs_assets.planning.progress import next_step
from mrs_assets.planning.run_tags import step_tags
from mrs_resources.warehouse import Warehouse

Build = Callable[[Settings, Warehouse], dg.Definitions]
"""Assembles the graph."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run configuration under which Dagster keeps its events to the instance."""


@dataclass(frozen=True)
class Ran:
    """What one run did.

    Attributes:
        success: whether it is green.
        checks: every check's result.
        failed: assets that failed, with their error.
        appended: rows appended, per log.
    """

    success: bool
    checks: tuple[dg.AssetCheckEvaluation, ...]
    failed: tuple[str, ...]
    appended: Mapping[str, int]


def listed(check: dg.AssetCheckEvaluation, name: str) -> tuple[str, ...]:
    """A list in a check's metadata; nothing where the check does not tell it."""
    told = check.metadata.get(name)
    return tuple(map(str, told.value)) if told is not None and isinstance(told.value, list) else ()


class GraphRunner:
    """Runs assets on one instance.

    Attributes:
        warehouse: where their rows go.
        checks: every check of the graph.
    """

    def __init__(
        self, definitions: dg.Definitions, warehouse: Warehouse, settings: Settings, instance: dg.DagsterInstance
    ) -> None:
        self.warehouse = warehouse
        self._settings = settings
        self._instance = instance
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self.checks = sorted(self._job.asset_layer.asset_graph.asset_check_keys, key=str)

    def run(self, assets: Sequence[str], tags: Mapping[str, str]) -> Ran:
        """Materialise some assets; a failure is in the result."""
        run = self._job.execute_in_process(
            instance=self._instance,
            asset_selection=[dg.AssetKey(name) for name in assets],
            tags=dict(tags),
            raise_on_error=False,
            run_config=QUIET,
        )
        failed = []
        for event in run.get_step_failure_events():
            error = event.step_failure_data.error
            cause = (error.cause or error) if error else None
            failed.append(f"{event.step_key}: {cause.message.strip() if cause else 'failed'}")
        with self.warehouse.store.looking() as tx:
            appended = tx.written_by(run.run_id)
        return Ran(run.success, tuple(run.get_asset_check_evaluations()), tuple(failed), appended)

    def carry_out(self, plan: Plan) -> list[Ran]:
        """Record a plan and run its steps, as far as they succeed."""
        announce(self.warehouse, plan, self._settings, STAGES)
        done: list[Ran] = []
        for step in self._steps(plan):
            done.append(self.run(step.assets, step_tags(plan, step)))
            if not done[-1].success:
                break
        return done

    def _steps(self, plan: Plan) -> Iterator[Step]:
        """A recovery's runs as planned; of a replay, what is left after each run, up to the one that ends it."""
        if plan.purpose == "recovery":
            yield from plan.steps
            return
        ended = False
        while not ended:
            with self.warehouse.store.looking() as tx:
                step = next_step(tx, plan, self._settings, STAGES, CLOSING)
            yield step
            ended = set(CLOSING.state) <= set(step.assets)
