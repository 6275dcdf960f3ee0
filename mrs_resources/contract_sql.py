"""SQL that follows from a contract: column lists, key comparison, content hash, scope. Nothing is executed here."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.scope import Scope


def quoted(columns: tuple[str, ...] | list[str], alias: str = "") -> str:
    """Column names of a contract as SQL, with a table alias."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(f'{prefix}"{c}"' for c in columns)


def same_key(contract: Contract, left: str, right: str) -> str:
    """SQL condition: two rows have the same key."""
    return " AND ".join(f'{left}."{c}" = {right}."{c}"' for c in contract.key)


def row_hash_sql(contract: Contract) -> str:
    """SQL expression of the content hash: MD5 over the hashed columns as text.

    Text is prefixed by its length and NULL is written as a lone `~`, so that no two different rows read the same.
    Instants are microseconds since 1970, which costs a sixth of writing them as dates.
    """
    parts = []
    for column in contract.hashed:
        moment = isinstance(contract.body[column], pl.Datetime)
        text = f"CAST({f'epoch_us({chr(34)}{column}{chr(34)})' if moment else quoted([column])} AS VARCHAR)"
        if contract.body[column] in (pl.String(), pl.List(pl.String)):
            text = f"length({text}) || ':' || {text}"
        parts.append(f"coalesce({text}, '~')")
    return f"md5(concat_ws('|', {', '.join(parts)}))"


def scope_sql(scope: Scope, contract: Contract, run_id: str) -> tuple[str, list[object]]:
    """SQL condition and parameters that select a scope's rows of one namespace."""
    conditions, values = ["run_id = ?", "business_day BETWEEN ? AND ?"], [run_id, scope.first_day, scope.last_day]
    parameters: list[object] = [*values]
    if scope.retailer is not None:
        conditions.append("retailer = ?")
        parameters.append(scope.retailer)
    if scope.stores is not None and "store_id" in contract.body:
        conditions.append("store_id IN (SELECT unnest(?))")
        parameters.append(list(scope.stores))
    if scope.subjects is not None:
        conditions.append(f'"{contract.key[0]}" IN (SELECT unnest(?))')
        parameters.append(list(scope.subjects))
    return " AND ".join(conditions), parameters


def live_rows_sql(contract: Contract, condition: str) -> str:
    """Rows of a log that are true, of those that meet a condition: per key the newest version, unless retracted.

    Few keys have a second version, so what is older than it is sooner left out than the newest of all found. The
    condition, and so its parameters, are there twice.
    """
    key = quoted(list(contract.key))
    return (
        f"SELECT r.* FROM {contract.name} r ANTI JOIN "
        f"(SELECT run_id, {key}, version FROM {contract.name} WHERE {condition} AND version > 1) n "
        f"ON r.run_id = n.run_id AND {same_key(contract, 'r', 'n')} AND r.version < n.version "
        f"WHERE {condition} AND NOT r.is_retracted"
    )


def changing_rows_sql(contract: Contract, condition: str, columns: Collection[str]) -> str:
    """Rows that differ from their version before in some columns, of keys that were written after `$since`.

    A retraction differs from no other, nor from no version at all.
    """
    key = quoted(list(contract.key))
    told = f"CASE WHEN NOT is_retracted THEN row({quoted([*contract.key, *columns])}) END"
    return (
        f"SELECT * FROM {contract.name} WHERE {condition} "
        f"AND ({key}) IN (SELECT {key} FROM {contract.name} WHERE {condition} AND written_at > $since) "
        f"QUALIFY {told} IS DISTINCT FROM lag({told}) OVER (PARTITION BY {key} ORDER BY version)"
    )


def degraded_days_sql(contract: Contract, *, mended_later: bool = False) -> str:
    """SQL of live degraded rows by business day, reason and, where rows tell of an end, why it ended.

    Parameters: `$run_id`; with `mended_later` also `$instant`, after which what mended a row leaves it counted.
    Columns: retailer, business_day, reason, resolution_reason (NULL where there is none), rows, written_at (the newest
    of the rows, UTC).
    """
    ended = "resolution_reason" if "resolution_reason" in contract.body else "CAST(NULL AS VARCHAR)"
    in_time = "AND n.written_at <= $instant " if mended_later else ""
    return (
        f"WITH marked AS (SELECT * FROM {contract.name} WHERE run_id = $run_id AND is_degraded AND NOT is_retracted), "
        f"reasons AS (SELECT retailer, business_day, unnest(degraded_reasons) AS reason, {ended} AS resolution_reason, "
        "written_at FROM marked m "
        f"WHERE NOT EXISTS (SELECT 1 FROM {contract.name} n WHERE n.run_id = $run_id AND n.version > m.version "
        f"{in_time}AND {same_key(contract, 'm', 'n')})) "
        "SELECT retailer, business_day, reason, resolution_reason, "
        "count(*) AS rows, max(written_at) AS written_at FROM reasons GROUP BY ALL"
    )


def place_in_batch(contract: Contract) -> str:
    """SQL: microseconds that a row is written after its batch began.

    A report has one row per tick. Rows of later ticks are written later, so that (report_id, written_at, version,
    store_id, sku) tells them apart.
    """
    if is_of_one_instant(contract):
        return "0"
    return f"dense_rank() OVER (ORDER BY {quoted([c for c in contract.key if c != 'report_id'], 'o')}) - 1"


def is_of_one_instant(contract: Contract) -> bool:
    """Whether all rows of a batch are written at one instant, retractions apart."""
    return "report_id" not in contract.key or len(contract.key) == 1
