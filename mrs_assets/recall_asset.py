"""Recall as an asset: the worklist and what re-reviews concluded, beside the originals and in a pool of its own."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import RECALL_LOGS
from mrs_assets.log_asset import log_spec, summary, tell_partitions
from mrs_assets.recall.table import TRIGGERS
from mrs_assets.recall_watch.run import Recalled, recall
from mrs_resources.kernel import Provenance
from mrs_resources.warehouse import Warehouse

TRIGGERS_TAG = "mrs/triggers"
"""Run tag: the triggers to ask, separated by commas; all of them when absent."""

POOL = "recall"

SHOWN = 20
"""Reviewed reports that a run's metadata shows, those at the head of the queue first."""

_TOLD = ("report_id", "store_id", "sku", "trigger_reason", "outcome", "waits_for", "concluded_after")


def recall_asset(settings: Settings) -> dg.AssetsDefinition:
    """MRRW, MRCRL and MRPARL: what gave reason to doubt, and what came of looking again.

    The state of the reports is read as the tick before left it, so that the graph has no edge from it: like a log's
    own past. Records of reports that were reviewed are consolidated here, and told of as partitions of MRFL.
    """
    reads = (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED)
    deps = [dg.AssetDep(log.name, partition_mapping=dg.AllPartitionMapping()) for log in reads]

    @dg.multi_asset(
        name="rereview",
        specs=[
            log_spec(log, None, description="Written by recall alone; nothing of it is ever taken back.", deps=deps)
            for log in RECALL_LOGS
        ],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
    )
    def look_again(context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]) -> Iterator[Any]:
        provenance = Provenance("recall", __version__, context.run_id)
        asked = context.run.tags.get(TRIGGERS_TAG)
        done = recall(warehouse, settings, provenance, asked.split(",") if asked else tuple(TRIGGERS))
        if done.finalised and warehouse.keeps:
            tell_partitions(context, FINALISED, [done.finalised], ())
        for log in RECALL_LOGS:
            own = _told(done) if log is REREVIEW_WORKLIST else {}
            yield dg.MaterializeResult(asset_key=log.name, metadata=summary(done.appended.get(log.name, [])) | own)

    return look_again


def _told(done: Recalled) -> dict[str, Any]:
    told: dict[str, Any] = {
        "in_words": str(done),
        "queued": done.queued,
        "reviewed": done.reviewed.height,
        "concluded_otherwise": done.changed,
        "carried_over": done.carried_over,
        "at_most_rounds": done.bounded,
    }
    first = done.reviewed.sort("priority", "report_id", descending=[True, False]).head(SHOWN).select(_TOLD)
    if not first.is_empty():
        told["looked_at"] = dg.MetadataValue.table([dg.TableRecord(row) for row in first.iter_rows(named=True)])
    return told
