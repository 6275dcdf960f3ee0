"""Which rows of a log are read where all of them are more than memory holds: whole stores, then the newest days."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.scope import Scope
from mrs_resources.log_store import Transaction

EVERY_STORE = "*"
"""Rows that concern every store are read whichever stores are drawn."""


def draw(tx: Transaction, contracts: Iterable[Contract], scope: Scope, most_rows: int) -> tuple[Scope, str | None]:
    """The part of a scope of which no log has more than about so many rows; the same draw every time.

    Stores are taken in the order of a hash of their names.

    Args:
        tx: the open transaction.
        contracts: logs that are to be read.
        scope: what would be read.
        most_rows: rows of one log, every version counted.

    Returns:
        The scope, and what was drawn, in words; None where it is everything.
    """
    sizes = {contract: tx.rows_per_store(contract, scope) for contract in contracts}
    largest = max(sizes, key=lambda contract: sum(rows for _, rows in sizes[contract]), default=None)
    if largest is None or sum(rows for _, rows in sizes[largest]) <= most_rows:
        return scope, None
    chosen: list[str] = []
    total = 0
    for store, rows in sorted(sizes[largest], key=lambda size: hashlib.sha256(size[0].encode()).hexdigest()):
        if not chosen or total + rows <= most_rows:
            chosen.append(store)
            total += rows
    told = f"{len(chosen)} of {len(sizes[largest])} stores"
    part = replace(scope, stores=(*sorted(chosen), EVERY_STORE))
    if total <= most_rows:
        return part, told
    first, last = _span(tx, largest, part)
    days = max(1, (last - first).days * most_rows // total)
    return replace(part, first_day=last - timedelta(days=days)), f"the newest {days} days of {told}"


def _span(tx: Transaction, contract: Contract, scope: Scope) -> tuple[date, date]:
    rows = tx.query(
        f"SELECT min(business_day) AS first, max(business_day) AS last FROM {contract.name} "
        "WHERE run_id = $run AND business_day BETWEEN $first AND $last AND store_id IN (SELECT unnest($stores))",
        {"run": tx.run_id, "first": scope.first_day, "last": scope.last_day, "stores": list(scope.stores or ())},
    )
    first, last = rows.row(0)
    return first, last
