"""Cuts what a stage is to compute into pieces that are small enough to be held: by stores, or by days."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from mrs_assets.boundary.reading import InputReader
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Stage
from mrs_resources.log_store import Transaction

ROWS_AT_ONCE = 4_000_000
"""Input rows held at once by a stage; a wider scope is computed piece by piece."""

LEAST_DAYS = 28
"""Days below which a stage that sees its whole retailer is not cut: its look-back would be read too often."""

ROWS_WORTH_A_WORKER = 100_000
"""Input rows below which it costs more to have another worker compute them than to do it here."""

PIECES_PER_WORKER = 4
"""Pieces by stores that each of several workers gets, where there is enough: one writes while the others compute."""


def pieces(tx: Transaction, stage: Stage, scope: Scope, reader: InputReader, workers: int = 1) -> list[Scope]:
    """Pieces of a scope, on all days of each of which the same feeds are there.

    A stage that sees its own store is cut by stores, one that sees its retailer by days, one that sees everything not.

    Args:
        tx: the open transaction.
        stage: whose scope.
        scope: what is to be computed.
        reader: of its inputs.
        workers: how many can compute at the same time; for more than one it is cut finer, where there is enough.
    """
    spans = reader.spans(tx, stage, scope)
    if stage.span == "store":
        groups = _groups_of_stores(tx, stage, scope, workers)
        return [replace(span, stores=stores) for stores in groups for span in spans]
    if stage.span == "retailer":
        return [piece for span in spans for piece in _cut(span, _days_at_once(tx, stage, span, workers))]
    return spans


def independent(stage: Stage, parts: Sequence[Scope]) -> list[list[Scope]]:
    """Parts that may be computed at the same time; those of one list only one after the other.

    What a stage that reads its own past writes of a store may be read by that store's later days.
    """
    if not stage.reads_its_past:
        return [[part] for part in parts]
    by_stores: dict[tuple[str, ...] | None, list[Scope]] = {}
    for part in parts:
        by_stores.setdefault(part.stores, []).append(part)
    return list(by_stores.values())


def _groups_of_stores(tx: Transaction, stage: Stage, scope: Scope, workers: int) -> list[tuple[str, ...] | None]:
    """Groups of stores small enough to compute at once, of about the same size; None: all that the scope has."""
    sizes = _rows_per_store(tx, stage, scope)
    total = sum(size for _, size in sizes)
    shares = _shares(total, workers * PIECES_PER_WORKER if workers > 1 else 1)
    groups: list[tuple[str, ...]] = []
    rows = before = filling = 0
    for store, size in sizes:
        share = min((2 * before + size) * shares // (2 * total), shares - 1) if total else 0
        if groups and rows + size <= ROWS_AT_ONCE and share == filling:
            groups[-1] = (*groups[-1], store)
            rows += size
        else:
            groups.append((store,))
            rows = size
        before, filling = before + size, share
    return [scope.stores] if len(groups) == 1 else list(groups)


def _shares(rows: int, most: int) -> int:
    """How many shares of some rows it is worth to give to workers."""
    return max(1, min(most, rows // ROWS_WORTH_A_WORKER))


def _rows_per_store(tx: Transaction, stage: Stage, scope: Scope) -> Sequence[tuple[str, int]]:
    """Stores that a stage reads or has written, with the rows of its largest input."""
    sizes: dict[str, int] = {}
    read = [(i.contract, i.around(scope)) for i in stage.needs.values()]
    for contract, where in [*read, *((written, scope) for written in stage.writes)]:
        for store, rows in tx.rows_per_store(contract, where):
            sizes[store] = max(rows, sizes.get(store, 0))
    return sorted(sizes.items())


def _days_at_once(tx: Transaction, stage: Stage, scope: Scope, workers: int) -> int:
    """Days whose rows of the largest input, look-back included, are few enough; LEAST_DAYS or more."""
    days = len(scope.days)
    if days <= LEAST_DAYS:
        return days
    most, largest = days, 0
    for wanted in stage.reads:
        stored = sum(rows for _, rows in tx.rows_per_store(wanted.contract, replace(scope, stores=None)))
        largest = max(largest, stored)
        if stored and wanted.others is not None:
            most = min(most, ROWS_AT_ONCE * days // stored - wanted.of_others.days_before)
    return max(min(most, -(-days // _shares(largest, workers))), LEAST_DAYS)


def _cut(scope: Scope, days: int) -> Iterator[Scope]:
    first = scope.first_day
    while first <= scope.last_day:
        last = min(first + timedelta(days=days - 1), scope.last_day)
        yield replace(scope, first_day=first, last_day=last)
        first = last + timedelta(days=1)
