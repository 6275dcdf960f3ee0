"""How a store's sensors and proxies stand to its direct count, today and in the 30 days before.

Everything is judged by store and not by product: that is how a device or a field of a feed fails, and a footfall has no
product. Sums are exact decimals, so that they are the same in whatever range they are computed.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from mrs_assets.contracts.sources import Source
from mrs_assets.series.facts import AT
from mrs_assets.series.fusion import VOLUME, weighted_mean

AGREEMENT = 0.05
"""A sensor this near to the direct count, as a share of it, agrees with it; from practice, not fitted."""
NEWS = 0.2
"""A sensor whose usual ratio to the direct count is this near to 1 agrees as a habit, which is no news."""
NEWS_DEVIATIONS = 4.0
"""Robust standard deviations of its daily ratios by which agreement must differ from the habit."""
EXPLOSION = 10.0
"""Factor by which a proxy leaves its usual ratio when a field was dropped or swapped; from practice, not fitted."""
USUAL_DAYS = 30
FEWEST_DAYS = 7
"""Days with a ratio before there is a usual one."""
_DEVIATION_OF_MAD = 1.4826
_STORE_TICK = ["store_id", "ts"]


def witness_doubts(told: pl.DataFrame, sources: Mapping[str, Source]) -> pl.DataFrame:
    """Store ticks at which a sensor or a proxy tells against the count.

    `double_count`: a sensor that usually stands at another level agrees with the direct count within 5 % at volume.
    `proxy_dropped`, `proxy_overcount`: a proxy at less than a tenth, or more than ten times, of its usual ratio.
    The usual ratio is the median of the daily ones of the 30 days before, seven at least.

    Args:
        told: result of `told_facts`, every source of the retailer.
        sources: what is declared about each source that told something.

    Returns:
        store_id, ts, source, flag; source is the sensor or the proxy.
    """
    told = told.filter(pl.col("units").is_not_null())
    direct = _direct(told, sources)
    found = []
    for name, source in sorted(sources.items()):
        own = told.filter(pl.col("source") == name)
        if source.kind == "direct" or own.is_empty() or direct.is_empty():
            continue
        if source.kind == "sensor":
            # Only the products that both count: the ratio of two totals would move with the range of products.
            both = direct.join(own.select(*AT, pl.col("units").alias("witness")), on=AT)
            ratios = _ratios(both.group_by(*_STORE_TICK, "business_day").agg(pl.col("units", "witness").sum()))
            flag = _double_count()
        else:
            here = own.group_by(_STORE_TICK).agg(pl.col("units").sum().alias("witness"))
            totals = direct.group_by(*_STORE_TICK, "business_day").agg(pl.col("units").sum())
            ratios = _ratios(totals.join(here, on=_STORE_TICK))
            flag = _proxy_flag()
        judged = ratios.select(*_STORE_TICK, source=pl.lit(name), flag=flag)
        found.append(judged.filter(pl.col("flag").is_not_null()))
    nothing = pl.DataFrame(schema={**{c: told.schema[c] for c in _STORE_TICK}, "source": pl.String, "flag": pl.String})
    return pl.concat([nothing, *found])


def _direct(told: pl.DataFrame, sources: Mapping[str, Source]) -> pl.DataFrame:
    """The direct count of each store, SKU and tick: the weighted mean of those that there are."""
    names = sorted(name for name, source in sources.items() if source.kind == "direct")
    direct = told.filter(pl.col("source").is_in(names))
    if len(names) <= 1:
        return direct.select(*AT, "business_day", "units")
    units = [
        pl.col("units").filter(pl.col("source") == name).first().alias(f"units_{n}") for n, name in enumerate(names)
    ]
    mean = weighted_mean(
        [pl.col(f"units_{n}") for n in range(len(names))], [sources[name].reliability for name in names]
    )
    return direct.group_by(*AT, "business_day").agg(units).select(*AT, "business_day", mean.alias("units"))


def _ratios(totals: pl.DataFrame) -> pl.DataFrame:
    """Adds `direct`, `witness` and their `ratio` at the tick; `usual` and its `deviation` in the 30 days before."""

    def ratio() -> pl.Expr:
        return pl.when(pl.col("units") > 0).then(pl.col("witness").cast(pl.Float64) / pl.col("units").cast(pl.Float64))

    middle = pl.col("daily").median()
    usual = (
        totals.group_by("store_id", "business_day")
        .agg(pl.col("units", "witness").sum())
        .select("store_id", "business_day", daily=ratio())
        .sort("store_id", "business_day")
        .rolling("business_day", period=f"{USUAL_DAYS}d", closed="left", group_by="store_id")
        .agg(
            usual=middle,
            deviation=(pl.col("daily") - middle).abs().median() * _DEVIATION_OF_MAD,
            days=pl.col("daily").count(),
        )
        .filter(pl.col("days") >= FEWEST_DAYS)
    )
    return totals.with_columns(
        ratio=ratio(), direct=pl.col("units").cast(pl.Float64), witness=pl.col("witness").cast(pl.Float64)
    ).join(usual, on=["store_id", "business_day"])


def _double_count() -> pl.Expr:
    agrees = ((pl.col("ratio") - 1).abs() <= AGREEMENT) & (pl.col("direct") >= VOLUME)
    jump = (1 - pl.col("usual")).abs()
    news = (jump > NEWS) & (jump > NEWS_DEVIATIONS * pl.col("deviation"))
    return pl.when(agrees & news).then(pl.lit("double_count"))


def _proxy_flag() -> pl.Expr:
    expected = pl.col("usual") * pl.col("direct")
    at_volume = pl.col("direct") >= VOLUME
    return (
        pl.when(at_volume & (expected >= VOLUME) & (pl.col("witness") * EXPLOSION < expected))
        .then(pl.lit("proxy_dropped"))
        .when(at_volume & (pl.col("witness") >= VOLUME) & (pl.col("witness") > EXPLOSION * expected))
        .then(pl.lit("proxy_overcount"))
    )
