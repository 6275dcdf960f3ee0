"""Models as assets, apart from the tick: each trains a version, which speaks once somebody approved it."""

from datetime import date
from typing import Any

import dagster as dg

from mrs_assets import __version__
from mrs_assets.boundary.learning import train
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.trainable import Trainable
from mrs_assets.graph import drawn_below
from mrs_assets.log_asset import OWNERS
from mrs_resources.kernel import Provenance
from mrs_resources.warehouse import Warehouse


class TrainingConfig(dg.Config):
    """How to train.

    Attributes:
        last_day: newest business day to learn from, ISO; the newest known when empty.
        approved_by: who activates the new version; nobody when empty, and inference keeps the old one.
    """

    last_day: str = ""
    approved_by: str = ""


def model_asset(trainable: Trainable, settings: Settings) -> dg.AssetsDefinition:
    """The asset that learns a model from the logs that it reads and the models that it builds on."""
    every_day = dg.AllPartitionMapping()
    deps = [
        name if name in trainable.builds_on else dg.AssetDep(name, partition_mapping=every_day)
        for name in drawn_below(trainable)
    ]

    @dg.asset(
        name=trainable.name,
        deps=deps,
        group_name="models",
        owners=OWNERS,
        kinds={"scikitlearn"},
        description=trainable.description,
        code_version=__version__,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="refresh",
    )
    def learn(
        context: dg.AssetExecutionContext, config: TrainingConfig, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[Any]:
        trained = train(
            warehouse,
            settings,
            trainable,
            Provenance(trainable.name, __version__, context.run_id),
            last_day=_day(config.last_day),
            approved_by=config.approved_by,
        )
        return dg.MaterializeResult(
            metadata={
                "version": trained.version,
                "approved_by": config.approved_by or "nobody yet",
                "learnt_from": trained.drawn or "everything",
                **{f"built_on_{name}": version for name, version in trained.built_on.items()},
                **trained.metrics,
            }
        )

    return learn


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UserMistake(f"{text!r} is not a day.", remedy="Write it as 2024-12-31; nothing was trained.") from None
