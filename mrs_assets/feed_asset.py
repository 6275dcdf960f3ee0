"""Feeds as assets: a run admits every pending file of its retailers, whatever days the rows speak of."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feed import FeedContract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.settings import Settings
from mrs_assets.log_asset import log_spec, summary, tell_partitions
from mrs_assets.partitions import scopes_of
from mrs_resources.admission import Admitted, admit, pending_arrivals
from mrs_resources.kernel import Provenance
from mrs_resources.warehouse import Warehouse


def feed_asset(feed: FeedContract, settings: Settings, partitions: dg.MultiPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset (one per log) that admits a feed's files."""
    writes = [target.contract for target in feed.targets]
    description = f"Admitted from `inbox/{feed.name}/<retailer>/` in MRS_HOME."
    specs = [log_spec(contract, partitions, description=description, code_version=__version__) for contract in writes]
    accounts = [
        dg.AssetCheckSpec(
            "accounts_for_every_row",
            asset=contract.name,
            description="Rows received = accepted + duplicate + dead-lettered, for every file.",
        )
        for contract in writes
    ]

    @dg.multi_asset(
        name=f"{feed.name}_feed",
        specs=specs,
        check_specs=accounts,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="detection",
    )
    def admit_feed(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        keys = list(context.partition_keys)
        provenance = Provenance(f"feed:{feed.name}", __version__, context.run_id)
        retailers = [str(scope.retailer) for scope in scopes_of(keys)]
        admitted = admit_pending(warehouse, settings, feed, retailers, provenance)
        for contract in writes:
            results = [result for file in admitted for result in file.appended if result.log == contract.name]
            tell_partitions(context, contract, results, keys)
            yield dg.MaterializeResult(asset_key=contract.name, metadata=summary(results) | _file_metadata(admitted))
            yield _accounts(contract, admitted)
        books = [result for file in admitted for result in file.appended if result.log == ARRIVALS.name]
        tell_partitions(context, ARRIVALS, books, [])

    return admit_feed


def admit_pending(
    warehouse: Warehouse,
    settings: Settings,
    declaration: FeedContract,
    retailers: Sequence[str],
    provenance: Provenance,
) -> list[Admitted]:
    """Admit every file of a feed that waits in the inbox or the archive, in order of arrival, each atomically.

    A dry run admits none: what a file is depends on those before it, of which none would have stayed.
    """
    if not warehouse.keeps:
        return []
    warehouse.archive.collect(settings, warehouse.clock)
    with warehouse.store.transaction() as tx:
        waiting = pending_arrivals(tx, warehouse.archive, declaration.name, retailers)
    admitted = []
    for arrival in waiting:
        with warehouse.store.transaction() as tx:
            admitted.append(admit(tx, warehouse.archive, arrival, settings, declaration, provenance))
    return admitted


def _file_metadata(admitted: Sequence[Admitted]) -> dict[str, Any]:
    rows = [
        dg.TableRecord(
            {
                "file": file.arrival.file_name,
                "decision": file.decision,
                "received": file.received,
                "accepted": file.accepted,
                "duplicate": file.duplicate,
                "dead_lettered": file.dead_lettered,
            }
        )
        for file in admitted
    ]
    return {"files": dg.MetadataValue.table(rows)} if rows else {}


def _accounts(contract: Contract, admitted: Sequence[Admitted]) -> dg.AssetCheckResult:
    wrong = [
        file.arrival.file_name
        for file in admitted
        if file.received != file.accepted + file.duplicate + file.dead_lettered
    ]
    return dg.AssetCheckResult(
        check_name="accounts_for_every_row",
        asset_key=contract.name,
        passed=not wrong,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"files_admitted": len(admitted), "files_that_do_not_add_up": wrong},
    )
