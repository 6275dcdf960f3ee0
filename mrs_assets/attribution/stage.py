"""The attribution stage: one MRPAL row per report and tick."""

from __future__ import annotations

from datetime import timedelta
from functools import reduce

import polars as pl

from mrs_assets.attribution import facts, kinds, pairs
from mrs_assets.attribution.coverage import store_limits
from mrs_assets.attribution.dated import Feeds, dated_candidates
from mrs_assets.attribution.evidence import evidence, snapshot, states
from mrs_assets.attribution.observed import observed_candidates
from mrs_assets.attribution.prices import price_facts
from mrs_assets.attribution.scoring import FEATURES, RANKED, ranked, score
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Retailer
from mrs_assets.contracts.stage import Frames, Input, Inputs, Stage, Want

IDENTITY = ["retailer", "business_day", "report_id", "tick", "store_id", "sku"]
MODEL_VERSION = "attribution-declared-1"
"""Raised by hand when a weight, prior or feature changes."""

_NO_REASONS = pl.lit([], dtype=pl.List(pl.String))
_ANY_DAY = 36_500


def attribute(inputs: Inputs) -> Frames:
    """Rank the causes of every report of the scope, at each of its ticks, from what is known by then."""
    reports = inputs["detected"].filter(
        pl.col("business_day").is_between(inputs.scope.first_day, inputs.scope.last_day)
    )
    rows = [_of_retailer(str(name), group, inputs) for (name,), group in sorted(reports.group_by("retailer"))]
    answers = pl.concat(rows) if rows else ATTRIBUTED.empty()
    asked = inputs.asked("detected").select("report_id", "tick")
    return {ATTRIBUTED.name: answers.join(asked, on=["report_id", "tick"], how="semi", maintain_order="left")}


def _of_retailer(name: str, reports: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    retailer = inputs.settings.retailers[name]
    reports = facts.bounded(reports)
    clusters = inputs["clustered"].filter((pl.col("retailer") == name) & pl.col("cluster_id").is_not_null())
    series = inputs["series"].filter(retailer=name)
    known = facts.window_facts(reports, series).join(price_facts(reports, series), on="row")
    observed = observed_candidates(reports, known, clusters)
    dated = _dated(name, retailer, reports, series, inputs)
    unclustered = reports.join(clusters, on=["report_id", "tick"], how="anti").select("row", no_cluster=pl.lit(True))
    gaps = (
        reports.select("row")
        .join(unclustered, on="row", how="left")
        .select("row", missing=len(inputs.missing - {"clustered"}) + pl.col("no_cluster").is_not_null().cast(pl.Int32))
    )
    best = ranked(score(_together(dated, observed)), gaps)
    unconfigured = {*inputs.unconfigured, *(() if retailer.country else ("public_holidays",))}
    of_inputs = states({*ATTRIBUTION_STAGE.wants, "public_holidays"}, inputs.missing, unconfigured)
    answers = [
        reports.select("row", *IDENTITY),
        *(_place(best, rank) for rank in range(1, RANKED + 1)),
        evidence(best, reports, of_inputs),
        unclustered,
    ]
    no_cluster = pl.col("no_cluster").is_not_null()
    return ATTRIBUTED.conform(
        reduce(lambda left, right: left.join(right, on="row", how="left", maintain_order="left"), answers)
        .with_columns(
            pl.col("proposed_cause").fill_null(kinds.UNKNOWN),
            pl.col("proposed_cause_category").fill_null(kinds.UNKNOWN),
            pl.col("confidence_score").fill_null(kinds.UNKNOWN_CONFIDENCE),
            context_snapshot=pl.lit(snapshot(of_inputs)),
            report_status=pl.lit("attributed"),
            is_degraded=no_cluster,
            degraded_reasons=pl.when(no_cluster).then(pl.lit(["MRCL_down"])).otherwise(_NO_REASONS),
            model_version=pl.lit(MODEL_VERSION),
        )
        .drop("row", "no_cluster")
    )


def _dated(name: str, retailer: Retailer, reports: pl.DataFrame, series: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    days = timedelta(days=facts.LOOK_BACK_DAYS + pairs.PLACEBO_DAYS)
    candidates = dated_candidates(
        Feeds(*(inputs[feed].filter(retailer=name) for feed in ("promotions", "campaigns", "contextual_events"))),
        retailer,
        inputs.scope.first_day - days,
        inputs.scope.last_day + timedelta(days=kinds.LONGEST_LEAD_DAYS + 1),
    )
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
    found = pairs.dated_pairs(reports, candidates, limits, present, retailer.grain_length)
    told = candidates.select("candidate", "kind", "candidate_id", "cause", "category", "prior", "starts_at", "ends_at")
    return found.join(told, on="candidate").drop("candidate")


def _together(dated: pl.DataFrame, observed: pl.DataFrame) -> pl.DataFrame:
    columns = ["row", "kind", "candidate_id", "cause", "category", "prior", "starts_at", "ends_at", *FEATURES]
    return (
        pl.concat([dated, observed], how="diagonal")
        .with_columns(
            pl.lit(None, dtype=pl.Float64).alias(c) for c in FEATURES if c not in {*dated.columns, *observed.columns}
        )
        .select(columns)
    )


def _place(best: pl.DataFrame, rank: int) -> pl.DataFrame:
    suffix = "" if rank == 1 else f"_{rank}"
    return best.filter((pl.col("rank") == rank) & pl.col("viable")).select(
        "row",
        pl.col("cause").alias(f"proposed_cause{suffix}"),
        pl.col("category").alias(f"proposed_cause_category{suffix}"),
        pl.col("confidence").alias(f"confidence_score{suffix}"),
    )


def unattributed(inputs: Inputs) -> Frames:
    """Rows for the reports of the scope without an answer, for when attribution is down."""
    rows = inputs.asked("detected").select(
        *IDENTITY,
        proposed_cause=pl.lit(kinds.UNKNOWN),
        proposed_cause_category=pl.lit(kinds.UNKNOWN),
        report_status=pl.lit("attributed"),
    )
    return {ATTRIBUTED.name: ATTRIBUTED.conform(rows)}


def _dated_input(feed: Contract) -> Input:
    return Input(feed, days_before=pairs.LOOK_BACK_DAYS + 2, days_after=int(kinds.LONGEST_LEAD_DAYS) + 2)


ATTRIBUTION_STAGE = Stage(
    name=ATTRIBUTED.name,
    writes=(ATTRIBUTED,),
    compute=attribute,
    fallback=unattributed,
    down="MRPAL_down",
    answers="detected",
    needs={"detected": Input(DETECTED)},
    wants={
        "clustered": Want("MRCL_down", log=Input(CLUSTERED)),
        "series": Want("series_down", log=Input(SALES_TIMESERIES, days_before=facts.LOOK_BACK_DAYS + 2)),
        "promotions": Want("promotions_down", log=_dated_input(PROMOTIONS)),
        "campaigns": Want("campaigns_down", log=_dated_input(CAMPAIGNS)),
        "contextual_events": Want("context_down", log=_dated_input(CONTEXTUAL_EVENTS)),
        "stores": Want("stores_down", log=Input(STORES, days_before=_ANY_DAY)),
    },
    span="retailer",
    description=(
        "Why each report probably happened: dated, located candidates (promotions, campaigns, outside signals, "
        "public holidays) and what its own window shows, ranked against the alternative `unknown`."
    ),
)
