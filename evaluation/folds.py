"""Trials on series of which no model was learnt: who learns from what, what is injected, and who decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import polars as pl

from evaluation.journey import NAME, RealSeries, series_rows
from evaluation.scoring import Outcome, outcome
from evaluation.trials import SETTINGS, Rule, Trial, reports_of, run_trial
from mrs_assets.detection.artefact import TrainedBaseline
from mrs_assets.detection.classifier_training import INJECTIONS, teach
from mrs_assets.detection.judgement import Levels, TrainedClassifier
from mrs_assets.detection.teaching import Examples, examples, habits_of, joined, read_school
from mrs_assets.detection.training import train_baseline
from mrs_assets.detection.window_features import WINDOW_FEATURES
from mrs_assets.injection.families import FAMILIES


@dataclass(frozen=True)
class Taught:
    """What was learnt from some series."""

    baseline: TrainedBaseline
    habits: dict[str, tuple[float, ...]]
    windows: Examples
    classifier: TrainedClassifier
    figures: Mapping[str, float]


def taught(series: RealSeries, last_day: date) -> Taught:
    """Learn both models as their training assets do, from the days up to one."""
    past = series_rows(series).filter(pl.col("business_day") <= last_day)
    baseline = train_baseline(past, series.promotions, SETTINGS)[0]
    school = read_school(past, series.promotions, SETTINGS, NAME, baseline)
    habits = habits_of([school])
    windows = joined([examples(school, habits, number) for number in range(INJECTIONS)])
    classifier, figures = teach(windows, habits, SETTINGS)
    return Taught(baseline, habits, windows, classifier, figures)


@dataclass(frozen=True)
class Fold:
    """Trials on series of which no model was learnt.

    Attributes:
        series: what is tested.
        lessons: what was learnt, from other series or other days.
        trials: what was injected; `quiet` is the same without.
    """

    series: RealSeries
    lessons: Taught
    trials: Sequence[Trial]
    quiet: Trial


Teacher = Callable[[Taught], TrainedClassifier | None]


def fold(
    series: RealSeries, lessons: Taught, seeds: Sequence[int], *, seasonal: bool = False, alike: bool = False
) -> Fold:
    """Run the trials of some seeds; with `alike`, every kind of anomaly is as frequent as any other."""
    families = tuple(replace(kind, weight=1.0) for kind in FAMILIES) if alike else FAMILIES
    baseline = None if seasonal else lessons.baseline
    trials = [run_trial(series, seed, baseline, lessons.habits, families) for seed in seeds]
    return Fold(series, lessons, trials, run_trial(series, None, baseline, lessons.habits))


def judged(folds: Sequence[Fold], teacher: Teacher, **detection: float) -> Outcome:
    """What is reported in all folds when each one's classifier decides (None: when the deviation does)."""
    outcomes = []
    for one in folds:
        classifier = teacher(one.lessons)

        def reported(trial: Trial, classifier: TrainedClassifier | None = classifier) -> pl.DataFrame:
            return reports_of(trial, Rule(classifier.judge(trial.features) if classifier else None, detection))

        reports = [reported(trial) for trial in one.trials]
        outcomes.append(outcome(one.trials, reports, one.series.keys, one.series.dense, reported(one.quiet)))
    return Outcome(pl.concat(found.reports for found in outcomes), pl.concat(found.events for found in outcomes))


def as_shipped(lessons: Taught) -> TrainedClassifier:
    """The classifier as it was learnt."""
    return lessons.classifier


def nobody(_: Taught) -> None:
    """No classifier: the deviation decides."""


def without_features(prefix: str) -> Teacher:
    """The classifier without the features whose names begin so."""
    hidden = [name.startswith(prefix) for name in WINDOW_FEATURES]

    def learn(lessons: Taught) -> TrainedClassifier:
        features = lessons.windows.features.copy()
        features[:, hidden] = 0.0
        return teach(replace(lessons.windows, features=features), lessons.habits, SETTINGS)[0]

    return learn


def without_family(number: int) -> Teacher:
    """The classifier that was never shown a kind of anomaly, nor calibrated with it."""
    return lambda lessons: teach(lessons.windows.only(lessons.windows.family != number), lessons.habits, SETTINGS)[0]


def without_second_channel(lessons: Taught) -> TrainedClassifier:
    """The classifier alone."""
    return replace(lessons.classifier, unknown=Levels((), ()))
