"""Training as assets, apart from the tick: an artefact, its figures, and an explicit approval.

The registry belongs to no run: a model that was approved stays in force when `mrs reset` advances the namespace.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.detection.artefact import dump
from mrs_assets.detection.baseline_stage import MODEL
from mrs_assets.detection.training import train_baseline
from mrs_assets.log_asset import OWNERS
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction
from mrs_resources.model_store import active_model
from mrs_resources.warehouse import Warehouse

BASELINE_MODEL = MODEL


class TrainingConfig(dg.Config):
    """How to train.

    Attributes:
        last_day: newest business day to learn from, ISO; the newest known when empty.
        approved_by: who activates the new version; nobody when empty, and inference keeps the old one.
    """

    last_day: str = ""
    approved_by: str = ""


def baseline_model_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset that trains the baseline model from every series there is."""

    @dg.asset(
        name=BASELINE_MODEL,
        deps=[
            dg.AssetDep(SALES_TIMESERIES.name, partition_mapping=dg.AllPartitionMapping()),
            dg.AssetDep(PROMOTIONS.name, partition_mapping=dg.AllPartitionMapping()),
        ],
        group_name="models",
        owners=OWNERS,
        kinds={"scikitlearn"},
        description="Trained baseline: expected units from a series' own past, the calendar and promotions.",
        code_version=__version__,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool="refresh",
    )
    def train(config: TrainingConfig, warehouse: dg.ResourceParam[Warehouse]) -> dg.MaterializeResult[Any]:
        last_day = date.fromisoformat(config.last_day) if config.last_day else EVER.last_day
        with warehouse.store.transaction() as tx:
            series = tx.live(SALES_TIMESERIES, replace(EVER, last_day=last_day))
            promotions = tx.live(PROMOTIONS)
        if series.height == 0:
            raise UserMistake(
                "There is no series to learn from.", remedy="Run `mrs tick` with sales in the inbox first."
            )
        model, metrics = train_baseline(series, promotions, settings)
        artefact_hash = warehouse.models.save(dump(model))
        days = series["business_day"]
        row = {
            "retailer": "*",
            "business_day": days.max(),
            "model_name": BASELINE_MODEL,
            "model_version_id": artefact_hash[:12],
            "trained_on_from": days.min(),
            "trained_on_to": days.max(),
            "metrics": json.dumps(metrics, sort_keys=True),
            "artefact_hash": artefact_hash,
            "is_active": False,
        }
        with warehouse.store.transaction() as tx:
            _register(tx, row)
            if config.approved_by:
                approve(tx, BASELINE_MODEL, str(row["model_version_id"]), config.approved_by)
        return dg.MaterializeResult(
            metadata={
                "version": str(row["model_version_id"]),
                "approved_by": config.approved_by or "nobody yet",
                **metrics,
            }
        )

    return train


def approve(tx: Transaction, model_name: str, version: str, approved_by: str) -> None:
    """Put a version in force in place of the one before. Raises UserMistake where there is no such version."""
    known = tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN).filter(pl.col("model_name") == model_name)
    chosen = known.filter(pl.col("model_version_id") == version)
    if chosen.height == 0:
        versions = ", ".join(known["model_version_id"].to_list()) or "none"
        raise UserMistake(f"There is no {model_name} version {version!r}.", remedy=f"Versions: {versions}.")
    if chosen["is_active"][0]:
        return
    for row in [*_in_force(tx, model_name), *chosen.select(MODEL_REGISTRY.body.names()).to_dicts()]:
        is_chosen = row["model_version_id"] == version
        approval = {"approved_by": approved_by, "approved_at": tx.now} if is_chosen else {}
        _register(tx, row | {"is_active": is_chosen} | approval)


def _in_force(tx: Transaction, model_name: str) -> Iterator[dict[str, object]]:
    row = active_model(tx, model_name)
    if row is not None:
        yield {name: row[name] for name in MODEL_REGISTRY.body}


def _register(tx: Transaction, row: dict[str, Any]) -> None:
    """Offer one version; a version that is known already keeps its approval."""
    known = tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN).filter(
        (pl.col("model_name") == row["model_name"]) & (pl.col("model_version_id") == row["model_version_id"])
    )
    if known.height and not row["is_active"] and "approved_by" not in row:
        return
    frame = pl.DataFrame([row])
    tx.append(
        MODEL_REGISTRY, frame, replace(EVER, complete=False), Provenance(BASELINE_MODEL, __version__), run_id=SYSTEM_RUN
    )
