"""The look at service levels by the clock, so that a feed that stops goes stale while nothing else runs."""

import dagster as dg

EVERY_FIVE_MINUTES = "*/5 * * * *"


def service_levels_schedule(job_name: str) -> dg.ScheduleDefinition:
    """Every five minutes; appends nothing where nothing changed."""
    return dg.ScheduleDefinition(
        name="service_levels",
        job_name=job_name,
        cron_schedule=EVERY_FIVE_MINUTES,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Judges every objective, and publishes what changed.",
    )
