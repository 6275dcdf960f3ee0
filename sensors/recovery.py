"""Watches what is degraded: what can be computed again, because nothing stands in its way any more, is."""

from collections.abc import Iterator

import dagster as dg

from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.intake import replay_plans
from mrs_assets.planning.recovery import recovery
from mrs_resources.warehouse import Warehouse
from sensors.plan_runs import plan_runs

SECONDS_BETWEEN_LOOKS = 60


def recovery_sensor(settings: Settings, job_name: str) -> dg.SensorDefinition:
    """Computes degraded partitions again once their cause is gone."""

    @dg.sensor(
        name="recovery",
        job_name=job_name,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Keeps the list of degraded partitions and computes those again whose cause is gone.",
    )
    def look(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        changed = replay_plans(warehouse, settings, FEED_LOGS, STAGES, CLOSING)
        found = recovery(warehouse, settings, STAGES, CLOSING, {plan.scope.retailer for plan in changed})
        if not found.plans:
            waiting = ", ".join(sorted({f"{item.reason} of {item.retailer}" for item in found.standing}))
            yield dg.SkipReason(f"Nothing can be mended yet: {waiting}." if waiting else "Nothing is degraded.")
        yield from plan_runs(context.instance, warehouse, settings, found.plans)

    return look
