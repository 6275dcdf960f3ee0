"""One run per rectangle of a plan, each after the one before it, tried again a few times."""

from collections.abc import Iterator, Sequence

import dagster as dg

from mrs_assets.planning.intake import record_planned
from mrs_assets.planning.plan import Plan
from mrs_assets.planning.run_tags import PLAN_TAG, STEP_TAG, step_tags
from mrs_resources.warehouse import Warehouse

MAX_ATTEMPTS = 3
"""A plan whose runs failed this often waits for a person: materialise its partitions by hand."""


def plan_runs(instance: dg.DagsterInstance, warehouse: Warehouse, plans: Sequence[Plan]) -> Iterator[dg.RunRequest]:
    """The next run of each plan; the plan is recorded before its first."""
    for plan in plans:
        for number, step in enumerate(plan.steps):
            tags = {PLAN_TAG: plan.plan_id, STEP_TAG: str(number)}
            if is_done(instance, tags):
                continue
            attempt = attempts(instance, tags)
            if attempt is not None:
                record_planned(warehouse, plan)
                yield dg.RunRequest(
                    run_key=f"{plan.plan_id}-{number}-{attempt}",
                    asset_selection=[dg.AssetKey(name) for name in step.assets],
                    tags=step_tags(plan, number),
                )
            break  # the next step waits for this one


def attempts(instance: dg.DagsterInstance, tags: dict[str, str]) -> int | None:
    """Number of the next attempt at some work; None while one is under way or after too many failures."""
    runs = instance.get_runs(dg.RunsFilter(tags=tags))
    if any(not run.is_finished for run in runs):
        return None
    failed = sum(not run.is_success for run in runs)
    return len(runs) if failed < MAX_ATTEMPTS else None


def is_done(instance: dg.DagsterInstance, tags: dict[str, str]) -> bool:
    """Whether a run with these tags succeeded."""
    return bool(instance.get_runs(dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1))
