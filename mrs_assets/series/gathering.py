"""What all that was received comes to: one row per store, SKU and tick that somebody told, with the doubts about it.

Where the retailer declares no sources, one source is taken per row. Where it declares them, those that count are fused
and the others compared with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.sources import Source
from mrs_assets.series.coverage import source_presence
from mrs_assets.series.facts import AT, DOUBTS, VALUES, own_doubts, preferred, told_facts
from mrs_assets.series.fusion import fused, source_word
from mrs_assets.series.grid import known_ticks
from mrs_assets.series.repeats import repeated_days
from mrs_assets.series.witnesses import witness_doubts


@dataclass(frozen=True)
class Gathered:
    """What the facts of a retailer come to.

    Attributes:
        rows: one row per known series and tick asked for: store_id, sku, business_day, ts, values, `has_fact` (a source
            speaks), `silent` (none does, and its silence is still to be read) and, where sources are declared,
            degraded_reasons, is_degraded, model_version.
        reported: what sources told, in the look-back and in the scope alike: store_id, sku, business_day, ts, slot.
        unheard: store_id, ts at which a source told something that is worth nothing.
        doubts: store_id, sku, ts, flag.
        repeated: store_id, business_day of copied days.
    """

    rows: pl.DataFrame
    reported: pl.DataFrame
    unheard: pl.DataFrame
    doubts: pl.DataFrame
    repeated: pl.DataFrame


def gather(
    facts: pl.DataFrame, grid: pl.DataFrame, first_day: date, stores: pl.DataFrame, retailer: Retailer
) -> Gathered:
    """Gather the facts of the days asked for and of the eight weeks before them.

    Args:
        facts: rows of `unified_sales_data`.
        grid: ticks that cover the facts.
        first_day: first of the days asked for.
        stores: rows of `stores_log`; may be empty.
        retailer: its sources, zone, grain and holidays.
    """
    told = told_facts(facts, grid, retailer)
    if retailer.sources:
        return _of_several(told, grid, first_day, stores, retailer)
    told_once = preferred(told)
    ticks = grid.filter(pl.col("business_day") >= first_day)
    known = known_ticks(told_once.select(*AT, "business_day", *VALUES, "heard"), ticks)
    reported = told_once if told_once["heard"].all() else told_once.filter("heard")
    return Gathered(
        rows=known.with_columns(has_fact=pl.col("heard").fill_null(value=False), silent=~pl.col("is_told")),
        reported=reported,
        unheard=_unheard(told_once),
        doubts=own_doubts(told),
        repeated=_repeats(reported, retailer),
    )


def _of_several(
    told: pl.DataFrame, grid: pl.DataFrame, first_day: date, stores: pl.DataFrame, retailer: Retailer
) -> Gathered:
    named = {name: retailer.source(name) for name in sorted({*retailer.sources, *told["source"].unique()})}
    told = told.filter(pl.any_horizontal(_of(name) & _in_force(source) for name, source in named.items()))
    counting = {name: source for name, source in named.items() if source.counts}
    counted = told.filter(pl.col("source").is_in(list(counting)))
    heard = counted.filter("heard")
    ticks = grid.filter(pl.col("business_day") >= first_day)
    words, presences = {}, {}
    for name, source in counting.items():
        presence = source_presence(heard.filter(_of(name)), counted, grid, first_day, stores, retailer)
        presences[name] = presence.with_columns(
            missed=pl.col("missed") & _in_force(source) & pl.lit(name in retailer.sources)
        )
        words[name] = source_word(counted.filter(_of(name)), ticks, presence, zero=retailer.absent_sku == "zero")
    rows = fused(words, presences, retailer)
    return Gathered(
        rows=rows.with_columns(
            silent=pl.lit(value=False),
            is_degraded=pl.col("degraded_reasons").list.len() > 0,
            model_version=pl.lit(f"sources-{retailer.source_weights}"),
        ),
        reported=heard.select(*AT, "business_day", "slot").unique(),
        unheard=_unheard(counted),
        doubts=pl.concat(
            [
                own_doubts(counted),
                rows.filter("mute").select(*AT, flag=pl.lit("dark_source")),
                rows.filter("diverges").select(*AT, flag=pl.lit("cross_source_divergence")),
                *_spread(witness_doubts(told, named), told, rows, named),
            ]
        ).unique(),
        repeated=pl.concat(_repeats(heard.filter(_of(name)), retailer) for name in counting).unique(),
    )


def _unheard(told: pl.DataFrame) -> pl.DataFrame:
    return told.filter(~pl.col("heard")).select("store_id", "ts").unique()


def _of(name: str) -> pl.Expr:
    return pl.col("source") == name


def _in_force(source: Source) -> pl.Expr:
    """Whether a source counts on the day and in the store of a row."""
    conditions = [pl.lit(value=True)]
    if source.first_day is not None:
        conditions.append(pl.col("business_day") >= source.first_day)
    if source.last_day is not None:
        conditions.append(pl.col("business_day") <= source.last_day)
    if source.stores is not None:
        conditions.append(pl.col("store_id").is_in(list(source.stores)))
    return pl.all_horizontal(conditions)


def _spread(
    against: pl.DataFrame, told: pl.DataFrame, rows: pl.DataFrame, named: dict[str, Source]
) -> list[pl.DataFrame]:
    """Doubts about a store's tick put on its rows: those of a proxy on all of them, those of a sensor on its own."""
    proxies = [name for name, source in named.items() if not source.counts]
    of_proxies = pl.col("source").is_in(proxies)
    place = ["store_id", "ts"]
    return [
        rows.filter("has_fact").join(against.filter(of_proxies), on=place).select(*DOUBTS),
        told.filter(pl.col("units").is_not_null())
        .join(against.filter(~of_proxies), on=[*place, "source"])
        .select(*DOUBTS),
    ]


def _repeats(reported: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """Copied days of daily feeds; within a day, later hours would speak about earlier ones."""
    return repeated_days(reported if retailer.grain == "1d" else reported.clear())
