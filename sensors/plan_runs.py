"""One run per step of a plan, each after the one before it, tried again a few times."""

from collections.abc import Iterator, Sequence

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.intake import announce
from mrs_assets.planning.plan import Plan, Step
from mrs_assets.planning.progress import next_step
from mrs_assets.planning.run_tags import PLAN_TAG, attempt_tags, step_tags
from mrs_resources.warehouse import Warehouse

MAX_ATTEMPTS = 3
"""A plan whose runs failed this often waits for a person: materialise its partitions by hand."""


def plan_runs(
    instance: dg.DagsterInstance, warehouse: Warehouse, settings: Settings, plans: Sequence[Plan]
) -> Iterator[dg.RunRequest]:
    """The next run of each plan that is not held; the plan is recorded before its first."""
    for plan in plans:
        announce(warehouse, plan, settings, STAGES)
        waits = plan.is_held or under_way(instance, {PLAN_TAG: plan.plan_id})
        step = None if waits else _next(instance, warehouse, settings, plan)
        attempt = attempts(instance, attempt_tags(plan, step)) if step else None
        if step is not None and attempt is not None:
            yield dg.RunRequest(
                run_key=f"{'-'.join(attempt_tags(plan, step).values())}-{attempt}",
                asset_selection=[dg.AssetKey(name) for name in step.assets],
                tags=step_tags(plan, step),
            )


def _next(instance: dg.DagsterInstance, warehouse: Warehouse, settings: Settings, plan: Plan) -> Step | None:
    """A recovery's runs come as planned; of a replay it is asked what is left."""
    if plan.purpose == "recovery":
        return next((step for step in plan.steps if not is_done(instance, attempt_tags(plan, step))), None)
    with warehouse.store.looking() as tx:
        return next_step(tx, plan, settings, STAGES, CLOSING)


def attempts(instance: dg.DagsterInstance, tags: dict[str, str]) -> int | None:
    """Number of the next attempt at some work; None while one is under way or after too many failures."""
    if under_way(instance, tags):
        return None
    runs = instance.get_runs(dg.RunsFilter(tags=tags))
    failed = sum(not run.is_success for run in runs)
    return len(runs) if failed < MAX_ATTEMPTS else None


def under_way(instance: dg.DagsterInstance, tags: dict[str, str]) -> bool:
    """Whether a run with these tags has not ended."""
    return any(not run.is_finished for run in instance.get_runs(dg.RunsFilter(tags=tags)))


def is_done(instance: dg.DagsterInstance, tags: dict[str, str]) -> bool:
    """Whether a run with these tags succeeded."""
    return bool(instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1))
