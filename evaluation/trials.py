"""One trial: anomalies injected into the tested weeks, and the stages run over them as they run in production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from evaluation.journey import FIRST, LAST, NAME, RETAILER, Floats, RealSeries, series_rows
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Inputs, Model, Stage
from mrs_assets.detection.artefact import TrainedBaseline
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.baseline_stage import MODEL as BASELINE_NAME
from mrs_assets.detection.classifier_stage import read_windows, window_frame
from mrs_assets.detection.evidence import Evidence
from mrs_assets.detection.features import holiday_distance
from mrs_assets.detection.judgement import Judgement
from mrs_assets.detection.noise import variance
from mrs_assets.detection.scan import longest_window
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.detection.window_features import LOOKBACK, Features, describe
from mrs_assets.detection.windows import Found, at_stake
from mrs_assets.injection.families import FAMILIES, Family
from mrs_assets.injection.generator import Event, inject

TESTED = Scope(LAST - timedelta(days=90), LAST, NAME)
"""The last 13 weeks; what is learnt ends on the day before."""

BEGIN = (TESTED.first_day - FIRST).days
SETTINGS = Settings(home=Path(), retailers={NAME: RETAILER})
STRONG = 5.0
"""Standard deviations of the injected change over its window from which an event is strong."""


def computed(stage: Stage, contract: Contract, inputs: Inputs) -> pl.DataFrame:
    """Rows of one log as they would be stored."""
    return contract.conform(stage.compute(inputs)[contract.name])


@dataclass(frozen=True)
class Trial:
    """What was injected, and the windows that the scan finds.

    Attributes:
        events: what was injected, of which something is known.
        strength: of each event, standard deviations.
        true_window_error: of each event's uplift over its true window, as a share of it.
        rows, baseline: series and expectations, as stored.
        evidence, found: windows and what they lie in.
        features: of the windows.
    """

    events: tuple[Event, ...]
    strength: Floats
    true_window_error: Floats
    rows: pl.DataFrame
    baseline: pl.DataFrame
    evidence: Evidence
    found: Found
    features: Features

    def true_windows(self) -> Floats:
        """Per window, 1 where it overlaps an injected event of its direction."""
        offset = BEGIN - self.evidence.grid.first
        count = self.evidence.grid.series.height
        begin, end, sign = (np.zeros(count, dtype=np.int64) for _ in range(3))
        for event in self.events:
            begin[event.series], end[event.series] = event.first - offset, event.end - offset
            sign[event.series] = event.sign
        start, column = self.found.row - self.found.ticks + 1, self.found.column
        overlaps = (start < end[column]) & (self.found.row >= begin[column])
        return (overlaps & (np.sign(self.found.z) == sign[column])).astype(np.float64)


def injected(
    series: RealSeries, seed: int, families: Sequence[Family] = FAMILIES
) -> tuple[RealSeries, tuple[Event, ...]]:
    """The series with anomalies in the tested weeks, and what they truly are."""
    stores, items = series.keys["store_id"].to_list(), series.keys["sku"].to_list()
    injection = inject(series.units, stores, items, first=BEGIN, seed=seed, families=families)
    price = series.price.copy()
    for event in injection.events:
        price[event.first : event.end, event.series] *= event.price_factor
    return replace(series, units=injection.units, price=price), injection.events


def run_trial(
    series: RealSeries,
    seed: int | None,
    baseline: TrainedBaseline | None,
    habits: Mapping[str, tuple[float, ...]],
    families: Sequence[Family] = FAMILIES,
) -> Trial:
    """Inject with a seed (None: nothing), expect, and scan."""
    loud, events = (series, ()) if seed is None else injected(series, seed, families)
    rows = series_rows(loud)
    longer = replace(TESTED, first_day=TESTED.first_day - timedelta(days=LOOKBACK))
    models = {} if baseline is None else {BASELINE_NAME: Model("evaluation", baseline)}
    frames = {"series": rows, "promotions": series.promotions}
    hidden = frozenset({"promotions"} if series.promotions.is_empty() else ())
    expected = computed(BASELINE_STAGE, BASELINE, Inputs(longer, SETTINGS, frames, models, unconfigured=hidden))
    evidence, found = read_windows(Inputs(TESTED, SETTINGS, {"series": rows, "baseline": expected}))
    assert evidence is not None
    features = describe(
        evidence,
        found,
        longest=longest_window(SETTINGS, RETAILER),
        days_to_holiday=holiday_distance(evidence.grid.axis, RETAILER),
        habits=habits,
    )
    strength, error = _measured(events, evidence)
    return Trial(events, strength, error, rows, expected, evidence, found, features)


def _measured(events: Sequence[Event], evidence: Evidence) -> tuple[Floats, Floats]:
    """Strength of each event, and the error of its uplift where its window is known."""
    offset = BEGIN - evidence.grid.first
    strength, error = np.zeros(len(events)), np.zeros(len(events))
    for number, event in enumerate(events):
        own = slice(event.first - offset, event.end - offset), event.series
        expected, spread = evidence.expected[own].sum(), evidence.spread[own].sum()
        sd = np.sqrt(max(float(variance(expected, spread)), 1e-9))
        strength[number] = abs(event.uplift) / sd
        error[number] = abs(evidence.actual[own].sum() - expected - event.uplift) / abs(event.uplift)
    return strength, error


@dataclass(frozen=True)
class Rule:
    """How windows become reports.

    Attributes:
        judgement: what a classifier says of the trial's windows; None: the deviation decides.
        detection: limits that differ from the default.
    """

    judgement: Judgement | None = None
    detection: Mapping[str, float] = field(default_factory=dict)


def reports_of(trial: Trial, rule: Rule) -> pl.DataFrame:
    """Run the reports' lives over the tested weeks, tick after tick; the newest row of each.

    Returns:
        Columns series, first, end (day numbers, end not included), sign, raised, uplift_units, probability.
    """
    judged = (
        {}
        if rule.judgement is None
        else {
            "anomaly_probability": rule.judgement.probability,
            "p_value": rule.judgement.p_value,
            "q_value": rule.judgement.q_value,
        }
    )
    stake = at_stake(trial.evidence, trial.found, longest_window(SETTINGS, RETAILER))
    windows = CLASSIFIER.conform(window_frame(trial.evidence, trial.found, NAME, stake, judged))
    limits = SETTINGS.detection.model_copy(update=dict(rule.detection))
    frames = {
        "series": trial.rows,
        "baseline": trial.baseline,
        "classifier": windows,
        "past": DETECTED.empty(),
        "previous": DETECTED.empty(),
        "closed": ENDED.empty(),
    }
    rows = computed(
        DETECTION_STAGE, DETECTED, Inputs(TESTED, SETTINGS.model_copy(update={"detection": limits}), frames)
    )

    def day(name: str) -> pl.Expr:
        local = pl.col(name).dt.convert_time_zone(RETAILER.timezone).dt.date()
        return (local - pl.lit(FIRST)).dt.total_days()

    newest = rows.sort("tick").with_columns(raised_at=pl.col("tick").min().over("report_id"))
    return (
        newest.group_by("report_id", maintain_order=True)
        .last()
        .join(trial.evidence.grid.series.with_row_index("series"), on=["store_id", "sku"])
        .select(
            pl.col("series").cast(pl.Int64),
            day("window_start").alias("first"),
            day("last_anomalous_at").alias("end"),
            pl.when(pl.col("direction") == "up").then(1).otherwise(-1).alias("sign"),
            day("raised_at").alias("raised"),
            "uplift_units",
            probability="anomaly_probability",
        )
        .sort("series", "first")
    )
