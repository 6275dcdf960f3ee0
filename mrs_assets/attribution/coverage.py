"""Which series a candidate covers: store and product lists, regions, and circles on the map."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mrs_assets.contracts.columns import SERIES

EARTH_RADIUS_KM = 6_371.0


def store_limits(candidates: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Find the stores of the candidates that are limited to some.

    Args:
        candidates: rows of `dated_candidates`.
        places: store_id, region, latitude, longitude of every store; NULL where nobody said.

    Returns:
        candidate, store_id, unlocated: True where the store's place, and so the match, is not known. Lists,
        regions and circles limit together. Great-circle distance by the haversine formula.
    """
    listed = candidates.filter(pl.col("stores").is_not_null()).select("candidate", store_id="stores")
    listed = listed.explode("store_id").drop_nulls().unique()
    on_map = pl.col("latitude").is_not_null() & pl.col("longitude").is_not_null()
    located = candidates.filter(pl.col("regions").is_not_null() | on_map)
    pairs = located.select("candidate", "stores", "regions", "latitude", "longitude", "radius_km").join(
        places, how="cross", suffix="_store"
    )
    inside = pl.when(pl.col("regions").is_not_null()).then(pl.col("regions").list.contains(pl.col("region")))
    inside = pl.when(pl.col("region").is_not_null()).then(inside)
    near = pl.when(on_map).then(_distance_km() <= pl.col("radius_km"))
    asks_region, asks_place = pl.col("regions").is_not_null(), on_map
    geographic = pairs.filter(
        (~asks_region | inside.fill_null(value=True))
        & (~asks_place | near.fill_null(value=True))
        & (pl.col("stores").is_null() | pl.col("stores").list.contains(pl.col("store_id")))
    ).select("candidate", "store_id", unlocated=(asks_region & inside.is_null()) | (asks_place & near.is_null()))
    plain = listed.join(located.select("candidate"), on="candidate", how="anti").with_columns(unlocated=pl.lit(False))
    return pl.concat([geographic, plain.select(geographic.columns)])


def _distance_km() -> pl.Expr:
    here, there = pl.col("latitude").radians(), pl.col("latitude_store").radians()
    wide = (pl.col("longitude_store").radians() - pl.col("longitude").radians()) / 2
    angle = ((there - here) / 2).sin() ** 2 + here.cos() * there.cos() * wide.sin() ** 2
    return 2 * EARTH_RADIUS_KM * angle.clip(0, 1).sqrt().arcsin()


def covered(candidates: pl.DataFrame, limits: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """Pairs of candidate and series: candidate, store_id, sku, targeted, unlocated.

    Args:
        candidates: rows of `dated_candidates`.
        limits: result of `store_limits`.
        series: store_id, sku, and any columns to carry along.

    `targeted` is the share of the two limits (stores, products) that the candidate sets.
    """
    by_product = candidates.filter(pl.col("skus").is_not_null()).select("candidate", sku="skus")
    by_product = by_product.explode("sku").drop_nulls().unique()
    on_map = pl.col("latitude").is_not_null() & pl.col("longitude").is_not_null()
    limited = pl.any_horizontal(pl.col("stores").is_not_null(), pl.col("regions").is_not_null(), on_map)
    sets = candidates.select("candidate", in_stores=limited, in_products=pl.col("skus").is_not_null())
    free = sets.filter(~pl.col("in_stores") & ~pl.col("in_products"))
    stores_only = sets.filter(pl.col("in_stores") & ~pl.col("in_products"))
    products_only = sets.filter(~pl.col("in_stores") & pl.col("in_products"))
    both = sets.filter(pl.col("in_stores") & pl.col("in_products"))
    located = pl.lit(False).alias("unlocated")
    columns = ["candidate", *series.columns, "unlocated"]
    parts = [
        free.join(series, how="cross").with_columns(located),
        stores_only.join(limits, on="candidate").join(series, on="store_id"),
        products_only.join(by_product, on="candidate").join(series, on="sku").with_columns(located),
        both.join(by_product, on="candidate").join(series, on="sku").join(limits, on=["candidate", "store_id"]),
    ]
    targeted = (pl.col("in_stores").cast(pl.Float64) + pl.col("in_products").cast(pl.Float64)) / 2
    return pl.concat([part.select(columns) for part in parts]).join(
        sets.select("candidate", targeted=targeted), on="candidate"
    )


def parts_covered(
    candidates: pl.DataFrame, limits: pl.DataFrame, series: pl.DataFrame
) -> list[tuple[Sequence[str], pl.DataFrame]]:
    """What candidates cover, in the coarsest terms that tell it: (columns of SERIES, candidate with these columns).

    Args:
        candidates: rows of `dated_candidates`; several rows of one candidate count once.
        limits: result of `store_limits`.
        series: store_id, sku of the series that there are.
    """
    on_map = pl.col("latitude").is_not_null() & pl.col("longitude").is_not_null()
    in_stores = pl.any_horizontal(pl.col("stores").is_not_null(), pl.col("regions").is_not_null(), on_map)
    in_products = pl.col("skus").is_not_null()
    once = candidates.unique("candidate").sort("candidate")
    products = once.filter(in_products).select("candidate", sku="skus").explode("sku").drop_nulls().unique()
    stores = limits.select("candidate", "store_id")
    restricted = once.filter(in_stores)
    return [
        ([], once.filter(~in_stores & ~in_products).select("candidate")),
        (["store_id"], stores.join(restricted.filter(~in_products), on="candidate", how="semi")),
        (["sku"], products.join(restricted, on="candidate", how="anti")),
        (SERIES, products.join(series.unique(), on="sku").join(stores, on=["candidate", "store_id"], how="semi")),
    ]


def covered_count(candidates: pl.DataFrame, limits: pl.DataFrame, present: pl.DataFrame) -> pl.DataFrame:
    """How many series a candidate covers on a day: candidate, business_day, covered.

    Args:
        candidates: rows of `dated_candidates` with `business_day`, one row per candidate and day asked for.
        limits: result of `store_limits`.
        present: store_id, sku, business_day of the series that were expected to trade.
    """
    asked = candidates.select("candidate", "business_day")
    counts = [
        asked.join(covered, on="candidate")
        .join(present.group_by("business_day", *by).agg(covered=pl.len().cast(pl.Int64)), on=["business_day", *by])
        .select("candidate", "business_day", "covered")
        for by, covered in parts_covered(candidates, limits, present.select(SERIES))
    ]
    return pl.concat(counts).group_by("candidate", "business_day").agg(pl.col("covered").sum())
