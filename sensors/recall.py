"""Watches for reasons to doubt a past report; yields to everything that the main path has to do."""

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.recall.table import EVENT_DRIVEN
from mrs_assets.recall_asset import TRIGGERS_TAG
from mrs_assets.recall_watch.run import is_due
from mrs_assets.under_way import is_under_way
from mrs_resources.warehouse import Warehouse

SECONDS_BETWEEN_LOOKS = 300


def recall_sensor(settings: Settings, job_name: str) -> dg.SensorDefinition:
    """Asks for a run of recall where something happened, or where reports wait, and nothing else is under way."""

    @dg.sensor(
        name="recall",
        job_name=job_name,
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Looks again at past reports that something gave reason to doubt, while the main path is idle.",
    )
    def look(
        context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.RunRequest | dg.SkipReason:
        if is_under_way(context.instance):
            return dg.SkipReason("Other runs are under way.")
        due, why = is_due(warehouse, settings, tuple(EVENT_DRIVEN))
        return dg.RunRequest(tags={TRIGGERS_TAG: ",".join(EVENT_DRIVEN)}) if due else dg.SkipReason(why)

    return look
