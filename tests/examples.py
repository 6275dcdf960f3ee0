"""Rows that keep a contract, made from its declaration alone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from mrs_assets.contracts.contract import Contract

EPOCH = datetime(2024, 3, 1, tzinfo=UTC)
PREFIXES = {
    "report_group_id|supersedes": "ME-",
    "^report_id": "MR-",
    "^letter_id": "DL-",
    "^alert_id|^parent_id": "AL-",
    "^proposal_id": "novel-",
}
"""Names of columns that hold identities → how these begin."""


def example_rows(contract: Contract, count: int = 3, *, retailer: str = "acme", variant: int = 0) -> pl.DataFrame:
    """`count` valid rows with distinct keys, one business day apart; `variant` changes the payload, not the key."""
    rows = []
    for n in range(count):
        row: dict[str, Any] = {}
        for name, dtype in contract.body.items():
            seed = n if name in contract.key or name in ("business_day",) else n + 10 * variant
            row[name] = _value(contract, name, dtype, seed)
        row |= {"retailer": retailer, "business_day": date(2024, 3, 1) + timedelta(days=n)}
        row |= {"is_degraded": False, "degraded_reasons": [], "model_version": None}
        rows.append(row)
    return pl.DataFrame(rows, schema=contract.body)


def _value(contract: Contract, name: str, dtype: pl.DataType, seed: int) -> Any:
    allowed = _allowed(contract, name)
    if allowed:
        return allowed[seed % len(allowed)]
    if dtype == pl.String():
        return _text(name, seed)
    by_type: dict[pl.DataType, Any] = {
        pl.Date(): date(2024, 3, 1) + timedelta(days=seed),
        pl.Boolean(): seed % 2 == 0,
        pl.Int64(): seed + 1,
        pl.Float64(): (seed % 10) / 10,
        pl.Datetime("us", "UTC"): EPOCH + timedelta(days=seed),
        pl.Decimal(18, 4): Decimal(seed) + Decimal("0.2500"),
        pl.List(pl.String): [f"a{seed}", "b"],
        pl.List(pl.Float64): [0.5, float(seed)],
    }
    return by_type[dtype]


def _allowed(contract: Contract, name: str) -> list[Any]:
    column = contract.rows.to_schema().columns[name]
    if name == "report_status":
        pattern = next(str(c.statistics["pattern"]) for c in column.checks if c.name == "str_matches")
        return [str(re.findall(r"[a-z]+", pattern)[0])]
    return next((list(c.statistics["allowed_values"]) for c in column.checks if c.name == "isin"), [])


def _text(name: str, seed: int) -> str:
    digits = f"{seed:x}"
    prefix = next((prefix for pattern, prefix in PREFIXES.items() if re.search(pattern, name)), None)
    if prefix is not None:
        return prefix + digits.rjust(20, "0")
    if name in ("opens_at", "closes_at"):
        return f"{seed % 20:02d}:30"
    return digits.rjust(64, "0") if name.endswith("_hash") else f"{name}-{seed}"
