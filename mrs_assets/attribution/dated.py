"""Dated candidates: promotions, campaigns, contextual events and public holidays in one form."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from mrs_assets.attribution.kinds import DATED
from mrs_assets.contracts.calendar import public_holidays
from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.settings import Retailer

LONGEST_SPAN_DAYS = 366
"""A candidate counts for at most this long: one absurd end date must not explain a whole history."""

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "candidate_id": pl.String,
    "kind": pl.String,
    "cause": pl.String,
    "starts_at": INSTANT,
    "ends_at": INSTANT,
    "moves": pl.String,
    "stores": pl.List(pl.String),
    "skus": pl.List(pl.String),
    "regions": pl.List(pl.String),
    "latitude": pl.Float64,
    "longitude": pl.Float64,
    "radius_km": pl.Float64,
}
"""One row per candidate; ends_at is excluded; a NULL list does not limit."""


@dataclass(frozen=True)
class Feeds:
    """Live rows of one retailer's optional feeds: promotions, campaigns and contextual events."""

    promotions: pl.DataFrame
    campaigns: pl.DataFrame
    signals: pl.DataFrame


def dated_candidates(feeds: Feeds, retailer: Retailer, first_day: date, last_day: date) -> pl.DataFrame:
    """Bring every dated candidate of one retailer into one form.

    Args:
        feeds: rows of the retailer's feeds; spans that end before they start are left out.
        retailer: its zone and its public holidays.
        first_day: first day whose public holiday is wanted.
        last_day: last day whose public holiday is wanted.

    Returns:
        `candidate` (0 …), the columns of SCHEMA, and its kind's category, prior, planned, lead, lag, eve, decay_days.
    """
    kinds = pl.DataFrame(
        [
            {
                "kind": k.name,
                "category": k.category,
                "prior": k.prior,
                "planned": k.planned,
                "lead": timedelta(days=k.lead_days),
                "lag": timedelta(days=k.lag_days),
                "eve": timedelta(days=k.eve_days),
                "decay_days": float(k.decay_days),
                "usual": k.sign,
            }
            for k in DATED.values()
        ],
        schema_overrides={
            "lead": pl.Duration("us"),
            "lag": pl.Duration("us"),
            "eve": pl.Duration("us"),
            "usual": pl.String,
        },
    )
    parts = [
        _promotions(feeds.promotions, retailer),
        _campaigns(feeds.campaigns, retailer),
        _signals(feeds.signals),
        _holidays(retailer, first_day, last_day),
    ]
    longest = pl.col("starts_at") + pl.duration(days=LONGEST_SPAN_DAYS)
    return (
        pl.concat([part.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()) for part in parts])
        .filter(pl.col("ends_at") > pl.col("starts_at"))
        .with_columns(ends_at=pl.min_horizontal("ends_at", longest))
        .join(kinds, on="kind")
        .with_columns(moves=pl.coalesce("moves", "usual"))
        .drop("usual")
        .sort("kind", "candidate_id", "starts_at", "ends_at", "cause")
        .with_row_index("candidate")
    )


def midnight(day: pl.Expr, retailer: Retailer) -> pl.Expr:
    """Find the instant at which a local day begins; where clocks skip midnight, one hour later. UTC."""

    def local(moment: pl.Expr) -> pl.Expr:
        return moment.dt.replace_time_zone(retailer.timezone, ambiguous="earliest", non_existent="null")

    naive = day.cast(pl.Datetime("us"))
    return pl.coalesce(local(naive), local(naive + pl.duration(hours=1))).dt.convert_time_zone("UTC")


def _days(retailer: Retailer) -> dict[str, pl.Expr]:
    last = pl.min_horizontal("end_day", pl.col("start_day") + pl.duration(days=LONGEST_SPAN_DAYS))
    return {
        "starts_at": midnight(pl.col("start_day"), retailer),
        "ends_at": midnight(last + pl.duration(days=1), retailer),
    }


def _open(**given: pl.Expr) -> list[pl.Expr]:
    """Select the given columns of SCHEMA, and NULL for the others."""
    return [given.get(name, pl.lit(None, dtype=dtype)).alias(name) for name, dtype in SCHEMA.items()]


def _promotions(promotions: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    """One candidate per promotion, product, mechanic and span, with the stores that take part."""
    every_product = pl.col("sku") == "*"
    what = pl.when(every_product).then(pl.lit("all products")).otherwise(pl.col("sku"))
    return (
        promotions.filter(pl.col("end_day") >= pl.col("start_day"))
        .group_by("promotion_id", "sku", "mechanic", "start_day", "end_day")
        .agg(stores=pl.col("store_id").unique().sort())
        .select(
            _open(
                candidate_id=pl.col("promotion_id"),
                kind=pl.lit("promotion"),
                cause=pl.when(pl.col("mechanic").is_null())
                .then(pl.format("Promotion on {}", what))
                .otherwise(pl.format("Promotion {} on {}", pl.col("mechanic").fill_null(""), what)),
                **_days(retailer),
                stores=pl.when(~pl.col("stores").list.contains("*")).then(pl.col("stores")),
                skus=pl.when(~every_product).then(pl.concat_list("sku")),
            )
        )
    )


def _campaigns(campaigns: pl.DataFrame, retailer: Retailer) -> pl.DataFrame:
    label = pl.coalesce("campaign_name", "channel")
    return campaigns.filter(pl.col("end_day") >= pl.col("start_day")).select(
        _open(
            candidate_id=pl.col("campaign_id"),
            kind=pl.lit("campaign"),
            cause=pl.when(label.is_null() | (label == pl.col("campaign_id")))
            .then(pl.format("Campaign {}", "campaign_id"))
            .otherwise(pl.format("Campaign {} ({})", "campaign_id", label.fill_null(""))),
            **_days(retailer),
            stores=pl.col("stores"),
            skus=pl.col("skus"),
            regions=pl.col("regions"),
        )
    )


def _signals(signals: pl.DataFrame) -> pl.DataFrame:
    same = {c: pl.col(c) for c in ("starts_at", "stores", "skus", "regions", "latitude", "longitude", "radius_km")}
    instant = pl.col("starts_at") + pl.duration(microseconds=1)
    return signals.filter(pl.col("ends_at") >= pl.col("starts_at")).select(
        _open(
            candidate_id=pl.col("event_id"),
            kind=pl.col("signal_type"),
            cause=pl.coalesce("title", pl.format("{} signal {}", pl.col("signal_type").str.to_titlecase(), "event_id")),
            ends_at=pl.max_horizontal("ends_at", instant),
            moves=pl.col("direction"),
            **same,
        )
    )


def _holidays(retailer: Retailer, first_day: date, last_day: date) -> pl.DataFrame:
    days = public_holidays(retailer, first_day, last_day)
    frame = pl.DataFrame(
        {"start_day": list(days), "name": list(days.values())}, schema={"start_day": pl.Date, "name": pl.String}
    ).with_columns(end_day=pl.col("start_day"))
    return frame.select(
        _open(
            candidate_id=pl.col("start_day").dt.to_string("%Y-%m-%d"),
            kind=pl.lit("public_holiday"),
            cause=pl.col("name"),
            **_days(retailer),
        )
    )
