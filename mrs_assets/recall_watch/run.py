"""One run of recall: what fired is queued, what has its turn is reviewed, and what came of it is written at once.

Clusters and causes are computed by the stages that computed the originals, through the same boundary, for the newest
tick of each report. What fired is kept before anything is computed. What was computed is kept in one transaction, and
only where nothing that it rests on was written meanwhile; otherwise the items keep waiting.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import polars as pl

from mrs_assets import __version__
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED, RECLUSTERED, REREVIEW_WORKLIST
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.finalisation.asset_body import finalise_reports
from mrs_assets.planning.reach import joined
from mrs_assets.recall.conclusions import concluded
from mrs_assets.recall.facts import Facts
from mrs_assets.recall.table import TRIGGERS, all_fired
from mrs_assets.recall.worklist import WAITING, Queued, queue, to_review, updated
from mrs_assets.recall_watch.facts import read_facts
from mrs_assets.recall_watch.restraint import obstacles
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, Transaction
from mrs_resources.warehouse import Warehouse

ADDS = replace(EVER, complete=False)
"""Rounds are added, and waiting ones brought up to date; nothing that was concluded is ever taken back."""

REVIEWS = (CLUSTERING_STAGE, ATTRIBUTION_STAGE)
_RESTS_ON = tuple({read.contract for stage in REVIEWS for read in stage.reads} | {DETECTED})


@dataclass
class Recalled:
    """What one run did.

    Attributes:
        obstacles: why nothing was recalled, in words.
        queued: reports that were queued.
        spent: causes that had been answered before.
        bounded: reports that have had as many rounds as there may be.
        reviewed: rows of MRRW that were looked at, as they stand.
        carried_over: reports that wait for the next run.
        finalised: what consolidating the reviewed reports wrote.
        appended: log → what was written to it.
    """

    obstacles: list[str] = field(default_factory=list)
    queued: int = 0
    spent: int = 0
    bounded: int = 0
    reviewed: pl.DataFrame = field(default_factory=REREVIEW_WORKLIST.empty)
    carried_over: int = 0
    finalised: Appended | None = None
    appended: dict[str, list[Appended]] = field(default_factory=dict)

    def add(self, result: Appended) -> None:
        """Count what an append did."""
        self.appended.setdefault(result.log, []).append(result)

    @property
    def changed(self) -> int:
        """Reports that were looked at and concluded otherwise."""
        return self.reviewed.filter(outcome="changed").height

    def __str__(self) -> str:
        if self.obstacles:
            return f"recall waits: {self.obstacles[0]}"
        waits = f"; {self.carried_over} wait" if self.carried_over else ""
        reports = "report" if self.reviewed.height == 1 else "reports"
        return f"recall: {self.reviewed.height} {reports} looked at again, {self.changed} concluded otherwise{waits}"


def look(
    warehouse: Warehouse, tx: Transaction, settings: Settings, triggers: Collection[str] = tuple(TRIGGERS)
) -> tuple[Facts, Queued]:
    """What would be recalled now, and why. Writes nothing."""
    facts = read_facts(tx, warehouse.models, settings)
    return facts, queue(facts, all_fired(facts, triggers))


def is_due(warehouse: Warehouse, settings: Settings, triggers: Collection[str] = tuple(TRIGGERS)) -> tuple[bool, str]:
    """Whether a run of recall has anything to do and may do it, and why not."""
    if not settings.recall.enabled:
        return False, "Recall is switched off: `[recall]` says enabled = false."
    with warehouse.store.looking() as tx:
        facts, queued = look(warehouse, tx, settings, triggers)
        work = queued.items.height + to_review(facts, facts["worklist"]).height
        if not work:
            return False, "Nothing gives a reason to doubt."
        if found := obstacles(warehouse, tx, settings):
            return False, f"{work} reports wait: {'; '.join(found[:3])}."
    return True, f"{work} reports are to be looked at again."


def recall(
    warehouse: Warehouse, settings: Settings, provenance: Provenance, triggers: Collection[str] = tuple(TRIGGERS)
) -> Recalled:
    """Queue what fired and review what has its turn; nothing where the main path is not healthy and idle.

    Args:
        warehouse: where.
        settings: what is configured.
        provenance: who writes.
        triggers: those to ask; what waits already is reviewed whatever queued it.
    """
    done = Recalled()
    with warehouse.store.transaction() as tx:
        done.obstacles = obstacles(warehouse, tx, settings)
        if done.obstacles or not settings.recall.enabled:
            return done
        facts, queued = look(warehouse, tx, settings, triggers)
        if queued.items.height:
            done.add(tx.append(REREVIEW_WORKLIST, queued.items, ADDS, provenance))
        done.queued = queued.items.filter(WAITING).height
        done.spent, done.bounded = queued.spent, queued.bounded
        seen = tx.newest_write(*_RESTS_ON)
    worklist = updated(facts["worklist"], queued.items)
    items = to_review(facts, worklist)
    done.carried_over = worklist.filter(WAITING).height - items.height
    if items.height and warehouse.keeps:
        _review(warehouse, settings, provenance, facts, items, seen, done)
    return done


def _review(
    warehouse: Warehouse,
    settings: Settings,
    provenance: Provenance,
    facts: Facts,
    items: pl.DataFrame,
    seen: object,
    done: Recalled,
) -> None:
    began = time.perf_counter()
    asked = facts["reports"].join(items, on="report_id", how="semi")
    runner = StageRunner(warehouse.store, warehouse.models, settings)
    clustered, attributed = _computed(runner, asked, provenance)
    outcome = concluded(facts, items, clustered, attributed, time.perf_counter() - began)
    closed = outcome.filter(~WAITING)
    rounds = closed.select("report_id", "round")
    with warehouse.store.transaction() as tx:
        if tx.newest_write(*_RESTS_ON) != seen:
            done.carried_over += items.height
            return
        of_stage = {RECLUSTERED: (clustered, CLUSTERING_STAGE), REATTRIBUTED: (attributed, ATTRIBUTION_STAGE)}
        for contract, (rows, stage) in of_stage.items():
            by_stage = replace(provenance, code_version=f"{__version__}+{stage.code_version}")
            done.add(tx.append(contract, rows.join(rounds, on="report_id"), ADDS, by_stage))
        done.add(tx.append(REREVIEW_WORKLIST, outcome, ADDS, provenance))
        if rounds.height:
            done.finalised = finalise_reports(tx, rounds["report_id"].to_list(), settings, provenance)
    done.reviewed = outcome


def _computed(runner: StageRunner, asked: pl.DataFrame, provenance: Provenance) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of MRCL and MRPAL for the newest tick of the asked reports; none of those where the stage fell back."""
    clustered, attributed = [CLUSTERED.empty()], [ATTRIBUTION_STAGE.writes[0].empty()]
    for scope in _scopes(asked):
        mine = asked.select("report_id", "tick")
        clusters, clusters_whole = runner.answer(CLUSTERING_STAGE, scope, provenance)
        causes, causes_whole = runner.answer(ATTRIBUTION_STAGE, scope, provenance, {"clustered": clusters})
        if clusters_whole and causes_whole:
            clustered.append(clusters.join(mine, on=["report_id", "tick"], how="semi"))
            attributed.append(causes.join(mine, on=["report_id", "tick"], how="semi"))
    return pl.concat(clustered), pl.concat(attributed)


def _scopes(asked: pl.DataFrame) -> list[Scope]:
    """The days of the asked reports, per retailer: neighbouring days together, all others not at all."""
    scopes = []
    for (retailer,), rows in asked.sort("retailer").group_by("retailer", maintain_order=True):
        days = [(day, day) for day in rows["business_day"].unique().sort()]
        scopes += [Scope(first, last, str(retailer), complete=False) for first, last in joined(days)]
    return scopes
