"""Several sources that count the same sales, made one value: a weighted mean, and what it had to do without.

A source's word on a store, SKU and tick is a row of its own or, where the retailer says that silence is zero and the
source told the store's tick whole, a zero. Nothing else is ever put in its place.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from functools import reduce

import polars as pl

from mrs_assets.contracts.settings import Retailer
from mrs_assets.series.facts import AMOUNT, AT, VALUES, price

DIVERGENCE = 0.75
"""Spread over mean above which sources diverge; the feed's own practice."""
VOLUME = 20
"""Fewer units than this agree and disagree by chance: 5 % of 20 is one unit."""
NEEDED = 2
"""Sources that a value must rest on, where as many are declared."""
PLACE = [*AT, "business_day", "slot", "weekday"]


def fused(told: pl.DataFrame, presence: pl.DataFrame, names: Sequence[str], retailer: Retailer) -> pl.DataFrame:
    """One row per store, SKU and tick that any counting source told.

    Units are the mean of the sources' units, weighted by reliability; of one source, exactly its units. Revenue is what
    the sources that tell it took per unit, times those units. Addition is in the order of the names, so that a row has
    the same bits in whatever range it is computed.

    Args:
        told: result of `told_facts`, counting sources only.
        presence: result of `presence_of_all`.
        names: the counting sources, sorted.
        retailer: its sources, and what silence means.

    Returns:
        store_id, sku, ts, business_day, slot, weekday, the values, `heard`, `diverges` and `reasons`.
    """
    wide = told.select(PLACE).unique().join(presence.drop("business_day"), on=["store_id", "ts"], how="left")
    for n, name in enumerate(names):
        wide = _with_word(wide, told.filter(pl.col("source") == name), n, zero=retailer.absent_sku == "zero")
    every = range(len(names))
    weights = [retailer.source(name).reliability for name in names]
    units = [pl.col(f"units_{n}") for n in every]
    return wide.select(
        *PLACE,
        weighted_mean(units, weights).alias("units"),
        _money(units, [pl.col(f"revenue_{n}") for n in every], weights).alias("revenue"),
        weighted_mean([pl.col(f"unit_price_{n}") for n in every], weights).alias("unit_price"),
        pl.max_horizontal(pl.col(f"on_promotion_{n}").cast(pl.Int8) for n in every)
        .cast(pl.Boolean)
        .alias("on_promotion"),
        heard=pl.any_horizontal(pl.col(f"heard_{n}") for n in every),
        diverges=_diverges(units),
        reasons=reasons(names, [value.is_not_null() for value in units]),
    ).with_columns(price().alias("unit_price"))


def _with_word(wide: pl.DataFrame, own: pl.DataFrame, n: int, *, zero: bool) -> pl.DataFrame:
    """Adds what one source says of each row: `<value>_<n>`, `heard_<n>`; `missed_<n>` no more where it says why."""
    columns = [*VALUES, "dark", "conflict", "declared"]
    wide = wide.join(own.select(*AT, *(pl.col(c).alias(f"{c}_{n}") for c in columns)), on=AT, how="left")
    silent = pl.col(f"dark_{n}").is_null()
    implied = silent & pl.col(f"whole_{n}").fill_null(value=False) & pl.lit(zero)
    nothing = pl.lit(0).cast(AMOUNT)
    unheard = silent | pl.col(f"dark_{n}") | pl.col(f"conflict_{n}")
    return wide.with_columns(
        *(pl.when(implied).then(nothing).otherwise(f"{c}_{n}").alias(f"{c}_{n}") for c in ("units", "revenue")),
        (implied | ~unheard).fill_null(value=False).alias(f"heard_{n}"),
        (pl.col(f"missed_{n}") & ~pl.col(f"declared_{n}").fill_null(value=False)).alias(f"missed_{n}"),
    )


