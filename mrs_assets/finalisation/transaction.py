"""The part of a transaction that finalisation needs."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.scope import Scope

Appended_co = TypeVar("Appended_co", covariant=True)
Provenance_contra = TypeVar("Provenance_contra", contravariant=True)


class Warehouse(Protocol[Provenance_contra, Appended_co]):
    """The part of a transaction that finalisation needs."""

    run_id: str

    def ensure(self, *contracts: Contract) -> None:
        """Make sure that the logs' tables exist."""

    def query(self, sql: str, parameters: Any = None) -> pl.DataFrame:
        """Rows of a query."""
        ...

    def append(
        self, contract: Contract, frame: pl.DataFrame, scope: Scope, provenance: Provenance_contra
    ) -> Appended_co:
        """Offer rows to a log."""
        ...
