"""`alerts_log` as an asset: what the warehouse holds that somebody should be told, noted before it is published."""

from collections import Counter
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.alert_watch.books import history
from mrs_assets.alert_watch.raising import raise_alerts
from mrs_assets.alert_watch.warehouse import look_at_warehouse
from mrs_assets.alerting.note import open_alerts
from mrs_assets.contracts.logs.alerts import ALERTS
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.log_asset import log_spec
from mrs_resources.kernel import Provenance
from mrs_resources.warehouse import Warehouse


def alerts_asset(settings: Settings) -> dg.AssetsDefinition:
    """Raises, updates and resolves alerts; delivers none."""
    spec = log_spec(
        ALERTS,
        None,
        description="Opened, updated and resolved by what the graph found; the `alerts` sensor delivers.",
        deps=[dg.AssetDep(name) for name in (MINORITY_EVENTS.name, MINORITY_REPORTS.name, SLO_RESULTS.name)],
        code_version=__version__,
    )

    @dg.multi_asset(name=ALERTS.name, specs=[spec], backfill_policy=dg.BackfillPolicy.single_run(), pool="refresh")
    def note(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[Any]:
        provenance = Provenance(ALERTS.name, __version__, context.run_id)
        with warehouse.store.transaction() as tx:
            notes = raise_alerts(
                tx, settings, lambda known: look_at_warehouse(tx, settings, STAGES, CLOSING, known), provenance
            )
            standing = open_alerts(history(tx))
        counts = Counter(one.state for one in notes)
        metadata: dict[str, Any] = {state: counts[state] for state in ("open", "updated", "resolved")}
        metadata["open_alerts"] = len(standing)
        if standing:
            rows = [
                dg.TableRecord({"severity": one.severity, "title": one.title, "since": str(one.opened_at)})
                for one in standing[:50]
            ]
            metadata["standing"] = dg.MetadataValue.table(rows)
        return dg.MaterializeResult(asset_key=ALERTS.name, metadata=metadata)

    return note
