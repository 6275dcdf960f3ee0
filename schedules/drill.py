"""The weekly drill: on staging, one optional input after the other is taken away and given back."""

import dagster as dg

from mrs_assets.contracts.settings import Settings

MONDAY_NIGHT = "0 2 * * 1"


def drill_schedule(settings: Settings, job_name: str) -> dg.ScheduleDefinition:
    """Mondays 02:00 UTC; runs by itself on staging only, and is refused elsewhere."""
    staging = settings.environment == "staging"
    return dg.ScheduleDefinition(
        name="drill",
        job_name=job_name,
        cron_schedule=MONDAY_NIGHT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING if staging else dg.DefaultScheduleStatus.STOPPED,
        description="Takes one optional input away, confirms what degrades and that it heals. Needs staging.",
    )
