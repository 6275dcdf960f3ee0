"""Running a declared trainable: read its lessons at one instant, learn, keep the artefact, register the version.

Knows the warehouse and the models, not the orchestrator: `model_asset` wraps it for Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

import polars as pl

from mrs_assets.boundary.reading import InputReader
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Model, Stage
from mrs_assets.contracts.trainable import Lessons, Trainable
from mrs_assets.drift.inputs import inputs_of
from mrs_assets.graph import STAGES
from mrs_assets.planning.ledger import known_days
from mrs_resources.drawing import draw
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, Transaction
from mrs_resources.model_registry import approve, register
from mrs_resources.model_store import ModelStore, active_model
from mrs_resources.warehouse import Warehouse

LESSON_ROWS = 4_000_000
"""Rows of one log that are learnt from at most; of more, some are drawn."""

COMPUTED_DAYS = 120
"""Newest days of which a lesson has rows that reports did not ask for yet."""


@dataclass(frozen=True)
class Trained:
    """One training.

    Attributes:
        version: the version's name in the registry.
        metrics: figures measured on rows that the model had not seen.
        built_on: model → version in force that it learnt with.
        drawn: where not everything was learnt from, what was; None otherwise.
    """

    version: str
    metrics: Mapping[str, float]
    built_on: Mapping[str, str]
    drawn: str | None


def train(
    warehouse: Warehouse,
    settings: Settings,
    trainable: Trainable,
    provenance: Provenance,
    *,
    last_day: date | None = None,
    approved_by: str = "",
) -> Trained:
    """Learn a new version and register it. The warehouse is free while it learns.

    Args:
        warehouse: logs, models and registry.
        settings: everything configured.
        trainable: what to learn.
        provenance: who trains.
        last_day: newest business day to learn from; the newest known when absent.
        approved_by: who puts the new version in force; nobody when empty.

    Raises:
        UserMistake: there is too little to learn from.
    """
    with warehouse.store.transaction() as tx:
        lessons, drawn = read_lessons(tx, trainable, settings, warehouse.models, last_day or EVER.last_day, provenance)
        today = tx.now.date()
    if next(iter(lessons.frames.values())).is_empty():
        raise UserMistake(
            f"There is nothing to learn {trainable.name} from.", remedy="Run `mrs tick` with sales in the inbox first."
        )
    learnt = trainable.learn(lessons)
    if not warehouse.keeps:
        return Trained("nothing was kept", learnt.metrics, {}, drawn)
    artefact_hash = warehouse.models.save(learnt.artefact)
    days = next(iter(lessons.frames.values()))["business_day"]
    version = artefact_hash[:12]
    frames = {contract.name: lessons[name] for name, contract in trainable.reads.items()}
    built_on = {name: model.version for name, model in lessons.models.items()}
    row = {
        "retailer": "*",
        "business_day": days.max() or today,
        "model_name": trainable.name,
        "model_version_id": version,
        "trained_on_from": days.min() or today,
        "trained_on_to": days.max() or today,
        "metrics": json.dumps(dict(learnt.metrics), sort_keys=True),
        "artefact_hash": artefact_hash,
        "built_on": json.dumps(built_on, sort_keys=True),
        "inputs": json.dumps(inputs_of(frames), sort_keys=True),
    }
    with warehouse.store.transaction() as tx:
        register(tx, row, provenance)
        if approved_by:
            approve(tx, trainable.name, version, approved_by, provenance)
    return Trained(version, learnt.metrics, built_on, drawn)


def read_lessons(
    tx: Transaction,
    trainable: Trainable,
    settings: Settings,
    models: ModelStore,
    last_day: date,
    provenance: Provenance,
) -> tuple[Lessons, str | None]:
    """Live rows of what a trainable learns from, no more than memory holds, and the models that it builds on.

    Of the newest days, those before a log's first, on which no reports were looked for, are computed for the lesson
    where its stage reads only what there is of such days. They are not written.

    Args:
        tx: the open transaction.
        trainable: what is learnt.
        settings: everything configured.
        models: artefacts.
        last_day: newest business day to read.
        provenance: who reads, for the breakers.

    Returns:
        The lessons, and what was drawn, in words, where it was not everything.

    Raises:
        ArtefactMissing: a model in force that it builds on cannot be read.
    """
    scope, drawn = draw(tx, trainable.reads.values(), replace(EVER, last_day=last_day), LESSON_ROWS)
    frames = {name: tx.live(contract, scope) for name, contract in trainable.reads.items()}
    for name, contract in trainable.reads.items():
        if stage := _COMPUTED_BEFORE_REPORTS.get(contract):
            earlier = _earlier(tx, stage, frames[name], InputReader(models, settings, provenance), scope)
            frames[name] = pl.concat([*earlier, frames[name]], how="diagonal").sort(contract.key)
    in_force = {name: active_model(tx, name) for name in trainable.builds_on}
    loaded = {
        name: Model(str(row["model_version_id"]), trainable.builds_on[name](models.read(str(row["artefact_hash"]))))
        for name, row in in_force.items()
        if row is not None
    }
    return Lessons(settings, frames, loaded), drawn


def _earlier(
    tx: Transaction, stage: Stage, written: pl.DataFrame, reader: InputReader, scope: Scope
) -> Iterator[pl.DataFrame]:
    """Rows that a stage would write for those of the newest days of a scope that are before its first, per retailer."""
    (contract,) = stage.writes
    for retailer, known in sorted(known_days(tx, reader.settings).items()):
        newest = min(scope.last_day, known.last_day)
        first = max(known.first_day, scope.first_day, newest - timedelta(days=COMPUTED_DAYS - 1))
        begins: date | None = written.filter(retailer=retailer)["business_day"].min()  # type: ignore[assignment]
        last = newest if begins is None else min(newest, begins - timedelta(days=1))
        if first <= last:
            inputs = reader.read(tx, stage, replace(scope, first_day=first, last_day=last, retailer=retailer))
            yield contract.conform(stage.compute(inputs)[contract.name])


_EARLY = {log for stage in STAGES if stage.before_reports for log in stage.writes}
_COMPUTED_BEFORE_REPORTS = {
    log: stage
    for stage in STAGES
    if not stage.before_reports and {need.contract for need in stage.needs.values()} <= _EARLY
    for log in stage.writes
}
"""Logs that begin with the reports, and whose stages need only what begins before."""
