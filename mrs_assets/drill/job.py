"""The drill as a Dagster job: what `mrs drill` does by hand, with the report as the run's metadata."""

from typing import Any

import dagster as dg

from mrs_assets.contracts.settings import Settings
from mrs_assets.drill.drill import Drill
from mrs_assets.drill.report import drill_report, write_report
from mrs_assets.in_process import Build
from mrs_resources.warehouse import Warehouse


def drill_job(settings: Settings, build: Build) -> dg.JobDefinition:
    """One op that drills on the input whose turn it is; a drill that fails is a failed run.

    Args:
        settings: what `feeds.toml` says.
        build: assembles the graph that is drilled.
    """

    @dg.op(description="Takes one optional input away, confirms what degrades and that it heals.")
    def take_away_and_give_back(context: dg.OpExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> None:
        result = Drill(settings, warehouse, context.instance, build).run()
        text = drill_report(result)
        file = write_report(settings.home, result.began_at, result.exercise.point.name, text)
        told: dict[str, Any] = {
            "report": dg.MetadataValue.md(text),
            "file": dg.MetadataValue.path(file),
            "passed": result.passed,
        }
        if not result.passed:
            raise dg.Failure(f"The drill failed: {result.exercise.point.name}", metadata=told, allow_retries=False)
        context.add_output_metadata(told)

    @dg.job(name="drill", description="Takes one optional input away on staging, by turns. See docs/how-to/drills.md.")
    def drill() -> None:
        take_away_and_give_back()

    return drill
