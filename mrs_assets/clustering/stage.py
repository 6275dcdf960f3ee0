"""The clustering stage: one MRCL row per report and tick."""

from __future__ import annotations

import numpy as np
import polars as pl

from mrs_assets.clustering.features import NAMES, SHARES, told, vectors
from mrs_assets.clustering.library import NOVEL, Library, build_library, load, match
from mrs_assets.clustering.windows import LOOK_BACK_DAYS, footprint, windows
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.stage import Frames, Input, Inputs, Others, Stage, Want

MODEL = "cluster_library"
IDENTITY = ["retailer", "business_day", "report_id", "tick", "store_id", "sku"]


def cluster(inputs: Inputs) -> Frames:
    """Place every report of the scope in the library, at each of its ticks.

    The library is the one in force; where none is, the one that is built in, which its rows name as their version.
    A report without a single tick that has both an actual and an expected value gets NULL in every cluster
    column and the reason `baseline_down`.
    """
    model = inputs.models.get(MODEL)
    library = build_library() if model is None else model.artefact
    version = library.version if model is None else model.version
    placed = [
        _place(name, group.sort("report_id", "tick"), inputs, library, version)
        for (name,), group in sorted(inputs.asked("detected").group_by("retailer"))
    ]
    return {CLUSTERED.name: pl.concat(placed) if placed else CLUSTERED.empty()}


def _place(name: object, reports: pl.DataFrame, inputs: Inputs, library: Library, version: str) -> pl.DataFrame:
    retailer = inputs.settings.retailers[str(name)]
    series = inputs["series"].filter(retailer=name)
    today = series.filter(pl.col("business_day").is_in(reports["business_day"].unique().implode()))
    shares = footprint(reports, inputs["detected"].filter(retailer=name), today, retailer)
    parts = []
    for part in windows(reports, series, inputs["baseline"].filter(retailer=name), shares, retailer):
        features = vectors(part)
        found = match(library, features)
        parts.append(
            pl.DataFrame(
                {
                    "feature_vector": features,
                    "family": found.family,
                    "similarity_score": found.similarity,
                    "cluster_match_confidence": found.confidence,
                    "layout_x": found.layout[:, 0],
                    "layout_y": found.layout[:, 1],
                },
                schema_overrides={"feature_vector": pl.Array(pl.Float64, features.shape[1])},
                nan_to_null=True,
            ).with_columns(known=pl.Series(np.isfinite(features[:, 0])))
        )
    names = pl.DataFrame(
        {
            "family": np.arange(-1, len(library.families)),
            "cluster_id": [NOVEL, *library.families],
            "cluster_name": [NOVEL, *library.names],
        }
    )
    placed = pl.concat(parts).join(names, on="family", how="left", maintain_order="left")
    known = pl.col("known")
    return CLUSTERED.conform(
        pl.concat([reports.select(IDENTITY), placed], how="horizontal").select(
            *IDENTITY,
            pl.when(known).then(
                pl.col("feature_vector").cast(pl.List(pl.Float64)).list.eval(pl.element().fill_nan(None))
            ),
            *(pl.when(known).then(c).alias(c) for c in ("cluster_id", "cluster_name")),
            "similarity_score",
            "cluster_match_confidence",
            "layout_x",
            "layout_y",
            report_status=pl.lit("clustered"),
            is_degraded=~known,
            degraded_reasons=pl.when(known)
            .then(pl.lit([], dtype=pl.List(pl.String)))
            .otherwise(pl.lit(["baseline_down"])),
            model_version=pl.lit(version),
        )
    )


def outdated(inputs: Inputs, answers: pl.DataFrame) -> pl.DataFrame:
    """The answers whose vectors tell other shares than there are now; one without a vector tells none."""
    found = [answers.clear()]
    for (name,), reports in sorted(inputs["detected"].group_by("retailer")):
        series = inputs["series"].filter(retailer=name)
        shares = footprint(reports, reports, series, inputs.settings.retailers[str(name)])
        now = pl.DataFrame(told(shares.to_numpy().astype(float)), schema=SHARES, nan_to_null=True)
        both = pl.concat([reports.select("report_id", "tick"), now], how="horizontal").join(
            answers.filter(pl.col("feature_vector").is_not_null()), on=["report_id", "tick"]
        )
        then = {share: pl.col("feature_vector").list.get(NAMES.index(share), null_on_oob=True) for share in SHARES}
        otherwise = both.filter(pl.any_horizontal(pl.col(share).ne_missing(then[share]) for share in SHARES))
        found.append(otherwise.select(answers.columns))
    return pl.concat(found)


def unclustered(inputs: Inputs) -> Frames:
    """Rows for the reports of the scope without any cluster, for when clustering is down."""
    rows = inputs.asked("detected").select(
        *IDENTITY,
        report_status=pl.lit("clustered"),
    )
    return {CLUSTERED.name: CLUSTERED.conform(rows)}


CLUSTERING_STAGE = Stage(
    name=CLUSTERED.name,
    writes=(CLUSTERED,),
    compute=cluster,
    fallback=unclustered,
    down="MRCL_down",
    answers="detected",
    needs={
        "detected": Input(DETECTED, others=Others(columns=("direction",), outdated=outdated)),
        "series": Input(
            SALES_TIMESERIES, days_before=LOOK_BACK_DAYS + 1, others=Others(0, ("coverage",), outdated=outdated)
        ),
        "baseline": Input(BASELINE, days_before=LOOK_BACK_DAYS + 1, others=None),
    },
    wants={MODEL: Want("cluster_library_down", model=MODEL, load=load)},
    code_version="3",
    span="retailer",
    description=(
        "What each report looks like: its shape, size and footprint, matched with the nearest entry of a library "
        "of known shapes; `novel` where none is near."
    ),
)
