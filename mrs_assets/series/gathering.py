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
from mrs_assets.series.facts import AT, DOUBTS, own_doubts, preferred, told_facts
from mrs_assets.series.fusion import PLACE, fused, presence_of_all, reasons
from mrs_assets.series.repeats import repeated_days
from mrs_assets.series.witnesses import witness_doubts


@dataclass(frozen=True)
class Gathered:
    """What the facts of a retailer come to.

    Attributes:
        rows: store_id, sku, business_day, ts, slot, weekday, values, `heard` (the row rests on a report) and, where
            sources are declared, `reasons`.
        reported: the rows that a source told of its own, in the look-back and in the scope alike.
        doubts: store_id, sku, ts, flag.
        repeated: store_id, business_day of copied days.
        silences: store_id, ts, reasons: what a zero that nobody told had to do without. None where no sources are
            declared.
    """

    rows: pl.DataFrame
    reported: pl.DataFrame
    doubts: pl.DataFrame
    repeated: pl.DataFrame
    silences: pl.DataFrame | None = None


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
    rows = preferred(told)
    reported = rows if rows["heard"].all() else rows.filter("heard")
    return Gathered(rows, reported, own_doubts(told), _repeats(reported, retailer))


def _of_several(
    told: pl.DataFrame, grid: pl.DataFrame, first_day: date, stores: pl.DataFrame, retailer: Retailer
) -> Gathered:
    named = {name: retailer.source(name) for name in sorted({*retailer.sources, *told["source"].unique()})}
    told = told.filter(pl.any_horizontal(_in_force(name, source) for name, source in named.items()))
    names = [name for name, source in named.items() if source.counts]
    counted = told.filter(pl.col("source").is_in(names))
    heard = counted.filter(~(pl.col("dark") | pl.col("conflict")))
    presence = presence_of_all(
        source_presence(
            heard.filter(pl.col("source") == name), counted, grid, first_day, stores, retailer
        ).with_columns(
            missed=pl.col("missed") & _in_force(name, named[name], at_source=False) & pl.lit(name in retailer.sources)
        )
        for name in names
    )
    asked = pl.col("business_day") >= first_day
    rows = fused(counted.filter(asked), presence, names, retailer)
    before = counted.filter(~asked).group_by(PLACE).agg(heard=(~(pl.col("dark") | pl.col("conflict"))).any())
    against = witness_doubts(told, named).filter(pl.col("ts") >= grid.filter(asked)["ts"].min())
    diverging = rows.filter("diverges").select(*AT, flag=pl.lit("cross_source_divergence"))
    silences = presence.select(
        "store_id", "ts", reasons=reasons(names, [pl.col(f"whole_{n}") for n in range(len(names))])
    )
    return Gathered(
        rows=pl.concat([before, rows.drop("diverges")], how="diagonal"),
        reported=heard.select(PLACE).unique(),
        doubts=pl.concat([own_doubts(counted), diverging, *_spread(against, told, rows, named)]).unique(),
        repeated=pl.concat(_repeats(heard.filter(pl.col("source") == name), retailer) for name in names).unique(),
        silences=silences,
    )


def _in_force(name: str, source: Source, *, at_source: bool = True) -> pl.Expr:
    """Whether a source counts on the day and in the store of a row."""
    conditions = [pl.col("source") == name] if at_source else [pl.lit(value=True)]
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
        rows.join(against.filter(of_proxies), on=place).select(*DOUBTS),
        told.filter(pl.col("units").is_not_null())
        .join(against.filter(~of_proxies), on=[*place, "source"])
        .select(*DOUBTS),
    ]


def _repeats(reported: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """Copied days of daily feeds; within a day, later hours would speak about earlier ones."""
    return repeated_days(reported if retailer.grain == "1d" else reported.clear())
