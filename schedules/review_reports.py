"""The cadence by which old conclusions are looked at again."""

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.recall_watch.run import is_due
from mrs_resources.warehouse import Warehouse

AFTER_THE_DRIFT = "45 13 * * *"


def review_schedule(settings: Settings, job_name: str) -> dg.ScheduleDefinition:
    """Each day 13:45 UTC, where any conclusion is due and the main path is healthy and idle."""

    @dg.schedule(
        name="review_reports_scheduler",
        job_name=job_name,
        cron_schedule=AFTER_THE_DRIFT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Looks again at what is old, was never sure, or is settled by now.",
    )
    def review(
        context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.RunRequest | dg.SkipReason:
        due, why = is_due(warehouse, settings)
        return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat()) if due else dg.SkipReason(why)

    return review
