"""The model registry: which versions there are, which one is in force, and who decided so.

A decision is an appended row of `model_registry_log`, which belongs to no run: what was approved stays in force when
`mrs reset` advances the namespace. Each function is a part of the caller's transaction, so that two decisions never
interleave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from mrs_assets.contracts.columns import RETAILER_SERIES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction
from mrs_resources.model_store import active_model

_DECISION: dict[str, object] = dict.fromkeys(("approved_by", "approved_at", "withdrawn_by", "withdrawn_at"))


def versions_of(tx: Transaction, model_name: str | None = None) -> pl.DataFrame:
    """Every registered version of a model, or of all models, as it stands now, sorted by model and first training."""
    rows = tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN)
    if model_name is not None:
        rows = rows.filter(pl.col("model_name") == model_name)
    first = (
        tx.history(MODEL_REGISTRY, run_id=SYSTEM_RUN)
        .group_by(MODEL_REGISTRY.key)
        .agg(pl.col("written_at").min().alias("registered_at"))
    )
    return rows.join(first, on=MODEL_REGISTRY.key).sort("model_name", "registered_at", "model_version_id")


def register(tx: Transaction, row: Mapping[str, object], provenance: Provenance) -> None:
    """Enter a trained version that is not in force; one that is known already stays as it is."""
    known = versions_of(tx, str(row["model_name"])).filter(pl.col("model_version_id") == row["model_version_id"])
    if known.is_empty():
        _append(tx, [{**row, **_DECISION, "is_active": False}], provenance)


def approve(tx: Transaction, model_name: str, version: str, actor: str, provenance: Provenance) -> None:
    """Put a version in force in place of the one before; one that is in force already stays so.

    Raises:
        UserMistake: nobody approves, or there is no such version.
    """
    _refuse_nobody(actor)
    known = versions_of(tx, model_name)
    if version not in known["model_version_id"]:
        versions = ", ".join(known["model_version_id"]) or "none; `mrs models train` makes one"
        raise UserMistake(f"There is no {model_name} version {version!r}.", remedy=f"Versions: {versions}.")
    chosen = pl.col("model_version_id") == version
    if known.filter(chosen & pl.col("is_active")).height:
        return
    rows = [_body(row) | {"is_active": False} for row in known.filter("is_active").to_dicts()]
    approval = {"approved_by": actor, "approved_at": tx.now, "is_active": True}
    _append(tx, [*rows, _body(known.filter(chosen).row(0, named=True)) | _DECISION | approval], provenance)


def rollback(tx: Transaction, model_name: str, actor: str, provenance: Provenance) -> str:
    """Put the version in force again that was so before the present one; returns it.

    A version that was rolled back from, or withdrawn, is not gone back to.

    Raises:
        UserMistake: nobody decides, none is in force, or none was before.
    """
    _refuse_nobody(actor)
    path = path_of(tx, model_name)
    present = active_model(tx, model_name)
    if present is None:
        raise UserMistake(
            f"No version of {model_name} is in force.",
            remedy="`mrs models approve` puts one in force; nothing changed.",
        )
    if len(path) < 2:
        raise UserMistake(
            f"No version of {model_name} was in force before {present['model_version_id']}.",
            remedy="Approve another one by its version, or withdraw this one; nothing changed.",
        )
    approve(tx, model_name, path[-2], actor, provenance)
    return path[-2]


def withdraw(tx: Transaction, model_name: str, actor: str, provenance: Provenance) -> str:
    """Leave no version of a model in force; returns the one that was.

    Raises:
        UserMistake: nobody decides, or none is in force.
    """
    _refuse_nobody(actor)
    present = active_model(tx, model_name)
    if present is None:
        raise UserMistake(f"No version of {model_name} is in force.", remedy="Nothing changed.")
    withdrawal = {"withdrawn_by": actor, "withdrawn_at": tx.now, "is_active": False}
    _append(tx, [_body(present) | withdrawal], provenance)
    return str(present["model_version_id"])


def path_of(tx: Transaction, model_name: str) -> list[str]:
    """Versions that were in force one after the other, the newest last.

    Going back to an earlier one takes those after it off the path, and a withdrawal the one that is withdrawn.
    """
    rows = tx.history(MODEL_REGISTRY, run_id=SYSTEM_RUN).filter(pl.col("model_name") == model_name)
    told = rows.sort("written_at", "is_active").select("model_version_id", "is_active", "withdrawn_at")
    path: list[str] = []
    for version, is_active, withdrawn_at in told.iter_rows():
        if is_active and version in path:
            del path[path.index(version) + 1 :]
        elif is_active:
            path.append(version)
        elif withdrawn_at is not None and path[-1:] == [version]:
            path.pop()
    return path


def reports_of_version(tx: Transaction, contract: Contract, version: str) -> list[str]:
    """Reports that rest on live rows which a model version computed, sorted.

    Args:
        tx: the open transaction.
        contract: the log of these rows: one of reports, or one of series, of which rows inside a report's window count.
        version: a registered version, as the rows name it.
    """
    by_version = pl.col("model_version") == version
    if "report_id" in contract.body:
        return sorted(tx.live(contract).filter(by_version)["report_id"].unique())
    until = pl.coalesce("window_end", "tick").alias("until")
    reports = tx.live(DETECTED).select(*RETAILER_SERIES, "report_id", "window_start", until)
    if reports.is_empty():
        return []
    stores = tuple(sorted(set(reports["store_id"])))
    moment = "ts" if "ts" in contract.key else "tick"
    rows = (
        tx.live(contract, replace(EVER, stores=stores))
        .filter(by_version)
        .select(*RETAILER_SERIES, pl.col(moment).alias("at"))
    )
    inside = pl.col("at").is_between("window_start", "until")
    return sorted(reports.join(rows, on=RETAILER_SERIES).filter(inside)["report_id"].unique())


def _refuse_nobody(actor: str) -> None:
    if not actor.strip():
        raise UserMistake("Somebody has to decide.", remedy="Say who with --as; nothing changed.")


def _body(row: Mapping[str, object]) -> dict[str, object]:
    return {name: row[name] for name in MODEL_REGISTRY.body}


def _append(tx: Transaction, rows: list[dict[str, object]], provenance: Provenance) -> None:
    frame = pl.DataFrame(rows, schema_overrides=MODEL_REGISTRY.body, infer_schema_length=None)
    tx.append(MODEL_REGISTRY, frame, replace(EVER, complete=False), provenance, run_id=SYSTEM_RUN)
