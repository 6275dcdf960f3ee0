"""The graph, assembled: one builder for the app, the tests and the CLI."""

from __future__ import annotations

import warnings

import dagster as dg

from mrs_assets.alerts_asset import alerts_asset
from mrs_assets.boundary.dry_run import for_run
from mrs_assets.contracts.feeds import FEED_DECLARATIONS
from mrs_assets.contracts.logs.alerts import DELIVERIES, SILENCES
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.dead_letters import DEAD_LETTERS_RESOLVED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.settings import Settings, load_settings
from mrs_assets.drift.checks import drift_checks
from mrs_assets.drill.job import drill_job
from mrs_assets.feed_asset import feed_asset
from mrs_assets.freshness_policies import with_freshness_policies
from mrs_assets.graph import BY_THE_CLOCK, RECALLING, STAGES, TRAINABLES
from mrs_assets.log_asset import log_spec, stage_asset
from mrs_assets.model_asset import model_asset
from mrs_assets.partitions import build_partitions
from mrs_assets.recall_asset import recall_asset
from mrs_assets.service_levels_asset import service_levels_asset
from mrs_assets.state_assets import finalised_asset, hydrated_assets, published_asset
from mrs_assets.upkeep_asset import upkeep_asset
from mrs_resources.warehouse import Warehouse
from schedules.drift import drift_schedule
from schedules.drill import drill_schedule
from schedules.review_reports import review_schedule
from schedules.service_levels import service_levels_schedule
from schedules.tick import tick_schedule
from schedules.upkeep import upkeep_schedule
from sensors.alerts import alerts_sensor
from sensors.recall import recall_sensor
from sensors.recovery import recovery_sensor
from sensors.retail_feed import replay_sensor, retail_feed_sensor


def build_definitions(settings: Settings, warehouse: Warehouse | None = None) -> dg.Definitions:
    """Everything that Dagster sees.

    Args:
        settings: what `feeds.toml` says.
        warehouse: where rows go; the home of the settings when absent.
    """
    # Unpartitioned assets need a policy to be part of a range run; Dagster calls the parameter beta.
    warnings.filterwarnings("ignore", category=dg.BetaWarning, message=".*backfill_policy.*")
    partitions = build_partitions(settings)
    feeds = [feed_asset(feed, settings, partitions) for feed in FEED_DECLARATIONS.values()]
    stages = [stage_asset(stage, settings, partitions) for stage in STAGES]
    state = [finalised_asset(settings, partitions), hydrated_assets(settings), published_asset(settings)]
    recalled = recall_asset(settings)
    watch = [service_levels_asset(settings), alerts_asset(settings)]
    books = [
        log_spec(ARRIVALS, partitions, description="Written by every feed's admission."),
        log_spec(DEAD_LETTERS_RESOLVED, None, description="Written by admission and by `mrs errors`."),
        log_spec(REPLAY_PLANS, None, description="Written by the planner before a replay and at its end."),
        log_spec(MODEL_REGISTRY, None, description="Written by training and approval."),
        log_spec(DELIVERIES, None, description="Written around every attempt to deliver."),
        log_spec(SILENCES, None, description="Written by `mrs alerts silence` and `unsilence`."),
    ]
    graph = [*stages, *state, *watch]
    replay_job = dg.define_asset_job(
        "replay", selection=dg.AssetSelection.assets(*graph), description="Series to publication, for a rectangle."
    )
    admission_job = dg.define_asset_job(
        "admission", selection=dg.AssetSelection.assets(*feeds), description="Admits pending files of every feed."
    )
    backfill_job = dg.define_asset_job(
        "backfill",
        selection=dg.AssetSelection.assets(*feeds, *graph),
        description="Admission to publication, for a rectangle chosen by hand.",
    )
    levels_job = dg.define_asset_job(
        "service_levels",
        selection=dg.AssetSelection.assets(*BY_THE_CLOCK),
        description="Judges every objective, notes alerts, and publishes what changed.",
    )
    recall_job = dg.define_asset_job(
        "recall",
        selection=dg.AssetSelection.assets(*RECALLING),
        description="Looks again at past reports that something gave reason to doubt, and publishes what came of it.",
    )
    drift = [drift_checks(model, STAGES, settings) for model in TRAINABLES]
    drift_job = dg.define_asset_job(
        "drift", selection=dg.AssetSelection.checks(*drift), description="Whether the world is what the models learnt."
    )
    upkeep = [upkeep_asset(settings)] if settings.storage.backend == "ducklake" else []
    upkeep_jobs = [
        dg.define_asset_job("upkeep", selection=dg.AssetSelection.assets(asset), description="Looks after the lake.")
        for asset in upkeep
    ]
    drills = drill_job(settings, build_definitions)
    sensors = [
        retail_feed_sensor(settings, admission_job.name),
        replay_sensor(settings, replay_job.name),
        recovery_sensor(settings, replay_job.name),
        recall_sensor(settings, recall_job.name),
    ]
    checks = [key for assets in (*feeds, *graph, recalled) for key in assets.check_keys]
    return dg.Definitions(
        assets=[
            *feeds,
            *with_freshness_policies(graph, settings),
            *(model_asset(model, settings) for model in TRAINABLES),
            recalled,
            *books,
            *upkeep,
        ],
        asset_checks=drift,
        jobs=[replay_job, admission_job, backfill_job, levels_job, drift_job, recall_job, drills, *upkeep_jobs],
        schedules=[
            tick_schedule(settings, backfill_job.name),
            service_levels_schedule(levels_job.name),
            drift_schedule(drift_job.name),
            drill_schedule(settings, drills.name),
            review_schedule(settings, recall_job.name),
            *(upkeep_schedule(job.name) for job in upkeep_jobs),
        ],
        sensors=[*sensors, alerts_sensor(settings, checks, [sensor.name for sensor in sensors])],
        resources={"warehouse": _of_run(warehouse or Warehouse(settings.home, storage=settings.storage))},
        executor=dg.in_process_executor,
    )


def _of_run(warehouse: Warehouse) -> dg.ResourceDefinition:
    """The warehouse, of which a dry run keeps nothing."""

    @dg.resource(description="Logs, archive, models and snapshots of MRS_HOME.")
    def of_run(context: dg.InitResourceContext) -> Warehouse:
        return for_run(warehouse, context.run.tags if context.run else {})

    return of_run


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of the working directory's `feeds.toml`."""
    return build_definitions(load_settings())
