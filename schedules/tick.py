"""The daily tick: closes yesterday for every retailer, so that a day without a file is said to be missing."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from mrs_assets.contracts.calendar import business_day_of
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.partitions import range_tags
from mrs_assets.planning.run_tags import RETAILER_TAG

AFTER_THE_LAST_MIDNIGHT = "30 12 * * *"
"""12:30 UTC: yesterday is over in every time zone."""


def tick_schedule(settings: Settings, job_name: str) -> dg.ScheduleDefinition:
    """One run per retailer, for its last whole trading day."""

    @dg.schedule(
        name="tick",
        job_name=job_name,
        cron_schedule=AFTER_THE_LAST_MIDNIGHT,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Closes yesterday for every retailer: what did not come is recorded as missing.",
    )
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        for name, retailer in sorted(settings.retailers.items()):
            day = business_day_of(context.scheduled_execution_time, retailer) - timedelta(days=1)
            if settings.calendar.last_day is None or day <= settings.calendar.last_day:
                tags = range_tags(Scope(day, day, name)) | {RETAILER_TAG: name}
                yield dg.RunRequest(run_key=f"{name}-{day.isoformat()}", tags=tags)

    return tick
