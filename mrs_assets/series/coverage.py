"""What a store's silence means: missing, partial, closed or not expected, from what it reported before.

Everything here is about stores, not products, and looks back over fixed spans only: nothing after a tick, and nothing
that depends on how many days are computed at once.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from mrs_assets.contracts.calendar import public_holidays
from mrs_assets.contracts.settings import Retailer

PARTIAL_SHARE = 0.5
"""A store that reports less than this share of its usual number of products has reported in part."""
PARTIAL_FROM_SKUS = 20
"""Below this usual number of products, fewer of them say nothing."""
USUAL_WEEKS = 4
"""Weeks behind the usual number of products."""
TRADING_WEEKS = 8
"""Weeks without trade in a slot of the week after which none is expected there."""
SLOT_DAYS = 14
"""Days of history before the absence of trade in a slot of the week means anything."""
SILENT_DAYS = 28
"""Days of silence after which a store is not expected any more."""
RHYTHM_DAYS = 7
"""Days of silence that a weekly rhythm explains; a source that is silent for longer is missed on any day."""
_WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def store_coverage(
    gathered: pl.DataFrame,
    unheard: pl.DataFrame,
    grid: pl.DataFrame,
    first_day: date,
    stores: pl.DataFrame,
    retailer: Retailer,
) -> pl.DataFrame:
    """Coverage of every store at every tick.

    Args:
        gathered: facts on the grid.
        unheard: store_id, ts of facts that say nothing: the store was expected to.
        grid: ticks of the days asked for and of the eight weeks before them.
        first_day: first of the days asked for.
        stores: rows of `stores_log`; may be empty.
        retailer: whose zone, grain and holidays count.

    Returns:
        store_id, ts, business_day, store_coverage (`received`, `partial`, `closed`, `not_expected`, `missing`).
    """
    known = pl.concat([gathered.select("store_id"), unheard.select("store_id")])
    table = _store_ticks(gathered, known, grid, first_day, stores, retailer).join(
        unheard.with_columns(unheard=True), on=["store_id", "ts"], how="left"
    )
    silence = (
        pl.when("stated_closed")
        .then(pl.lit("closed"))
        .when("on_holiday")
        .then(pl.lit("closed"))
        .when("unheard")
        .then(pl.lit("missing"))
        .when((pl.col("silent_days") > SILENT_DAYS).fill_null(value=True))
        .then(pl.lit("not_expected"))
        .when(~_usually_trades(retailer))
        .then(pl.lit("not_expected"))
        .otherwise(pl.lit("missing"))
    )
    spoken = pl.when(_in_part()).then(pl.lit("partial")).otherwise(pl.lit("received"))
    return table.select(
        "store_id",
        "ts",
        "business_day",
        pl.when(pl.col("skus").is_not_null()).then(spoken).otherwise(silence).alias("store_coverage"),
    )


def source_presence(
    heard: pl.DataFrame,
    known: pl.DataFrame,
    grid: pl.DataFrame,
    first_day: date,
    stores: pl.DataFrame,
    retailer: Retailer,
) -> pl.DataFrame:
    """Whether one source told a store's tick, and whether it would be missed if it had not.

    It is not missed where the store is closed, nor in a slot of the week in which the source has told nothing for
    eight weeks. That is a habit only while the source is alive: one that has been silent for over a week is missed.

    Args:
        heard: what the source told, on the grid.
        known: every store of the retailer, `store_id`.
        grid: ticks of the days asked for and of the eight weeks before them.
        first_day: first of the days asked for.
        stores: rows of `stores_log`; may be empty.
        retailer: whose zone, grain and holidays count.

    Returns:
        store_id, ts, business_day, `whole` (it told the tick, and not in part), `missed`, `gone` (it has told nothing
        for eight weeks).
    """
    silent = (pl.col("silent_days") > RHYTHM_DAYS).fill_null(value=True)
    gone = (pl.col("silent_days") > TRADING_WEEKS * 7).fill_null(value=True)
    return _store_ticks(heard, known, grid, first_day, stores, retailer).select(
        "store_id",
        "ts",
        "business_day",
        whole=pl.col("skus").is_not_null() & ~_in_part(),
        missed=~pl.col("stated_closed") & ~pl.col("on_holiday") & (_usually_trades(retailer) | silent),
        gone=gone,
    )


def _store_ticks(
    gathered: pl.DataFrame,
    known: pl.DataFrame,
    grid: pl.DataFrame,
    first_day: date,
    stores: pl.DataFrame,
    retailer: Retailer,
) -> pl.DataFrame:
    """Every known store at every tick, with the products that it reported and what its past says about them."""
    reported = gathered.group_by("store_id", "business_day", "ts", "slot").agg(pl.len().alias("skus"))
    slots = reported.group_by("store_id", "business_day", "slot").agg(pl.col("skus").max())
    ticks = grid.filter(pl.col("business_day") >= first_day)
    table = (
        known.select("store_id")
        .unique()
        .sort("store_id")
        .join(ticks, how="cross")
        .join(reported.select("store_id", "ts", "skus"), on=["store_id", "ts"], how="left")
        .pipe(_with_slot_history, slots)
        .pipe(_with_recency, reported, grid)
        .pipe(_with_stated_hours, stores, retailer)
    )
    days = table["business_day"]
    holidays = public_holidays(retailer, days.min(), days.max()) if table.height else {}  # type: ignore[arg-type]
    on_holiday = pl.col("business_day").is_in(list(holidays)) & ~pl.col("reported_today")
    return table.with_columns(on_holiday=on_holiday)


def _in_part() -> pl.Expr:
    """Whether a store that reported did so in part."""
    in_part = (pl.col("usual_skus") >= PARTIAL_FROM_SKUS) & (pl.col("skus") < PARTIAL_SHARE * pl.col("usual_skus"))
    return in_part.fill_null(value=False)


def _with_slot_history(table: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """The store's products in the same slot of the week, one column per week back, and what they usually are."""
    weeks = range(1, TRADING_WEEKS + 1)
    for week in weeks:
        past = slots.with_columns(pl.col("business_day") + timedelta(weeks=week)).rename({"skus": f"skus_{week}"})
        table = table.join(past, on=["store_id", "business_day", "slot"], how="left")
    usual = pl.concat_list([f"skus_{week}" for week in range(1, USUAL_WEEKS + 1)]).list.drop_nulls().list.median()
    traded = pl.any_horizontal([pl.col(f"skus_{week}").is_not_null() for week in weeks])
    return table.with_columns(usual.alias("usual_skus"), traded.alias("slot_traded")).drop(
        [f"skus_{week}" for week in weeks]
    )


