"""What one source's own rows say about it: that it was blind, that it has no count, that it tells a tick twice."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from mrs_assets.contracts.calendar import tick_end
from mrs_assets.contracts.settings import Retailer

WHOLE_SKUS = 5
"""Products for which a tick must be told both whole and in parts before the store's rows are a conflict."""
WHOLE_SHARE = 0.8
"""Share of such products whose whole equals the sum of the parts."""
WHOLE_VALUES = 3
"""Different totals among them: equal ones agree by chance."""


def with_sight(placed: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """Whether the source could see what each fact tells.

    `dark`: a zero, or no value, of a source that was last heard of too long before the end of the tick; or no value of
    a source that was heard of. `declared`: no value, from a source that is not known to be out of reach: it says so
    itself. A source is as fresh as its newest row for the store, SKU and tick.

    Args:
        placed: facts with `tick`; `last_seen_at` is dropped.
        retailer: its zone and grain, and after how long a source is dark.
    """
    silent = pl.col("units").is_null()
    if placed["last_seen_at"].null_count() == placed.height:
        return placed.drop("last_seen_at").with_columns(dark=pl.lit(value=False), declared=silent)
    seen = pl.col("last_seen_at").max().over("store_id", "sku", "source", "tick")
    ends = tick_end(pl.col("tick"), retailer)
    stale = (seen < ends - timedelta(hours=retailer.dark_after_hours)).fill_null(value=False)
    zero = (pl.col("units") == 0).fill_null(value=False)
    blind = (zero & stale) | (silent & seen.is_not_null())
    return placed.with_columns(dark=blind, declared=silent & ~stale).drop("last_seen_at")


def with_conflicts(summed: pl.DataFrame) -> pl.DataFrame:
    """Adds `conflict`: the source tells the row both whole and in parts, so that the sum is worth nothing.

    A fact at the very start of a tick beside later ones may be the first of many sales, or the total of them. It is the
    total where it equals the sum of the others for four in five of the store's products concerned, five at least, with
    three different totals among them.

    Args:
        summed: one row per store_id, sku, tick and source, with `added` and `whole` (units of all of its facts and of
            those at the start of the tick), `facts` and `wholes` (how many of each there are).
    """
    both = (pl.col("wholes") > 0) & (pl.col("facts") > pl.col("wholes"))
    parts = pl.col("added") - pl.col("whole")
    equal = both & (pl.col("whole") == parts) & (pl.col("whole") > 0)
    concerned = both & ((pl.col("whole") != 0) | (parts != 0))
    place = ["store_id", "tick", "source"]
    stores = (
        summed.filter(concerned)
        .group_by(place)
        .agg(equal=equal.sum(), of=pl.len(), totals=pl.col("whole").filter(equal).n_unique())
        .filter(
            (pl.col("equal") >= WHOLE_SKUS)
            & (pl.col("equal") >= WHOLE_SHARE * pl.col("of"))
            & (pl.col("totals") >= WHOLE_VALUES)
        )
    )
    return (
        summed.join(stores.select(*place, clash=pl.lit(value=True)), on=place, how="left")
        .with_columns(conflict=both & pl.col("clash").fill_null(value=False))
        .drop("clash")
    )
