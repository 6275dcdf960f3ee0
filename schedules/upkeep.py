"""The nightly round that keeps a lake quick and small."""

import dagster as dg

AT_NIGHT = "30 3 * * *"


def upkeep_schedule(job_name: str) -> dg.ScheduleDefinition:
    """Each night 03:30 UTC."""
    return dg.ScheduleDefinition(
        name="upkeep",
        job_name=job_name,
        cron_schedule=AT_NIGHT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Flushes, merges, and removes what nobody reads any more.",
    )
