"""What the series says about a report's own window: units, prices, flags, gaps and neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mrs_assets.attribution.placebo import PLACEBO_DAYS
from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.logs.sales_timeseries import QUALITY_FLAGS

LONGEST_WINDOW_DAYS = 60
LONGEST_LAPSE_DAYS = 28
BEFORE_DAYS = 28
LOOK_BACK_DAYS = LONGEST_WINDOW_DAYS + LONGEST_LAPSE_DAYS + max(BEFORE_DAYS, PLACEBO_DAYS)
"""Days before a report's tick that its facts may depend on."""

ZONE_DAYS = 2
"""Days by which a moment in UTC and the business day that holds it are apart, and one for the tick's own length."""

DOUBLED = (1.75, 2.3)
"""Actual / expected that counts as twice: 2 within the error of an expectation and a few days of counts."""

WINDOW = ("direction", "window_start", "last_anomalous_at")
"""What one report shows to those of other stores: where it lies, and which way it goes."""

_MICRO = pl.duration(microseconds=1)


def bounded(reports: pl.DataFrame) -> pl.DataFrame:
    """MRDL rows of one retailer with `row` and the window as judged at the tick, cut to a bounded length.

    Adds `row` (0 … by report_id and tick), `began_at` and `until`: [began_at, until) is the window in UTC.
    """
    until = pl.max_horizontal(
        pl.min_horizontal("last_anomalous_at", "tick"), pl.col("tick") - pl.duration(days=LONGEST_LAPSE_DAYS)
    )
    return (
        reports.sort("report_id", "tick")
        .with_columns(until=until)
        .with_columns(
            began_at=pl.max_horizontal("window_start", pl.col("until") - pl.duration(days=LONGEST_WINDOW_DAYS))
        )
        .with_columns(began_at=pl.min_horizontal("began_at", pl.col("until") - _MICRO))
        .with_row_index("row")
    )


def window_facts(reports: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    """One row per bounded report row.

    Columns: row; ticks, received, zeros, some (positive), even (positive and even): counts inside the window;
    flagged_<quality flag> (ticks); store_ticks, store_gaps (ticks of the store's other series, and those missing or
    partial); store_some, store_even (ticks of all of the store's series that sold something, and an even number), and
    the same of the 28 days before; store_share (share of the store's other series with a report at the tick in the same
    direction), store_series (how many others there are); doubling (actual / expected over the window, from the report),
    store_doubled (share of the store's other series whose report at the tick also shows twice the expectation). NULL
    where nothing says.

    Args:
        reports: bounded MRDL rows, of a store either all on their days or none.
        series: `sales_timeseries_data` rows of these stores; those of others do not matter.
    """
    series = series.join(reports, on="store_id", how="semi")
    counted = _countable(series.join(reports, on=SERIES, how="semi"))
    own = [c for c in counted.columns if c not in (*SERIES, "ts")]
    of_store = ("ticks", "gaps", "some", "even")
    kept = series.select("store_id", "ts", **{f"store_{name}": _counts()[name] for name in of_store})
    stores = kept.group_by("store_id", "ts").agg(pl.exclude("store_id", "ts").sum())
    window = ("began_at", "until")
    return (
        sums_between(reports, counted, SERIES, own, window)
        .join(sums_between(reports, stores, ["store_id"], [f"store_{name}" for name in of_store], window), on="row")
        .join(
            sums_between(reports, stores, ["store_id"], ["store_some", "store_even"], ("before_at", "began_at")).rename(
                {"store_some": "store_some_before", "store_even": "store_even_before"}
            ),
            on="row",
        )
        .join(_neighbours(reports, series), on="row")
        .with_columns(pl.col("store_ticks") - pl.col("ticks"), pl.col("store_gaps") - pl.col("gaps"))
        .sort("row")
    )


def _countable(series: pl.DataFrame) -> pl.DataFrame:
    """Integer facts of each series tick, so that sums of them are exact."""
    flagged = {f"flagged_{flag}": _counted(pl.col("quality_flags").list.contains(flag)) for flag in QUALITY_FLAGS}
    return series.select(*SERIES, "ts", **_counts(), **flagged)


def _counts() -> dict[str, pl.Expr]:
    received = pl.col("coverage") == "received"
    conditions = {
        "ticks": ~pl.col("coverage").is_in(["closed", "not_expected"]),
        "received": received,
        "gaps": pl.col("coverage").is_in(["missing", "partial"]),
        "zeros": received & (pl.col("units") <= 0),
        "some": received & (pl.col("units") > 0),
        "even": received & (pl.col("units") > 0) & (pl.col("units").cast(pl.Float64) % 2 == 0),
    }
    return {name: _counted(condition) for name, condition in conditions.items()}


def _counted(condition: pl.Expr) -> pl.Expr:
    return condition.fill_null(value=False).cast(pl.Int64)


def sums_between(
    reports: pl.DataFrame, counted: pl.DataFrame, by: Sequence[str], columns: list[str], bounds: tuple[str, str]
) -> pl.DataFrame:
    """Sum integer columns over ticks that begin between two bounds: differences of running sums, hence exact.

    Args:
        reports: bounded MRDL rows.
        counted: integer columns by `by` and ts.
        by: what identifies a series of ticks.
        columns: the columns to add.
        bounds: names of two instants out of `before_at` (28 days before the window), `began_at` and `until`.
    """
    running = counted.sort("ts").select(*by, "ts", *(pl.col(c).cum_sum().over(by) for c in columns))
    rows = reports.with_columns(before_at=pl.col("began_at") - pl.duration(days=BEFORE_DAYS))
    sums = []
    for bound in bounds:
        at = rows.select("row", *by, ts=pl.col(bound) - _MICRO).sort("ts", "row")
        sums.append(
            at.join_asof(running, on="ts", by=by, strategy="backward", check_sortedness=False)
            .sort("row")
            .select("row", *(pl.col(c).fill_null(0) for c in columns))
        )
    lower, upper = sums
    return pl.concat([upper.select("row"), upper.select(columns) - lower.select(columns)], how="horizontal")


def _neighbours(reports: pl.DataFrame, series: pl.DataFrame) -> pl.DataFrame:
    there = (
        series.join(reports, on=["business_day", "store_id"], how="semi")
        .filter(~pl.col("coverage").is_in(["closed", "not_expected"]))
        .group_by("business_day", "store_id")
        .agg(store_series=(pl.struct("sku").n_unique().cast(pl.Int64) - 1))
    )
    ratio = pl.col("attributed_sales_total").cast(pl.Float64) / pl.col("baseline_sales_total").cast(pl.Float64)
    doubling = pl.when(pl.col("baseline_sales_total") > 0).then(ratio)
    told = reports.with_columns(doubling=doubling).with_columns(
        twice=pl.col("doubling").is_between(*DOUBLED).fill_null(value=False)
    )
    alike = told.group_by("tick", "direction", "store_id").agg(
        alike=pl.col("sku").n_unique().cast(pl.Int64) - 1,
        twice_in_store=pl.col("sku").filter("twice").n_unique().cast(pl.Int64),
    )

    def share(count: pl.Expr) -> pl.Expr:
        return pl.when(pl.col("store_series") > 0).then((count / pl.col("store_series")).clip(0, 1))

    return (
        told.join(there, on=["business_day", "store_id"], how="left")
        .join(alike, on=["tick", "direction", "store_id"], how="left")
        .select(
            "row",
            "store_series",
            "doubling",
            store_share=share(pl.col("alike")),
            store_doubled=share(pl.col("twice_in_store") - pl.col("twice").cast(pl.Int64)),
        )
    )
