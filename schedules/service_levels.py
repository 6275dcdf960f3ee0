"""The look at service levels by the clock, so that a feed that stops goes stale while nothing else runs."""

from datetime import datetime, timedelta

import dagster as dg

from mrs_assets.under_way import is_under_way

EVERY_FIVE_MINUTES = "*/5 * * * *"
KEPT = timedelta(days=7)
"""How long Dagster remembers a look that went well; what it found is in the logs."""

FORGOTTEN_AT_ONCE = 20


def service_levels_schedule(job_name: str) -> dg.ScheduleDefinition:
    """Every five minutes, one at a time; appends nothing where nothing changed.

    At 288 runs a day the instance would fill up with looks that found nothing new, so that old ones are deleted.
    """

    @dg.schedule(
        name="service_levels",
        job_name=job_name,
        cron_schedule=EVERY_FIVE_MINUTES,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Judges every objective, and publishes what changed.",
    )
    def look(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if is_under_way(context.instance, job_name):
            return dg.SkipReason("The last look has not ended.")
        _forget(context.instance, job_name, context.scheduled_execution_time - KEPT)
        return dg.RunRequest()

    return look


def _forget(instance: dg.DagsterInstance, job_name: str, before: datetime) -> None:
    old = dg.RunsFilter(job_name=job_name, statuses=[dg.DagsterRunStatus.SUCCESS], created_before=before)
    for run in instance.get_runs(old, limit=FORGOTTEN_AT_ONCE, ascending=True):
        instance.delete_run(run.run_id)
