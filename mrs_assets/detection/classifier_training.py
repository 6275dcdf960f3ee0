"""Training of the classifier: members that each leave some stores out, and levels calibrated on those left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.trainable import Learnt, Lessons, Trainable
from mrs_assets.detection.artefact import TrainedBaseline, load
from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.baseline_stage import MODEL as BASELINE
from mrs_assets.detection.classifier_stage import MODEL
from mrs_assets.detection.judgement import DECIMALS, Levels, TrainedClassifier, dump_classifier, probability, surprise
from mrs_assets.detection.teaching import Examples, examples, habits_of, joined, read_school
from mrs_assets.detection.window_features import WINDOW_FEATURES, Features

INJECTIONS = 4
"""How often each series is taught, each time with other anomalies."""

FOLDS = 3
"""Parts into which stores are divided; each member leaves one out."""

MOST_BINS = 63
"""Bins per feature; with weights, finding their edges takes longer than growing the trees."""

LEAST_TRUE, LEAST_FALSE = 50, 50
"""Windows on and off injected anomalies under which there is nothing to learn."""

LEAST_SHARE = 0.5
"""Injected share of a window's deviation from which it is shown as an anomaly; others look like what they overlap."""

UNKNOWN_BUDGET = 0.1
"""Share of the allowed false discoveries that is left to anomalies of a kind that was never shown."""


@dataclass(frozen=True)
class Stretches:
    """Windows of one direction that follow each other in one series: what becomes one report, or none.

    Attributes:
        of: stretch of each window.
        true: per stretch, whether a window of it overlaps an injected anomaly.
    """

    of: Ints
    true: Flags

    def highest(self, scores: Floats) -> Floats:
        """Highest score of each stretch."""
        best = np.full(len(self.true), -np.inf)
        np.maximum.at(best, self.of, scores)
        return best


def stretches(windows: Examples, gap: int) -> Stretches:
    """Divide windows into stretches; a new one begins where a window does not reach back to the one before it."""
    up = windows.z > 0
    order = np.lexsort((windows.end, up, windows.series))
    series, side, start, end = (values[order] for values in (windows.series, up, windows.start, windows.end))
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (series[1:] != series[:-1]) | (side[1:] != side[:-1]) | (start[1:] > end[:-1] + gap)
    number = np.cumsum(begins) - 1
    of = np.empty(len(order), dtype=np.int64)
    of[order] = number
    true = np.zeros(int(number[-1]) + 1 if len(number) else 0, dtype=np.bool_)
    np.logical_or.at(true, of, windows.true)
    return Stretches(of, true)


def train_classifier(
    series: pl.DataFrame, promotions: pl.DataFrame, settings: Settings, baseline: TrainedBaseline | None
) -> tuple[TrainedClassifier, dict[str, float]]:
    """Learn which windows are anomalies, from anomalies injected into the retailers' own history.

    Deterministic: same rows, same artefact.

    Args:
        series: rows of `sales_timeseries_data`, of one or more retailers.
        promotions: rows of `promotions_log`.
        settings: of the retailers, and what a candidate is.
        baseline: the trained baseline in force, if any.

    Raises:
        UserMistake: too few windows deviate, with or without what is injected.
    """
    schools = [
        read_school(
            series.filter(pl.col("retailer") == name),
            promotions.filter(pl.col("retailer") == name),
            settings,
            name,
            baseline,
        )
        for name in sorted(settings.retailers)
        if name in series["retailer"]
    ]
    habits = habits_of(schools)
    taught = [examples(school, habits, seed) for seed in range(INJECTIONS) for school in schools]
    return teach(joined(taught) if taught else None, habits, settings)


def teach(
    windows: Examples | None, habits: dict[str, tuple[float, ...]], settings: Settings
) -> tuple[TrainedClassifier, dict[str, float]]:
    """Fit the members and calibrate what they say; figures are those of stores that a member had not seen."""
    if windows is None or windows.true.sum() < LEAST_TRUE or (~windows.true).sum() < LEAST_FALSE:
        raise UserMistake(
            "Too few windows deviate from their expectation to learn which of them are anomalies.",
            remedy="Nothing was trained; train again when more days or more series have arrived.",
        )
    runs = stretches(windows, settings.detection.gap_ticks)
    fold = _folds(windows.store)
    telling = _telling(windows.features)
    names = tuple(name for name, tells in zip(WINDOW_FEATURES, telling, strict=True) if tells)
    weight = 1.0 / np.sqrt(np.bincount(runs.of)[runs.of])
    shown = ~windows.true | (windows.share >= LEAST_SHARE)
    members, raw = [], np.zeros(len(windows))
    for number in range(int(fold.max()) + 1):
        left_out = fold == number
        learn = shown & ~left_out
        member = _member(number).fit(windows.features[learn][:, telling], windows.true[learn], weight[learn])
        members.append(member)
        raw[left_out] = member.decision_function(windows.features[left_out][:, telling])
    raw = np.round(raw, DECIMALS)
    odds = LogisticRegression(C=1e6).fit(raw[:, None], windows.true)
    slope, intercept = round(float(odds.coef_[0, 0]), 6), round(float(odds.intercept_[0]), 6)
    best, strange = runs.highest(raw), runs.highest(surprise(windows.features))
    known, unknown = _levels(best, strange, runs.true)
    model = TrainedClassifier(
        members=tuple(members),
        features=names,
        habits=habits,
        slope=slope,
        intercept=intercept,
        null_scores=tuple(np.sort(best[~runs.true]).tolist()),
        known=known,
        unknown=unknown,
    )
    metrics = _figures(model, windows, runs, raw, settings.detection.fdr)
    return model, metrics


