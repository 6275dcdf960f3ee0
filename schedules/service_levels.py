"""The look at service levels by the clock, so that a feed that stops goes stale while nothing else runs."""

import dagster as dg

EVERY_FIVE_MINUTES = "*/5 * * * *"
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def service_levels_schedule(job_name: str) -> dg.ScheduleDefinition:
    """Every five minutes, one at a time; appends nothing where nothing changed."""

    @dg.schedule(
        name="service_levels",
        job_name=job_name,
        cron_schedule=EVERY_FIVE_MINUTES,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Judges every objective, and publishes what changed.",
    )
    def look(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        waiting = dg.RunsFilter(job_name=job_name, statuses=UNFINISHED)
        if context.instance.get_runs(waiting, limit=1):
            return dg.SkipReason("The last look has not ended.")
        return dg.RunRequest()

    return look
