"""The daily look at whether the world still is what the models learnt."""

import dagster as dg

AFTER_THE_TICK = "15 13 * * *"


def drift_schedule(job_name: str) -> dg.ScheduleDefinition:
    """Each day 13:15 UTC, when yesterday is closed for every retailer."""
    return dg.ScheduleDefinition(
        name="drift",
        job_name=job_name,
        cron_schedule=AFTER_THE_TICK,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Holds the newest days against what the models in force learnt.",
    )
