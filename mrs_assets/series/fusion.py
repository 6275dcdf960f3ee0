"""Several sources that count the same sales, made one value: a weighted mean, and what it had to do without.

A source's word on a store, SKU and tick is a row of its own. Where the retailer says that silence is zero, a source
that told the store's tick whole and lists the product says zero. Nothing else is ever put in its place.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

import polars as pl

from mrs_assets.contracts.settings import Retailer
from mrs_assets.series.facts import AMOUNT, AT, VALUES, price
from mrs_assets.series.grid import known_ticks

DIVERGENCE = 0.75
"""Spread over mean above which sources diverge; from practice, not fitted."""
VOLUME = 20
"""Fewer units than this agree and disagree by chance: 5 % of 20 is one unit."""
NEEDED = 2
"""Sources that a value must rest on, where as many are expected to tell it."""
_WORD = [*VALUES, "heard", "declared", "is_told"]
_STORE_TICK = ["store_id", "ts"]


def source_word(own: pl.DataFrame, ticks: pl.DataFrame, presence: pl.DataFrame, *, zero: bool) -> pl.DataFrame:
    """What one source says of every tick of the products that it listed at it or in the 56 days before its day.

    Args:
        own: result of `told_facts`, this source only.
        ticks: the ticks asked for.
        presence: result of `source_presence` for this source.
        zero: whether a product that a source leaves out sold nothing.

    Returns:
        business_day, store_id, sku, ts, the values, `heard` (the source speaks), `declared` (it says that it has no
        count), `is_told` (it has a row).
    """
    told = own.select(*AT, "business_day", *VALUES, "heard", "declared")
    rows = known_ticks(told, ticks).join(presence.select(*_STORE_TICK, "whole"), on=_STORE_TICK, how="left")
    implied = ~pl.col("is_told") & pl.col("whole") & pl.lit(zero)
    nothing = pl.lit(0).cast(AMOUNT)
    return rows.with_columns(
        *(pl.when(implied).then(nothing).otherwise(c).alias(c) for c in ("units", "revenue")),
        heard=implied | pl.col("heard").fill_null(value=False),
        declared=pl.col("declared").fill_null(value=False),
    ).select("business_day", *AT, *_WORD)


def fused(words: Mapping[str, pl.DataFrame], presences: Mapping[str, pl.DataFrame], retailer: Retailer) -> pl.DataFrame:
    """One row per store, SKU and tick of which any counting source knows.

    Units are the mean of the sources' units, weighted by reliability; of one source, exactly its units. Revenue is what
    the sources that tell it took per unit, times those units. Addition is in the order of the names, so that a row has
    the same bits in whatever range it is computed.

    Args:
        words: result of `source_word` per counting source.
        presences: result of `source_presence` per counting source.
        retailer: its sources.

    Returns:
        business_day, store_id, sku, ts, the values, `has_fact` (a source speaks), `diverges`, `degraded_reasons`, and
        whether a source that is missed has no row (`mute`).
    """
    names = sorted(words)
    wide = pl.concat(words[name].select("business_day", *AT) for name in names).unique()
    for n, name in enumerate(names):
        said = words[name].select(*AT, *(pl.col(c).alias(f"{c}_{n}") for c in _WORD))
        expected = presences[name].select(*_STORE_TICK, "missed", "gone")
        wide = wide.join(said, on=AT, how="left").join(expected, on=_STORE_TICK, how="left")
        lists = pl.col(f"heard_{n}").is_not_null() | pl.col("gone")
        missed = pl.col("missed") & lists & ~pl.col(f"declared_{n}").fill_null(value=False)
        wide = wide.with_columns(missed.fill_null(value=False).alias(f"missed_{n}")).drop("missed", "gone")
    every = range(len(names))
    weights = [retailer.source(name).reliability for name in names]
    units = [pl.col(f"units_{n}") for n in every]
    said_promotion = [pl.col(f"on_promotion_{n}").cast(pl.Int8) for n in every]
    reasons, mute = _missing(names, units)
    return wide.select(
        "business_day",
        *AT,
        weighted_mean(units, weights).alias("units"),
        _money(units, [pl.col(f"revenue_{n}") for n in every], weights).alias("revenue"),
        weighted_mean([pl.col(f"unit_price_{n}") for n in every], weights).alias("unit_price"),
        pl.max_horizontal(said_promotion).cast(pl.Boolean).alias("on_promotion"),
        has_fact=pl.any_horizontal(pl.col(f"heard_{n}").fill_null(value=False) for n in every),
        diverges=_diverges(units),
        degraded_reasons=reasons,
        mute=mute,
    ).with_columns(price().alias("unit_price"))


def _missing(names: Sequence[str], units: Sequence[pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    """`<source>_down` of each source without units, where a value rests on fewer than two of two or more expected.

    Also whether one of them has no row at all. Reads `missed_<n>` and `is_told_<n>`.
    """
    missed = [pl.col(f"missed_{n}") for n in range(len(names))]
    low = (_sum(m.cast(pl.Int32) for m in missed) >= NEEDED) & (_count(units) == 1)
    down = [low & m & value.is_null() for m, value in zip(missed, units, strict=True)]
    told = [pl.col(f"is_told_{n}").fill_null(value=False) for n in range(len(names))]
    codes = [pl.when(d).then(pl.lit(f"{name}_down")) for d, name in zip(down, names, strict=True)]
    mute = pl.any_horizontal(d & ~t for d, t in zip(down, told, strict=True))
    return pl.concat_list(codes).list.drop_nulls().list.sort(), mute


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
