"""What a health view is: a table of every snapshot, filled by one declared statement."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from mrs_assets.contracts.columns import SQL_TYPES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.settings import Settings
from mrs_resources.contract_sql import live_rows_sql
from mrs_resources.log_store import SYSTEM_RUN

TEXT, COUNT, NUMBER, DAY, FLAG, TEXTS = (
    pl.String(),
    pl.Int64(),
    pl.Float64(),
    pl.Date(),
    pl.Boolean(),
    pl.List(pl.String),
)

Query = Callable[[str, dict[str, object]], pl.DataFrame]
"""Rows of a statement of a snapshot; values are parameters."""

NAMESPACE = f"run_id IN ($run_id, '{SYSTEM_RUN}')"
_PARAMETER = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class HealthView:
    """One table of a snapshot about the system itself.

    Attributes:
        name: of the table.
        title: what one row is.
        columns: name → polars type and meaning, in order.
        order: columns that the rows are sorted by.
        sql: statement that fills it, given the tables that the snapshot has.
        moves: whether it is asked again at another instant; otherwise what was published stands.
    """

    name: str
    title: str
    columns: Mapping[str, tuple[pl.DataType, str]]
    order: tuple[str, ...]
    sql: Callable[[Collection[str]], str]
    moves: bool = False

    @property
    def schema(self) -> pl.Schema:
        """Name → polars type."""
        return pl.Schema({name: dtype for name, (dtype, _) in self.columns.items()})

    @property
    def ddl(self) -> str:
        """Columns as SQL declares them."""
        return ", ".join(f'"{name}" {SQL_TYPES[dtype]}' for name, dtype in self.schema.items())

    def describe(self, column: str) -> str:
        """What a column means."""
        return self.columns[column][1]

    def rows(self, query: Query, tables: Collection[str], parameters: Mapping[str, object]) -> pl.DataFrame:
        """The rows, computed from a snapshot's logs."""
        kept = ", ".join(f'CAST("{name}" AS {SQL_TYPES[dtype]}) AS "{name}"' for name, dtype in self.schema.items())
        order = ", ".join(f'"{column}" NULLS FIRST' for column in self.order)
        sql = f"SELECT {kept} FROM ({self.sql(tables)}) ORDER BY {order}"
        asked = {name: parameters[name] for name in _PARAMETER.findall(sql)}
        return query(sql, asked).cast(self.schema)


def parameters_at(settings: Settings, run_id: str, now: datetime) -> dict[str, object]:
    """Values of the parameters that a view's statement may have.

    Returns:
        run_id; now (UTC); and in equal order retailers, zones (IANA) and restatement_days.
    """
    retailers = sorted(settings.retailers)
    return {
        "run_id": run_id,
        "now": now,
        "retailers": retailers,
        "zones": [settings.retailers[name].timezone for name in retailers],
        "restatement_days": [settings.retailers[name].restatement_days for name in retailers],
    }


def true_rows(contract: Contract, tables: Collection[str]) -> str:
    """SQL of a log's live rows, of the namespace or of the system; no row where it was never written."""
    return live_rows_sql(contract, NAMESPACE) if contract.name in tables else no_rows(contract)


def no_rows(contract: Contract) -> str:
    """SQL of a log that has no row."""
    columns = ", ".join(f'CAST(NULL AS {SQL_TYPES[dtype]}) AS "{name}"' for name, dtype in contract.schema.items())
    return f"SELECT {columns} WHERE false"