def _member(number: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        learning_rate=0.08,
        max_iter=150,
        max_leaf_nodes=15,
        min_samples_leaf=40,
        l2_regularization=5.0,
        max_features=0.3,
        max_bins=MOST_BINS,
        early_stopping=False,
        random_state=number,
    )


def _folds(store: Ints) -> Ints:
    """Part of each window: stores by turns, so that neighbours in name do not fall together."""
    stores, own = np.unique(store, return_inverse=True)
    parts = min(FOLDS, len(stores))
    if parts == 1:
        return np.arange(len(store)) % 2
    return np.asarray(own % parts)


def _telling(features: Features) -> Flags:
    low, high = (
        reduce(features, axis=0, initial=start) for reduce, start in ((np.nanmin, np.inf), (np.nanmax, -np.inf))
    )
    return high > low


def _levels(best: Floats, strange: Floats, true: Flags) -> tuple[Levels, Levels]:
    """False-discovery rates by raw score and by surprise (Benjamini and Hochberg 1995, with counted nulls).

    The rate of a level is the share of false ones among all stretches that reach it, one more false one added. The
    second channel may add its share of the budget to what the first one reports.
    """
    order = np.argsort(-best, kind="stable")
    false = np.cumsum(~true[order])
    every = np.arange(1, len(order) + 1)
    rate = np.minimum((1.0 + false) / every / (1.0 - UNKNOWN_BUDGET), 1.0)
    rate = np.minimum.accumulate(rate[::-1])[::-1]
    reports = np.maximum.accumulate(every)
    surprising = np.argsort(-strange, kind="stable")
    added = (1.0 + np.cumsum(~true[surprising])) / UNKNOWN_BUDGET
    # Smallest rate f at which f × (reports of the first channel at f) covers what the second one adds.
    allowed = rate * reports
    place = np.searchsorted(np.maximum.accumulate(allowed), added)
    second = np.where(place < len(rate), rate[np.minimum(place, len(rate) - 1)], 1.0)
    return _table(best[order], rate), _table(strange[surprising], second)


def _table(falling: Floats, rate: Floats) -> Levels:
    """Keep of falling scores and their rising rates those at which the rate changes; under 1 only."""
    last = np.append(falling[1:] != falling[:-1], True)
    scores, rates = falling[last], np.round(rate[last], 6)
    useful = rates < 1.0
    scores, rates = scores[useful][::-1], rates[useful][::-1]
    if not len(scores):
        return Levels((), ())
    changes = np.append(True, rates[1:] != rates[:-1])
    return Levels(tuple(scores[changes].tolist()), tuple(rates[changes].tolist()))


def _figures(model: TrainedClassifier, windows: Examples, runs: Stretches, raw: Floats, fdr: float) -> dict[str, float]:
    reported = runs.highest(-np.minimum(model.known.rate(raw), model.unknown.rate(surprise(windows.features)))) >= -fdr
    said = probability(raw, model.slope, model.intercept)
    return {
        "brier": float(np.mean((said - windows.true) ** 2)),
        "windows": float(len(windows)),
        "stretches_reported": float(reported.sum()),
        "false_discovery_rate": float((reported & ~runs.true).sum() / max(1, reported.sum())),
        "recall_of_visible": float((reported & runs.true).sum() / max(1, runs.true.sum())),
    }


def _learn(lessons: Lessons) -> Learnt:
    baseline = lessons.models.get(BASELINE)
    model, metrics = train_classifier(
        lessons["series"], lessons["promotions"], lessons.settings, baseline.artefact if baseline else None
    )
    return Learnt(dump_classifier(model), metrics)


CLASSIFIER_MODEL = Trainable(
    name=MODEL,
    reads={"series": SALES_TIMESERIES, "promotions": PROMOTIONS},
    learn=_learn,
    description="Anomaly classifier: which windows are anomalies, learnt from ones injected into real history.",
    builds_on={BASELINE: load},
)
