"""The stage that scores the windows which end at each tick, and judges them where a classifier was trained."""

from __future__ import annotations

import numpy as np
import polars as pl

from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.stage import Frames, Input, Inputs, Model, Stage, Want
from mrs_assets.detection.axis import Flags, Floats
from mrs_assets.detection.evidence import Evidence, keys_of, read_evidence
from mrs_assets.detection.features import holiday_distance
from mrs_assets.detection.grid import as_days, as_instants
from mrs_assets.detection.judgement import load_classifier
from mrs_assets.detection.scan import longest_window
from mrs_assets.detection.window_features import LOOKBACK, describe
from mrs_assets.detection.windows import Found, at_stake, find_windows

MODEL = "anomaly_classifier_model"

SENT_TWICE = ("duplicate_window", "repeated_block")
"""Doubts of the series stage that are decided on from the rows themselves."""


def compute(inputs: Inputs) -> Frames:
    """At each tick with evidence, the best window upwards and downwards from `candidate_z` on."""
    evidence, found = read_windows(inputs)
    if evidence is None:
        return {CLASSIFIER.name: CLASSIFIER.empty()}
    longest = longest_window(inputs.settings, inputs.retailer)
    stake = at_stake(evidence, found, longest)
    model = inputs.models.get(MODEL)
    judged = _judged(evidence, found, longest, inputs, model) if model is not None else {}
    frame = window_frame(evidence, found, str(inputs.scope.retailer), stake, judged)
    return {
        CLASSIFIER.name: frame.with_columns(model_version=pl.lit(model.version if model else None, dtype=pl.String))
    }


def read_windows(inputs: Inputs) -> tuple[Evidence | None, Found]:
    """Every series of the stores in scope, and the windows that end at the ticks of the scope; None where none is."""
    series, baseline = inputs["series"], inputs["baseline"]
    if inputs.asked("baseline").is_empty():
        nothing = np.zeros(0, dtype=np.int64)
        return None, Found(nothing, nothing, np.zeros(0), nothing)
    evidence = read_evidence(
        series,
        baseline,
        retailer=inputs.retailer,
        scope=inputs.scope,
        days_before=LOOKBACK,
        keys=keys_of(baseline),
    )
    longest = longest_window(inputs.settings, inputs.retailer)
    return evidence, find_windows(evidence, longest, inputs.settings.detection.candidate_z)


def _judged(evidence: Evidence, found: Found, longest: int, inputs: Inputs, model: Model) -> dict[str, Floats]:
    features = describe(
        evidence,
        found,
        longest=longest,
        days_to_holiday=holiday_distance(evidence.grid.axis, inputs.retailer),
        habits=model.artefact.habits,
    )
    judgement = model.artefact.judge(features)
    told = _sent_twice(evidence, found, inputs) & (found.z >= inputs.settings.detection.enter_z)
    return {
        "anomaly_probability": judgement.probability,
        "p_value": judgement.p_value,
        "q_value": np.where(told, 0.0, judgement.q_value),
    }


def _sent_twice(evidence: Evidence, found: Found, inputs: Inputs) -> Flags:
    """Windows with a tick whose rows give away that it was sent twice: no model has to say that this is no sale."""
    doubted = inputs["series"].filter(pl.col("quality_flags").list.eval(pl.element().is_in(SENT_TWICE)).list.any())
    row, column, _ = evidence.grid.place(doubted)
    if not len(row):
        return np.zeros(len(found), dtype=np.bool_)
    flagged = np.zeros_like(evidence.actual)
    flagged[row, column] = 1.0
    so_far = np.pad(np.cumsum(flagged, axis=0), ((1, 0), (0, 0)))
    return so_far[found.row + 1, found.column] > so_far[found.row - found.ticks + 1, found.column]


def window_frame(
    evidence: Evidence, found: Found, retailer: str, stake: Floats, judged: dict[str, Floats]
) -> pl.DataFrame:
    """Rows of the log.

    Args:
        evidence: what the windows were found in.
        found: the windows.
        retailer: whose.
        stake: money by which each window surely deviates.
        judged: columns that a model gives; empty where none does.
    """
    axis = evidence.grid.axis
    return (
        evidence.grid.series[found.column]
        .with_columns(
            retailer=pl.lit(retailer),
            business_day=as_days(axis.day[found.row]),
            tick=as_instants(axis.ends[found.row]),
            window_start=as_instants(axis.ts[found.row - found.ticks + 1]),
            window_end=as_instants(axis.ends[found.row]),
            direction=pl.Series(np.where(found.z > 0, "up", "down"), dtype=pl.String),
            scan_z=pl.Series(found.z),
            severity_score=pl.Series(stake * judged.get("anomaly_probability", 1.0)),
            classifier_source=pl.lit("model" if judged else "deviation_heuristic"),
            **{name: pl.Series(values) for name, values in judged.items()},
        )
        .sort("store_id", "sku", "tick", "window_start")
    )


CLASSIFIER_STAGE = Stage(
    name=CLASSIFIER.name,
    writes=(CLASSIFIER,),
    compute=compute,
    needs={
        "series": Input(SALES_TIMESERIES, days_before=LOOKBACK),
        "baseline": Input(BASELINE, days_before=LOOKBACK),
    },
    wants={"classifier_model": Want("classifier_down", model=MODEL, load=load_classifier)},
    code_version="2",
    description="How far the windows that end at each tick deviate from the baseline, and which are anomalies.",
)