def _with_recency(table: pl.DataFrame, reported: pl.DataFrame, grid: pl.DataFrame) -> pl.DataFrame:
    """Days since the store's last report, whether it reported today so far, and how long it has been known.

    Adds `silent_days`, `reported_today`, `known_days` (days since the first day with a report within the eight weeks
    before), `days_traded` (how many days of them had a report) and `hour_traded` (whether one was in this slot of the
    day).
    """
    last = reported.select("store_id", "ts", pl.col("business_day").alias("last_day")).sort("ts")
    table = table.sort("ts").join_asof(last, on="ts", by="store_id", strategy="backward", check_sortedness=False)
    table = table.with_columns(
        silent_days=(pl.col("business_day") - pl.col("last_day")).dt.total_days(),
        reported_today=(pl.col("last_day") == pl.col("business_day")).fill_null(value=False),
    )
    return table.join(_days_traded(reported, grid, ["store_id"]), on=["store_id", "business_day"], how="left").join(
        _days_traded(reported, grid, ["store_id", "slot"]).select(
            "store_id", "slot", "business_day", (pl.col("days_traded") > 0).alias("hour_traded")
        ),
        on=["store_id", "slot", "business_day"],
        how="left",
    )


def _days_traded(reported: pl.DataFrame, grid: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Per day: days with a report among the eight weeks before it, and how many days ago the first of them was."""
    days = grid.select("business_day", *(["slot"] if "slot" in by else [])).unique()
    traded = reported.select(*by, "business_day", pl.col("business_day").alias("traded_on")).unique()
    return (
        reported.select("store_id")
        .unique()
        .join(days, how="cross")
        .join(traded, on=[*by, "business_day"], how="left")
        .sort(*by, "business_day")
        .rolling("business_day", period=f"{TRADING_WEEKS}w", closed="left", group_by=by)
        .agg(pl.col("traded_on").count().alias("days_traded"), pl.col("traded_on").min().alias("first"))
        .with_columns(known_days=(pl.col("business_day") - pl.col("first")).dt.total_days())
        .drop("first")
    )


def _usually_trades(retailer: Retailer) -> pl.Expr:
    """Whether the store's own past leaves a report to be expected in this slot; true where there is too little past."""
    known_long = (pl.col("known_days") >= SLOT_DAYS).fill_null(value=False)
    expected = pl.col("slot_traded") | ~known_long
    if retailer.grain == "1d":
        return expected
    several_days = (pl.col("days_traded") >= 3).fill_null(value=False)
    return expected & (pl.col("hour_traded").fill_null(value=True) | ~several_days)


def _with_stated_hours(table: pl.DataFrame, stores: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """Whether the stores feed says that the store does not trade then: `stated_closed`."""
    stated = stores.select("store_id", "opened_on", "closed_on", "open_weekdays", "opens_at", "closes_at")
    weekday = pl.col("weekday").replace_strict(dict(enumerate(_WEEKDAYS, start=1)), return_dtype=pl.String)
    begins = pl.col("slot") * int(retailer.grain_length.total_seconds()) // 60
    ends = begins + int(retailer.grain_length.total_seconds()) // 60
    opens, closes = _minutes("opens_at"), _minutes("closes_at")
    by_day = pl.when(opens < closes).then((ends <= opens) | (begins >= closes))
    shut = by_day.otherwise((begins >= closes) & (ends <= opens)) if retailer.grain != "1d" else pl.lit(value=False)
    closed = pl.any_horizontal(
        pl.col("business_day") < pl.col("opened_on"),
        pl.col("business_day") > pl.col("closed_on"),
        ~pl.col("open_weekdays").list.contains(weekday),
        shut,
    )
    return table.join(stated, on="store_id", how="left").with_columns(stated_closed=closed.fill_null(value=False))


def _minutes(column: str) -> pl.Expr:
    parts = pl.col(column).str.split_exact(":", 1).struct
    return parts.field("field_0").cast(pl.Int32) * 60 + parts.field("field_1").cast(pl.Int32)
