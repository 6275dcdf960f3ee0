"""Finalised records, the hydrated current state and its publication as assets."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS, View
from mrs_assets.finalisation.asset_body import finalise_scope
from mrs_assets.graph import PUBLISHED
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.log_asset import (
    OWNERS,
    column_schema,
    log_spec,
    picture_metadata,
    stores_asked,
    summary,
    tell_partitions,
)
from mrs_assets.partitions import scopes_of
from mrs_assets.planning.ledger import finish
from mrs_assets.planning.run_tags import PLAN_TAG
from mrs_assets.state_picture import most_severe_picture
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Provenance
from mrs_resources.warehouse import Warehouse

CONSOLIDATED = (DETECTED, ENDED, CLUSTERED, ATTRIBUTED, COHORTED, USER_EDITS, USER_EVENT_EDITS)
"""Logs that a finalised record is made of."""


def finalised_asset(settings: Settings, partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """MRFL: every report that the run's partitions concern, consolidated."""
    spec = log_spec(
        FINALISED,
        partitions,
        description="Everything a report has, by fixed precedence: report edit, event edit, machine.",
        deps=[dg.AssetDep(contract.name) for contract in CONSOLIDATED],
        code_version=__version__,
    )

    @dg.multi_asset(name=FINALISED.name, specs=[spec], backfill_policy=dg.BackfillPolicy.single_run(), pool="refresh")
    def finalise(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        keys = list(context.partition_keys)
        provenance = Provenance(FINALISED.name, __version__, context.run_id)
        results = []
        for scope in scopes_of(keys):
            asked = replace(scope, stores=stores_asked(context))
            with warehouse.store.transaction() as tx:
                results.append(finalise_scope(tx, asked, settings, provenance))
        tell_partitions(context, FINALISED, results, keys)
        yield dg.MaterializeResult(metadata=summary(results))

    return finalise


def hydrated_assets(settings: Settings) -> dg.AssetsDefinition:
    """`minority_reports` and `minority_events`: the logs folded into one current state."""
    reads = {MINORITY_REPORTS.name: [FINALISED, DETECTED, CLUSTERED, ATTRIBUTED, COHORTED]}
    reads[MINORITY_EVENTS.name] = [EVENTS, COHORTED, FINALISED, USER_EVENT_EDITS]

    @dg.multi_asset(
        name="hydrated",
        specs=[_view_spec(fold.view, [contract.name for contract in reads[fold.view.name]]) for fold in FOLDS],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="refresh",
    )
    def hydrate(warehouse: dg.ResourceParam[Warehouse]) -> Iterator[dg.MaterializeResult[Any]]:
        with warehouse.store.transaction() as tx:
            refreshed = Hydrator(FOLDS).refresh(tx)
            picture = most_severe_picture(tx, settings)
        for view in refreshed.views:
            metadata: dict[str, Any] = {"rows": view.rows, "recomputed": view.recomputed, "changed": view.changed}
            metadata |= {"run_id": refreshed.run_id, "rebuilt": view.rebuilt}
            if picture:
                metadata["most_severe_report"] = picture_metadata(picture)
            yield dg.MaterializeResult(asset_key=view.view, metadata=metadata)

    return hydrate


def published_asset() -> dg.AssetsDefinition:
    """The snapshot that readers open, swapped in whole; ends the plan that the run carried out."""

    @dg.asset(
        name=PUBLISHED,
        deps=[
            MINORITY_REPORTS.name,
            MINORITY_EVENTS.name,
            dg.AssetDep(SALES_TIMESERIES.name, partition_mapping=dg.AllPartitionMapping()),
        ],
        group_name="hydration",
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        description="Copy of the warehouse and Parquet of the current state, for readers: `published/` in MRS_HOME.",
        code_version=__version__,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="refresh",
    )
    def publish(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[Any]:
        plan_id = context.run.tags.get(PLAN_TAG)
        if plan_id:
            with warehouse.store.transaction() as tx:
                finish(tx, plan_id)
        published = warehouse.publisher.publish()
        if published is None:
            return dg.MaterializeResult(metadata={"published": "nothing: no row was written since the last snapshot"})
        return dg.MaterializeResult(metadata={"published": str(published.known_at), "run_id": published.run_id})

    return publish


def _view_spec(view: View, reads: list[str]) -> dg.AssetSpec:
    return dg.AssetSpec(
        view.name,
        deps=[dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in reads],
        description=f"{view.title}\n\nFolded from the logs by fixed precedence; `source_used_*` names the log.",
        group_name="hydration",
        owners=OWNERS,
        kinds={"duckdb"},
        code_version=__version__,
        metadata={"dagster/column_schema": column_schema(view), "dagster/table_name": f"mrs.main.{view.name}"},
    )
