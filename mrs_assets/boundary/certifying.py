"""The certificate of a replay: what it did, and a sample of it computed once more, of which nothing is kept.

The sample is one store on a few of the days that the replay computed, through every stage whose rows depend on their
own store alone. Each is computed from what it reads now; that it comes out as it is stored, stage by stage from the
facts on, means that this store and these days are what a build from nothing would give.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import polars as pl

from mrs_assets import __version__
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.logs.catalogue import find
from mrs_assets.contracts.logs.replays import REPLAY_CERTIFICATES, REPLAY_PARTS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.planning.felt import Replay
from mrs_assets.planning.plan import SOURCE_WEIGHTS
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, LogStore, Transaction
from mrs_resources.warehouse import Warehouse

SAMPLE_DAYS = 7


def certify(warehouse: Warehouse, settings: Settings, stages: Sequence[Stage], replay: Replay) -> pl.DataFrame:
    """Append the certificate of a replay whose stages are all done.

    Args:
        warehouse: where.
        settings: what is configured.
        stages: declared stages in order of the graph.
        replay: the replay.

    Returns:
        The certificate, in the columns of REPLAY_CERTIFICATES.
    """
    with warehouse.store.looking() as tx:
        parts = tx.live(REPLAY_PARTS).filter(plan_id=replay.plan_id)
        inputs_hash = _inputs_hash(tx, replay)
        scopes = _sample(tx, parts, stages, replay)
    forgetful = LogStore(warehouse.home, warehouse.clock, keeps=False, backend=warehouse.backend)
    again = StageRunner(forgetful, warehouse.models, settings)
    who = Provenance("certificate", __version__)
    runs = [(stage, scope, again.run(replace(stage, picture=None), scope, who)) for stage, scope in scopes]
    differing = [done.changed for _, _, run in runs for log in run.appended.values() for done in log]
    computed, appended, retracted = (int(parts[f"rows_{did}"].sum()) for did in ("offered", "appended", "retracted"))
    certificate = pl.DataFrame(
        {
            "retailer": [replay.retailer],
            "business_day": [replay.last_day],
            "plan_id": [replay.plan_id],
            "inputs_hash": [inputs_hash],
            "rows_computed": [computed],
            "rows_changed": [appended + retracted],
            "rows_cut_off": [computed - appended],
            "stages_cut_off": [sorted({stage.name for stage in stages} - {*parts["asset"]})],
            "sample": [[f"{stage.name}: {scope}" for stage, scope, _ in runs]],
            "sample_differences": [sum(differing)],
        },
        schema_overrides={"stages_cut_off": pl.List(pl.String), "sample": pl.List(pl.String)},
    )
    with warehouse.store.transaction() as tx:
        tx.append(REPLAY_CERTIFICATES, certificate, replace(EVER, complete=False), who)
    return certificate


def _sample(tx: Transaction, parts: pl.DataFrame, stages: Sequence[Stage], replay: Replay) -> list[tuple[Stage, Scope]]:
    """Per stage the first days of one of the parts, and one store of it; which ones follows from the plan's id."""
    chosen = int(hashlib.sha256(replay.plan_id.encode()).hexdigest(), 16)
    found = []
    for stage in (stage for stage in stages if stage.span == "store"):
        own = parts.filter(asset=stage.name).sort("part").to_dicts()
        if not own:
            continue
        part = own[chosen % len(own)]
        stores = part["stores"] or _stores(tx, stage, replay.retailer)
        last = min(part["last_day"], part["first_day"] + timedelta(days=SAMPLE_DAYS - 1))
        if stores:
            store = stores[chosen % len(stores)]
            found.append((stage, Scope(part["first_day"], last, replay.retailer, stores=(store,))))
    return found


def _stores(tx: Transaction, stage: Stage, retailer: str) -> list[str]:
    log = next(iter(stage.needs.values())).contract
    rows = tx.query(
        f"SELECT DISTINCT store_id FROM {log.name} WHERE run_id = ? AND retailer = ? ORDER BY ALL",
        [tx.run_id, retailer],
    )
    return list(rows["store_id"])


def _inputs_hash(tx: Transaction, replay: Replay) -> str:
    told = [SOURCE_WEIGHTS] if replay.forced else []
    for log, since in sorted(replay.since.items()):
        tx.ensure(find(log))
        told += tx.query(
            f"SELECT coalesce(md5(string_agg(row_hash, ',' ORDER BY row_hash)), '') AS told FROM {find(log).name} "
            "WHERE run_id = ? AND retailer = ? AND written_at > ?",
            [tx.run_id, replay.retailer, since],
        )["told"].to_list()
    return hashlib.md5(",".join(told).encode(), usedforsecurity=False).hexdigest()
