"""Trained artefacts: bytes kept by their hash, found through the registry."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import polars as pl

from mrs_assets.contracts.errors import MrsError
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_resources.log_store import SYSTEM_RUN, Transaction


class ArtefactMissing(MrsError):
    """An active model's artefact is not there, or is not the one that was registered."""


class ModelStore:
    """Artefacts under `home/models`, one file per content hash."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "models"

    def save(self, artefact: bytes) -> str:
        """Keep an artefact; returns its SHA-256."""
        digest = hashlib.sha256(artefact).hexdigest()
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{digest}.{os.getpid()}"
        temporary.write_bytes(artefact)
        temporary.replace(self._folder / digest)
        return digest

    def read(self, digest: str) -> bytes:
        """The artefact of a hash.

        Raises:
            ArtefactMissing: it is not there, or its bytes are not those that were registered.
        """
        try:
            artefact = (self._folder / digest).read_bytes()
        except OSError as error:
            raise ArtefactMissing(f"Model artefact {digest[:12]} cannot be read: {error.strerror}.") from None
        if hashlib.sha256(artefact).hexdigest() != digest:
            raise ArtefactMissing(f"Model artefact {digest[:12]} is not the one that was registered.")
        return artefact


def active_model(tx: Transaction, model_name: str) -> dict[str, object] | None:
    """The registry's row of the version in force, or None where nobody ever activated one."""
    rows = tx.live(MODEL_REGISTRY, run_id=SYSTEM_RUN).filter((pl.col("model_name") == model_name) & pl.col("is_active"))
    rows = rows.sort("approved_at", "model_version_id", descending=True)
    return rows.row(0, named=True) if rows.height else None
