"""Looks after alerts between the runs of the graph: red runs, failed checks, sensors that fail; delivery; heartbeat."""

from collections.abc import Collection, Iterable

import dagster as dg

from mrs_assets.alert_watch.look import look_after_alerts
from mrs_assets.contracts.settings import Settings
from mrs_resources.warehouse import Warehouse

SECONDS_BETWEEN_LOOKS = 30


def alerts_sensor(
    settings: Settings, checks: Iterable[dg.AssetCheckKey], sensors: Collection[str]
) -> dg.SensorDefinition:
    """Delivers alerts, and raises those that only the orchestrator knows of.

    Args:
        settings: limits and channels.
        checks: every check of the graph.
        sensors: the other sensors, which are to keep looking.
    """
    known = sorted(checks, key=str)

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Delivers alerts, raises those that only Dagster knows of, and leaves a heartbeat. Starts no run.",
    )
    def look(context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.SkipReason:
        done = look_after_alerts(
            context.instance, warehouse, settings, by="alerts", checks=known, sensors=sensors, write=context.log.info
        )
        told = ", ".join(f"{count} {outcome} over {channel}" for (channel, outcome), count in sorted(done.items()))
        return dg.SkipReason(told or "Nothing to tell.")

    return look
