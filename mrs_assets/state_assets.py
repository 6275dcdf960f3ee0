"""Finalised records, the hydrated current state and its publication as assets."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl

from mrs_assets import __version__
from mrs_assets.boundary.certifying import certify
from mrs_assets.boundary.computing import NOTHING_WRITTEN
from mrs_assets.boundary.faults import asked_at, strike
from mrs_assets.contracts.errors import StageFailed
from mrs_assets.contracts.logs.alerts import ALERTS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS, View
from mrs_assets.finalisation.asset_body import EDITS_DOWN, finalise_scope
from mrs_assets.graph import PUBLISHED, RECALL_LOGS, SERVICE_LEVELS, STAGES
from mrs_assets.health.companion import HealthCompanion
from mrs_assets.hydration.folds import FOLDS
from mrs_assets.log_asset import (
    OWNERS,
    column_schema,
    log_spec,
    picture_metadata,
    ran_on_all_inputs,
    ran_on_all_inputs_spec,
    replay_asked,
    stores_asked,
    summary,
    tell_partitions,
)
from mrs_assets.partitions import scopes_of
from mrs_assets.planning.ledger import finish
from mrs_assets.planning.run_tags import PLAN_TAG
from mrs_assets.planning.supersession import unmark
from mrs_assets.state_picture import most_severe_picture
from mrs_resources.hydrator import Hydrator
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.warehouse import Warehouse

EDITS = f"{FINALISED.name}.edits"
"""Where faults on purpose strike."""

CERTIFIED = dg.AssetCheckSpec(
    "a_sample_of_the_replay_comes_out_the_same",
    asset=PUBLISHED,
    description="One store on a few of the replayed days, computed once more, is what is stored.",
)

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

    @dg.multi_asset(
        name=FINALISED.name,
        specs=[spec],
        check_specs=[ran_on_all_inputs_spec(FINALISED)],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="refresh",
    )
    def finalise(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        keys = list(context.partition_keys)
        provenance = Provenance(FINALISED.name, __version__, context.run_id)
        stores, replay = stores_asked(context), replay_asked(context, warehouse, settings)
        since = replay.planned_after if replay else None
        runs = [
            _finalised(warehouse, settings, replace(scope, stores=stores), provenance, since)
            for scope in scopes_of(keys)
        ]
        results = [run.appended for run in runs]
        failures = [failure for run in runs for failure in run.failures]
        missing = {"edits": EDITS_DOWN} if any(run.without_edits for run in runs) else {}
        tell_partitions(context, FINALISED, results if warehouse.keeps else (), keys)
        yield dg.MaterializeResult(metadata=summary(results))
        yield ran_on_all_inputs(FINALISED, missing, failures)

    return finalise


@dataclass(frozen=True)
class _Finalised:
    appended: Appended
    without_edits: bool
    failures: list[str]


def _finalised(
    warehouse: Warehouse, settings: Settings, scope: Scope, provenance: Provenance, since: datetime | None
) -> _Finalised:
    """Consolidate a scope; where edits cannot be read or cannot be applied, without them."""
    failures: list[str] = []
    for without_edits, look_for_edits in ((False, True), (True, True), (True, False)):
        try:
            if not without_edits:
                strike(settings, EDITS)
            with warehouse.store.transaction() as tx:
                missing = frozenset({EDITS_DOWN} if without_edits or "drop" in asked_at(settings, EDITS) else ())
                done = finalise_scope(
                    tx, scope, settings, provenance, missing, look_for_edits=look_for_edits, since=since
                )
                return _Finalised(done, EDITS_DOWN in missing, failures)
        except Exception as error:
            failures.append(f"{type(error).__name__}: {error}")
    raise StageFailed(
        f"{FINALISED.name} could not be computed for {scope.first_day} to {scope.last_day}: {failures[-1]}.",
        remedy=NOTHING_WRITTEN,
    )


def hydrated_assets(settings: Settings) -> dg.AssetsDefinition:
    """`minority_reports` and `minority_events`: the logs folded into one current state."""
    reads = {MINORITY_REPORTS.name: [FINALISED, DETECTED, CLUSTERED, ATTRIBUTED, COHORTED, *RECALL_LOGS]}
    reads[MINORITY_EVENTS.name] = [EVENTS, COHORTED, FINALISED, USER_EVENT_EDITS]

    @dg.multi_asset(
        name="hydrated",
        specs=[_view_spec(fold.view, [contract.name for contract in reads[fold.view.name]]) for fold in FOLDS],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="refresh",
    )
    def hydrate(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        replay = replay_asked(context, warehouse, settings)
        with warehouse.store.transaction() as tx:
            if replay is not None and not replay.is_done:
                unmark(tx, replay.retailer, Provenance("hydrated", __version__, context.run_id))
            refreshed = Hydrator(FOLDS).refresh(tx)
            picture = most_severe_picture(tx, settings)
        for view in refreshed.views:
            metadata: dict[str, Any] = {"rows": view.rows, "recomputed": view.recomputed, "changed": view.changed}
            metadata |= {"run_id": refreshed.run_id, "rebuilt": view.rebuilt}
            if picture:
                metadata["most_severe_report"] = picture_metadata(picture)
            yield dg.MaterializeResult(asset_key=view.view, metadata=metadata)

    return hydrate


def published_asset(settings: Settings) -> dg.AssetsDefinition:
    """The snapshot that readers open, swapped in whole; ends the plan that the run carried out."""

    @dg.asset(
        name=PUBLISHED,
        deps=[
            MINORITY_REPORTS.name,
            MINORITY_EVENTS.name,
            *SERVICE_LEVELS,
            ALERTS.name,
            dg.AssetDep(SALES_TIMESERIES.name, partition_mapping=dg.AllPartitionMapping()),
        ],
        group_name="hydration",
        owners=OWNERS,
        kinds={"duckdb", "parquet"},
        description="Copy of the warehouse and Parquet of the current state, for readers: `published/` in MRS_HOME.",
        code_version=__version__,
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[CERTIFIED],
        pool="refresh",
    )
    def publish(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        replay = replay_asked(context, warehouse, settings)
        certificate = None
        if replay is not None and not replay.is_done:
            certificate = certify(warehouse, settings, STAGES, replay)
        if plan_id := context.run.tags.get(PLAN_TAG):
            with warehouse.store.transaction() as tx:
                finish(tx, plan_id)
        published = warehouse.publisher.publish(HealthCompanion(settings)) if warehouse.keeps else None
        metadata = {"published": "nothing: no row was written since the last snapshot"}
        if published is not None:
            metadata = {"published": str(published.known_at), "run_id": published.run_id}
            metadata |= {f"left out: {name}": why for name, why in published.left_out.items()}
        yield dg.MaterializeResult(metadata=metadata | _told(certificate))
        yield _certified(certificate)

    return publish


def _told(certificate: pl.DataFrame | None) -> dict[str, Any]:
    """A certificate as metadata; nothing where no replay ended."""
    return certificate.drop("retailer", "business_day").to_dicts()[0] if certificate is not None else {}


def _certified(certificate: pl.DataFrame | None) -> dg.AssetCheckResult:
    passed = certificate is None or certificate["sample_differences"][0] == 0
    return dg.AssetCheckResult(check_name=CERTIFIED.name, passed=passed, metadata=_told(certificate))


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