def presence_of_all(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Presences of the counting sources side by side: store_id, ts, business_day, `whole_<n>`, `missed_<n>`."""
    named = [part.rename({"whole": f"whole_{n}", "missed": f"missed_{n}"}) for n, part in enumerate(parts)]
    return reduce(lambda left, right: left.join(right, on=["store_id", "ts", "business_day"], how="left"), named)


def reasons(names: Sequence[str], valid: Sequence[pl.Expr]) -> pl.Expr:
    """`<source>_down` for each source that is missed and not valid, where fewer than two of two or more are valid.

    Reads `missed_<n>`.
    """
    missed = [pl.col(f"missed_{n}").fill_null(value=False) for n in range(len(names))]
    low = (pl.sum_horizontal(missed) >= NEEDED) & (pl.sum_horizontal(valid) < NEEDED)
    absent = [
        pl.when(low & missed[n] & ~valid[n]).then(pl.lit(f"{name}_down")).otherwise(pl.lit(None, dtype=pl.String))
        for n, name in enumerate(names)
    ]
    return pl.concat_list(absent).list.drop_nulls()


def weighted_mean(values: Sequence[pl.Expr], weights: Sequence[float]) -> pl.Expr:
    """Weighted mean of the values that are there, to four decimals; of one value, that value; of none, NULL."""
    mean = _over(_weighted(values, weights), _weight(values, weights))
    return pl.when(_count(values) > 1).then(mean.round(4).cast(AMOUNT)).otherwise(pl.coalesce(values))


def _money(units: Sequence[pl.Expr], revenues: Sequence[pl.Expr], weights: Sequence[float]) -> pl.Expr:
    """Revenue that goes with the mean of the units: exactly what one source told, or what the tellers took per unit."""
    told = [value.is_not_null() & money.is_not_null() for value, money in zip(units, revenues, strict=True)]
    sold = [pl.when(both).then(value) for both, value in zip(told, units, strict=True)]
    taken = [pl.when(both).then(money) for both, money in zip(told, revenues, strict=True)]
    mean = _over(_weighted(taken, weights), _weight(taken, weights))
    sold_mean = _over(_weighted(sold, weights), _weight(sold, weights))
    all_mean = _over(_weighted(units, weights), _weight(units, weights))
    some = _count(taken) < _count(units)
    scale = pl.when(some).then(_over(all_mean, sold_mean)).fill_null(1.0)
    scaled = (mean * scale).round(4).cast(AMOUNT, strict=False)
    return (
        pl.when(_count(units) == 0)
        .then(pl.coalesce(revenues))
        .when(_count(units) == 1)
        .then(pl.coalesce(taken))
        .when(_count(taken) > 0)
        .then(scaled)
    )


def _diverges(units: Sequence[pl.Expr]) -> pl.Expr:
    highest, lowest = pl.max_horizontal(units).cast(pl.Float64), pl.min_horizontal(units).cast(pl.Float64)
    mean = _weighted(units, [1.0] * len(units)) / _count(units)
    apart = (highest >= VOLUME) & (_over(highest - lowest, mean) > DIVERGENCE)
    return apart.fill_null(value=False)


def _weighted(values: Sequence[pl.Expr], weights: Sequence[float]) -> pl.Expr:
    weighed = zip(values, weights, strict=True)
    return _sum((value.cast(pl.Float64) * weight).fill_null(0.0) for value, weight in weighed)


def _weight(values: Sequence[pl.Expr], weights: Sequence[float]) -> pl.Expr:
    weighed = zip(values, weights, strict=True)
    return _sum(pl.when(value.is_not_null()).then(weight).otherwise(0.0) for value, weight in weighed)


def _over(above: pl.Expr, below: pl.Expr) -> pl.Expr:
    """A quotient; NULL where the divisor is not positive."""
    return pl.when(below > 0).then(above / below)


def _count(values: Iterable[pl.Expr]) -> pl.Expr:
    return _sum(value.is_not_null().cast(pl.Int32) for value in values)


def _sum(terms: Iterable[pl.Expr]) -> pl.Expr:
    """From left to right: `sum_horizontal` may associate as it likes."""
    return reduce(operator.add, terms)
