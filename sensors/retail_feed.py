"""Watches the inbox and what was admitted from it: new files are admitted, changed rows are replayed.

Both sensors ask `mrs_assets.planning.intake` what waits, as `mrs tick` does. They keep no cursor: what is done is
recorded in the logs themselves, so a sensor evaluation that fails loses nothing.
"""

from collections.abc import Iterator

import dagster as dg

from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, STAGES, feed_logs
from mrs_assets.planning.intake import admission_requests, replay_plans
from mrs_assets.planning.run_tags import ADMISSION_TAG, admission_tags
from mrs_resources.warehouse import Warehouse
from sensors.plan_runs import attempts, plan_runs

SECONDS_BETWEEN_LOOKS = 30


def retail_feed_sensor(settings: Settings, job_name: str) -> dg.SensorDefinition:
    """Archives new files and asks for a run that admits them."""

    @dg.sensor(
        name="retail_feed",
        job_name=job_name,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Archives what arrives in the inbox, by content, and starts its admission.",
    )
    def look(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        requests = admission_requests(warehouse, settings)
        if not requests:
            yield dg.SkipReason("Nothing new in the inbox.")
        for request in requests:
            attempt = attempts(context.instance, {ADMISSION_TAG: request.request_id})
            if attempt is not None:
                yield dg.RunRequest(
                    run_key=f"{request.request_id}-{attempt}",
                    asset_selection=[dg.AssetKey(name) for name in feed_logs(request.feeds)],
                    tags=admission_tags(request),
                )

    return look


def replay_sensor(settings: Settings, job_name: str) -> dg.SensorDefinition:
    """Plans what the admitted rows touch and asks for one run per rectangle."""

    @dg.sensor(
        name="replay",
        job_name=job_name,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Replays exactly what new, late or corrected rows touch.",
    )
    def look(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        plans = replay_plans(warehouse, settings, FEED_LOGS, STAGES, CLOSING)
        runs = list(plan_runs(context.instance, warehouse, settings, plans))
        if not runs:
            held = ", ".join(plan.plan_id for plan in plans if plan.is_held)
            waits = f"Held for approval: {held}." if held else "What is planned is under way, or failed too often."
            yield dg.SkipReason(waits if plans else "Every admitted row is answered.")
        yield from runs

    return look
