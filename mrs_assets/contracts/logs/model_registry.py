"""`model_registry_log`: trained models and who let them speak."""

import polars as pl

from mrs_assets.contracts.columns import Instant, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows


class RegisteredModel(Rows):
    """One trained version of one model, with its approval."""

    model_name: str = name(description="Which model.")
    model_version_id: str = name(description="Version: a hash of the artefact and what it was trained on.")
    trained_on_from: pl.Date = required(description="First business day of the training data.")
    trained_on_to: pl.Date = required(description="Last business day of the training data.")
    metrics: str = optional(description="JSON: figures measured at training.")
    artefact_hash: str = required(description="SHA-256 of the artefact's bytes.")
    approved_by: str = optional(description="Who activated it; NULL: nobody.")
    approved_at: Instant = optional(description="When it was activated. UTC.")
    withdrawn_by: str = optional(description="Who withdrew it; NULL: nobody since it was activated.")
    withdrawn_at: Instant = optional(description="When it was withdrawn. UTC.")
    built_on: str = optional(description="JSON: model → version in force of it that it was learnt with.")
    inputs: str = optional(description="JSON: how its main inputs were distributed in what it learnt from.")
    is_active: bool = required(description="Whether inference uses it.")


MODEL_REGISTRY = Contract(
    name="model_registry_log", rows=RegisteredModel, key=("model_name", "model_version_id"), stage="detection"
)
