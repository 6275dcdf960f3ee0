"""From logs to candidates: everything that could explain the reports of one retailer, with its features."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from mrs_assets.attribution import facts, kinds, pairs, placebo
from mrs_assets.attribution.coverage import store_limits
from mrs_assets.attribution.dated import Feeds, dated_candidates
from mrs_assets.attribution.observed import observed_candidates
from mrs_assets.attribution.prices import price_facts
from mrs_assets.attribution.terms import FEATURES
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Inputs

CALENDAR = "public_holidays"
"""The input that no feed brings: public holidays, known where the retailer's country is."""

COUNTS = ("jumped_at", "others_moving", "others_covered")
"""What the words of the evidence need beside the features."""


@dataclass(frozen=True)
class Considered:
    """What one retailer's reports are judged by.

    Attributes:
        reports: bounded MRDL rows that are asked about, with `row`; no_cluster: whether a usable cluster is wanting;
            compares_stores: whether anything of other stores was looked at.
        candidates: row, kind, candidate_id, cause, category, prior, starts_at, ends_at, FEATURES, COUNTS.
        unconfigured: inputs that nobody configured for this retailer.
    """

    reports: pl.DataFrame
    candidates: pl.DataFrame
    unconfigured: Collection[str]


def considered(name: str, reports: pl.DataFrame, inputs: Inputs) -> Considered:
    """Every candidate of one retailer's report rows of the asked stores, from what is known at their ticks.

    Args:
        name: the retailer.
        reports: its MRDL rows of all stores.
        inputs: everything else.
    """
    retailer = inputs.settings.retailers[name]
    reports = facts.bounded(reports)
    stores = inputs.scope.stores
    asked = reports if stores is None else reports.filter(pl.col("store_id").is_in(stores))
    clusters = inputs["clustered"].filter((pl.col("retailer") == name) & pl.col("cluster_id").is_not_null())
    series = inputs["series"].filter(retailer=name)
    known = facts.window_facts(asked, series).join(price_facts(asked, series), on="row")
    observed = observed_candidates(asked, known, clusters)
    dated = _dated(name, retailer, reports, asked, series, inputs)
    seen = clusters.select("report_id", "tick", no_cluster=pl.lit(False)).unique(["report_id", "tick"])
    compared = known.filter(pl.col("price_compared")).select("row")
    return Considered(
        asked.join(seen, on=["report_id", "tick"], how="left", maintain_order="left").with_columns(
            pl.col("no_cluster").fill_null(value=True),
            compares_stores=pl.col("row").is_in(pl.concat([compared, dated.select("row")])["row"].unique().implode()),
        ),
        _together(dated, observed),
        {*inputs.unconfigured, *(() if retailer.country else (CALENDAR,))},
    )


def sales_matter_from(inputs: Inputs) -> date:
    """First day whose sales any report of the scope depends on, by its window and by the candidates around it.

    Args:
        inputs: everything but the series.
    """
    moments: list[datetime] = []
    for (name,), of_retailer in inputs["detected"].group_by("retailer"):
        reports = facts.bounded(of_retailer)
        began: datetime = reports["began_at"].min()  # type: ignore[assignment]
        compared = pairs.sales_matter_from(reports, _candidates(str(name), reports, inputs))
        moments += [began - timedelta(days=facts.BEFORE_DAYS), *([compared] if compared else [])]
    days = [moment.date() - timedelta(days=facts.ZONE_DAYS) for moment in moments]
    return min([inputs.scope.first_day, *days])


def others_matter(inputs: Inputs) -> bool:
    """Whether any report of the scope is compared with other stores: with what a candidate covers, or by its prices.

    Args:
        inputs: of the series, the stores that are asked about.
    """
    for (name,), of_retailer in inputs["detected"].group_by("retailer"):
        reports = facts.bounded(of_retailer)
        if not _candidates(str(name), reports, inputs).is_empty():
            return True
        own = inputs["series"].filter(retailer=name)
        if price_facts(reports, own)["price_compared"].any():
            return True
    return False


def _candidates(name: str, reports: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    """Dated candidates of a retailer that can matter for any of its reports."""
    days = timedelta(days=facts.LOOK_BACK_DAYS + placebo.PLACEBO_DAYS)
    candidates = dated_candidates(
        Feeds(*(inputs[feed].filter(retailer=name) for feed in ("promotions", "campaigns", "contextual_events"))),
        inputs.settings.retailers[name],
        inputs.scope.first_day - days,
        inputs.scope.last_day + timedelta(days=kinds.LONGEST_LEAD_DAYS + 1),
    )
    return pairs.near(reports, candidates)


def _dated(
    name: str,
    retailer: Retailer,
    reports: pl.DataFrame,
    asked: pl.DataFrame,
    series: pl.DataFrame,
    inputs: Inputs,
) -> pl.DataFrame:
    candidates = _candidates(name, reports, inputs)
    if candidates.is_empty():  # nothing to compare with any series
        asked, series = asked.clear(), series.clear()
    present = (
        series.filter(
            ~pl.col("coverage").is_in(["closed", "not_expected"])
            & pl.col("business_day").is_between(inputs.scope.first_day, inputs.scope.last_day)
        )
        .select("store_id", "sku", "business_day")
        .unique()
    )
    stores = inputs["stores"].filter(retailer=name).select("store_id", "region", "latitude", "longitude")
    known = pl.concat([reports.select("store_id"), present.select("store_id")]).unique().sort("store_id")
    limits = store_limits(candidates, known.join(stores, on="store_id", how="left"))
    found = pairs.dated_pairs(reports, asked, candidates, limits, present, series, retailer.grain_length)
    told = candidates.select("candidate", "kind", "candidate_id", "cause", "category", "prior", "starts_at", "ends_at")
    return found.join(told, on="candidate").drop("candidate")


def _together(dated: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    columns = ["row", "kind", "candidate_id", "cause", "category", "prior", "starts_at", "ends_at", *FEATURES, *COUNTS]
    return (
        pl.concat([dated, observed], how="diagonal")
        .with_columns(
            pl.lit(None, dtype=pl.Float64).alias(c) for c in FEATURES if c not in {*dated.columns, *observed.columns}
        )
        .select(columns)
    )
