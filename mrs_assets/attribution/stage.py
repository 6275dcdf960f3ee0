"""The attribution stage: one MRPAL row per report and tick."""

from __future__ import annotations

from functools import reduce

import polars as pl

from mrs_assets.attribution import facts, kinds, pairs
from mrs_assets.attribution.candidates import CALENDAR, considered, others_matter, sales_matter_from
from mrs_assets.attribution.evidence import evidence, snapshot, states
from mrs_assets.attribution.fitted import load
from mrs_assets.attribution.scoring import RANKED, ranked, ranked_by_model
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.stage import Frames, Input, Inputs, Others, Stage, Want

IDENTITY = ["retailer", "business_day", "report_id", "tick", "store_id", "sku"]
MODEL = "attribution_model"
MODEL_VERSION = "attribution-declared-2"
"""Of the declared weights; raised by hand when a weight, prior or feature changes."""

_NO_REASONS = pl.lit([], dtype=pl.List(pl.String))
_ANY_DAY = 36_500


def attribute(inputs: Inputs) -> Frames:
    """Rank the causes of every report of the scope, at each of its ticks, from what is known by then."""
    reports = inputs["detected"].filter(
        pl.col("business_day").is_between(inputs.scope.first_day, inputs.scope.last_day)
    )
    rows = [_of_retailer(str(name), group, inputs) for (name,), group in sorted(reports.group_by("retailer"))]
    return {ATTRIBUTED.name: pl.concat(rows) if rows else ATTRIBUTED.empty()}


def _of_retailer(name: str, reports: pl.DataFrame, inputs: Inputs) -> pl.DataFrame:
    found = considered(name, reports, inputs)
    rows = found.reports.select("row", "no_cluster")
    model = inputs.models.get(MODEL)
    absent = {*inputs.missing, *found.unconfigured}
    if model is None:
        missed = len(inputs.missing - {"clustered", MODEL})
        best = ranked(found.candidates, rows, absent, missed)
    else:
        best = ranked_by_model(found.candidates, rows, absent, model.artefact)
    of_inputs = states({*_LOGS_WANTED, CALENDAR}, inputs.missing, found.unconfigured)
    answers = [
        found.reports.select("row", *IDENTITY, "no_cluster", "compares_stores"),
        *(_place(best, rank) for rank in range(1, RANKED + 1)),
        evidence(best, found.reports, of_inputs),
    ]
    return ATTRIBUTED.conform(
        reduce(lambda left, right: left.join(right, on="row", how="left", maintain_order="left"), answers)
        .with_columns(
            pl.col("proposed_cause").fill_null(kinds.UNKNOWN),
            pl.col("proposed_cause_category").fill_null(kinds.UNKNOWN),
            pl.col("confidence_score").fill_null(kinds.UNKNOWN_CONFIDENCE),
            pl.when(pl.lit(not inputs.missing)).then("compares_stores"),
            context_snapshot=pl.lit(snapshot(of_inputs)),
            report_status=pl.lit("attributed"),
            is_degraded=pl.col("no_cluster"),
            degraded_reasons=pl.when("no_cluster").then(pl.lit(["MRCL_down"])).otherwise(_NO_REASONS),
            model_version=pl.lit(MODEL_VERSION if model is None else model.version),
        )
        .drop("row", "no_cluster")
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


_COMPARES = "compares_stores"
_SALES = Input(
    SALES_TIMESERIES,
    days_before=facts.LOOK_BACK_DAYS + facts.ZONE_DAYS,
    others=Others(told_by=_COMPARES, matter=others_matter),
    matters_from=sales_matter_from,
)
ATTRIBUTION_STAGE = Stage(
    name=ATTRIBUTED.name,
    writes=(ATTRIBUTED,),
    compute=attribute,
    fallback=unattributed,
    down="MRPAL_down",
    answers="detected",
    needs={"detected": Input(DETECTED, others=Others(columns=facts.WINDOW, told_by=_COMPARES))},
    wants={
        "clustered": Want("MRCL_down", log=Input(CLUSTERED, others=None)),
        "series": Want("series_down", log=_SALES),
        "promotions": Want("promotions_down", log=_dated_input(PROMOTIONS)),
        "campaigns": Want("campaigns_down", log=_dated_input(CAMPAIGNS)),
        "contextual_events": Want("context_down", log=_dated_input(CONTEXTUAL_EVENTS)),
        "stores": Want("stores_down", log=Input(STORES, days_before=_ANY_DAY)),
        MODEL: Want("attribution_model_down", model=MODEL, load=load),
    },
    code_version="2",
    span="retailer",
    description=(
        "Why each report probably happened: dated, located candidates (promotions, campaigns, outside signals, "
        "public holidays) and what its own window shows, ranked against the alternative `unknown`."
    ),
)

_LOGS_WANTED = tuple(name for name, want in ATTRIBUTION_STAGE.wants.items() if want.log is not None)
