"""What the series says about prices around a report's window, and how far a change of them can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from math import log

import polars as pl

from mrs_assets.attribution.facts import sums_between
from mrs_assets.contracts.columns import SERIES

PRICE_STEP = 0.05
FULL_PRICE_STEP = 0.30
"""Price changes count from 5 % on and count fully from 30 % on."""

FEWEST_PRICES = 7
"""Priced ticks in the 28 days before from which on the usual variation is known."""

STEADY_FROM, STEADY_AT = 1.0, 3.0
"""A change counts from one usual deviation of the price on, and fully from three on."""

STEADY_PRICE = 0.02
"""A price that usually varies by less than 2 % is one product's list price: its change needs no other store."""

ALONE_SHARE = 0.4
UNCOMPARED_SHARE = 0.7
"""What is left of a change that no other store shows, and of one that there is no other store to compare with."""

_SCALE = 10**4


def price_facts(reports: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Find the price change of each bounded report row.

    Prices are revenue per unit sold, in the retailer's currency. Where a `sku` is really a group of products, a
    basket of cheap ones lowers that mean without any price having changed: hence the comparison with the usual
    variation and with the other stores.

    Returns:
        row; price_step (log of the price in the window over that of the 28 days before); price_evidence (0–1: size of
        the step × how unusual it is × how far the other stores' prices of the product moved along); price_compared
        (whether those of other stores matter to it). NULL where there are no prices.
    """
    of_items = _priced(series.join(reports, on="sku", how="semi"))
    items = of_items.group_by("sku", "ts").agg(pl.col("sold", "earned").sum())
    priced = _with_logs(of_items.join(reports, on=SERIES, how="semi"))
    window, before = ("began_at", "until"), ("before_at", "began_at")
    money = ["sold", "earned"]
    parts = [
        sums_between(reports, priced, SERIES, money, window),
        sums_between(reports, priced, SERIES, [*money, "prices", "logs", "squares"], before).rename(
            _suffixed("_before")
        ),
        sums_between(reports, items, ["sku"], money, window).rename(_suffixed("_item")),
        sums_between(reports, items, ["sku"], money, before).rename(_suffixed("_item_before")),
    ]
    both = parts[0]
    for part in parts[1:]:
        both = both.join(part, on="row")
    others = [
        (pl.col(f"{name}_item{when}") - pl.col(f"{name}{when}")).alias(f"{name}_others{when}")
        for name in money
        for when in ("", "_before")
    ]
    return (
        both.with_columns(others)
        .select(
            "row",
            price_step=_change("sold", "earned", "sold_before", "earned_before"),
            others_step=_change("sold_others", "earned_others", "sold_others_before", "earned_others_before"),
            deviation=_deviation(),
        )
        .with_columns(alone=_alone())
        .select("row", "price_step", price_evidence=_evidence(), price_compared=(pl.col("alone") > 0) & ~_is_steady())
    )


def _suffixed(suffix: str) -> Callable[[str], str]:
    return lambda name: name if name == "row" else f"{name}{suffix}"


def _priced(series: pl.DataFrame) -> pl.DataFrame:
    """Units and integer money of each tick that sold something, so that sums of them are exact."""
    units = pl.col("units").cast(pl.Float64)
    revenue = pl.coalesce(pl.col("revenue").cast(pl.Float64), pl.col("unit_price").cast(pl.Float64) * units)
    return (
        series.filter(pl.col("coverage") == "received")
        .select(*SERIES, "ts", units=units, revenue=revenue)
        .filter((pl.col("units") > 0) & (pl.col("revenue") > 0))
        .with_columns(
            sold=(pl.col("units") * _SCALE).round().cast(pl.Int64),
            earned=(pl.col("revenue") * _SCALE).round().cast(pl.Int64),
        )
    )


def _with_logs(priced: pl.DataFrame) -> pl.DataFrame:
    """The same with integer log prices."""
    logs = ((pl.col("revenue") / pl.col("units")).log() * _SCALE).round().cast(pl.Int64)
    return priced.with_columns(prices=pl.lit(1, dtype=pl.Int64), logs=logs).with_columns(
        squares=pl.col("logs") * pl.col("logs")
    )


def _change(sold: str, earned: str, sold_before: str, earned_before: str) -> pl.Expr:
    known = (pl.col(sold) > 0) & (pl.col(sold_before) > 0) & (pl.col(earned) > 0) & (pl.col(earned_before) > 0)
    now, then = pl.col(earned) / pl.col(sold), pl.col(earned_before) / pl.col(sold_before)
    return pl.when(known).then((now / then).log())


def _deviation() -> pl.Expr:
    """Measure the standard deviation of the log price over the priced ticks before the window."""
    count = pl.col("prices_before")
    mean = pl.col("logs_before") / count
    variance = (pl.col("squares_before") / count - mean * mean).clip(lower_bound=0.0)
    return pl.when(count >= FEWEST_PRICES).then(variance.sqrt() / _SCALE)


def _is_steady() -> pl.Expr:
    return pl.col("deviation") <= STEADY_PRICE


def _alone() -> pl.Expr:
    """What the store's own prices say: size of the step × how unusual it is."""
    step = pl.col("price_step").abs()
    size = (step / log(1 + FULL_PRICE_STEP)).clip(0.0, 1.0)
    unusual = (step / pl.max_horizontal("deviation", pl.lit(0.001)) - STEADY_FROM) / (STEADY_AT - STEADY_FROM)
    counts = (step >= log(1 + PRICE_STEP)) & pl.col("deviation").is_not_null()
    return pl.when(counts).then(size * unusual.clip(0.0, 1.0))


def _evidence() -> pl.Expr:
    along = (pl.col("others_step") / pl.col("price_step")).clip(0.0, 1.0)
    shared = (
        pl.when(_is_steady())
        .then(1.0)
        .when(pl.col("others_step").is_null())
        .then(UNCOMPARED_SHARE)
        .otherwise(ALONE_SHARE + (1 - ALONE_SHARE) * along)
    )
    return pl.col("alone") * shared
