"""How well anomalies are detected, measured with ones injected into real series that no model was taught with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from evaluation.detection_pictures import (
    coverage_table,
    precision_recall_picture,
    recall_picture,
    reliability_picture,
)
from evaluation.detection_text import explained
from evaluation.journey import NAME, RealSeries, real_series, series_rows
from evaluation.repeats import flagged_anyway, repeated_days_recall
from evaluation.scoring import (
    Figure,
    Outcome,
    f1,
    false_discovery_rate,
    median,
    net_false_discovery_rate,
    outcome,
    share,
)
from evaluation.section import Section, Target
from evaluation.trials import SETTINGS, TESTED, Rule, Trial, reports_of, run_trial
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.detection.artefact import STRATA, TrainedBaseline
from mrs_assets.detection.classifier_training import INJECTIONS, teach
from mrs_assets.detection.judgement import Judgement, Levels, TrainedClassifier
from mrs_assets.detection.teaching import Examples, examples, habits_of, joined, read_school
from mrs_assets.detection.training import train_baseline
from mrs_assets.detection.window_features import WINDOW_FEATURES
from mrs_assets.injection.families import EVALUATION_SEEDS, FAMILIES

TRIALS, FAMILY_TRIALS = 3, 4
LEAST_FOR_FAMILIES = 2.0
"""Mean units a day of the series that kinds are compared on; in slower ones hardly any is strong."""
FDR_LEVELS = (0.02, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)
Z_LEVELS = (3.5, 4.0, 4.5, 5.0, 6.0, 8.0)


@dataclass(frozen=True)
class Taught:
    """What was learnt from the weeks before the tested ones."""

    baseline: TrainedBaseline
    baseline_figures: Mapping[str, float]
    habits: dict[str, tuple[float, ...]]
    windows: Examples
    classifier: TrainedClassifier
    figures: Mapping[str, float]


def taught(series: RealSeries) -> Taught:
    """Learn both models as their training assets do, from the days before the tested weeks."""
    past = series_rows(series).filter(pl.col("business_day") < TESTED.first_day)
    baseline, baseline_figures = train_baseline(past, PROMOTIONS.empty(), SETTINGS)
    school = read_school(past, PROMOTIONS.empty(), SETTINGS, NAME, baseline)
    habits = habits_of([school])
    windows = joined([examples(school, habits, number) for number in range(INJECTIONS)])
    classifier, figures = teach(windows, habits, SETTINGS)
    return Taught(baseline, baseline_figures, habits, windows, classifier, figures)


@dataclass(frozen=True)
class Measured:
    """Trials of one set of series, and how to score rules on them."""

    series: RealSeries
    trials: Sequence[Trial]
    quiet: Trial

    def outcome(self, classifier: TrainedClassifier | None, **detection: float) -> Outcome:
        """What is reported when a classifier decides (None: when the deviation does)."""

        def reported(trial: Trial) -> pl.DataFrame:
            return reports_of(trial, Rule(classifier.judge(trial.features) if classifier else None, detection))

        reports = [reported(trial) for trial in self.trials]
        return outcome(self.trials, reports, self.series.keys, self.series.dense, reported(self.quiet))


def measured(
    series: RealSeries, seeds: Sequence[int], baseline: TrainedBaseline | None, lessons: Taught, *, alike: bool = False
) -> Measured:
    """Run the trials of some seeds; with `alike`, every kind of anomaly is as frequent as any other."""
    families = tuple(replace(kind, weight=1.0) for kind in FAMILIES) if alike else FAMILIES
    trials = [run_trial(series, seed, baseline, lessons.habits, families) for seed in seeds]
    return Measured(series, trials, run_trial(series, None, baseline, lessons.habits))


def without_features(lessons: Taught, prefix: str) -> TrainedClassifier:
    """The classifier without the features whose names begin so."""
    features = lessons.windows.features.copy()
    features[:, [name.startswith(prefix) for name in WINDOW_FEATURES]] = 0.0
    return teach(replace(lessons.windows, features=features), lessons.habits, SETTINGS)[0]


def without_family(lessons: Taught, number: int) -> TrainedClassifier:
    """The classifier that was never shown a kind of anomaly, nor calibrated with it."""
    return teach(lessons.windows.only(lessons.windows.family != number), lessons.habits, SETTINGS)[0]


def without_second_channel(classifier: TrainedClassifier) -> TrainedClassifier:
    """The classifier alone."""
    return replace(classifier, unknown=Levels((), ()))


def trial_seeds(seed: int, count: int = TRIALS) -> list[int]:
    """Evaluation seeds of the main trials that a report's seed stands for."""
    return [EVALUATION_SEEDS[seed * 100 + number] for number in range(count)]


def series_to_test(*, quick: bool) -> RealSeries:
    """The series that are measured on: every one, or of every fourth store."""
    series = real_series()
    places = series.keys["place"].unique().sort().gather_every(4)
    return series.only(series.keys["place"].is_in(places.implode()).to_numpy()) if quick else series


def measure(seed: int, *, quick: bool = False) -> Sequence[Section]:
    """Detection on Complete Journey, with injections that are drawn from the evaluation seeds by `seed`."""
    seeds = trial_seeds(seed, 1 if quick else TRIALS)
    family_seeds = [EVALUATION_SEEDS[seed * 100 + 50 + number] for number in range(1 if quick else FAMILY_TRIALS)]
    series = series_to_test(quick=quick)
    lessons = taught(series)
    main = measured(series, seeds, lessons.baseline, lessons)
    model = main.outcome(lessons.classifier)
    kinds = measured(
        series.only(np.nanmean(series.units, axis=0) >= LEAST_FOR_FAMILIES),
        family_seeds,
        lessons.baseline,
        lessons,
        alike=True,
    )
    by_kind = kinds.outcome(lessons.classifier)
    left_out = [kinds.outcome(without_family(lessons, number)) for number in range(len(FAMILIES))]
    seasonal = measured(series, seeds, None, lessons)
    variants = {
        "as shipped": model,
        "no second channel": main.outcome(without_second_channel(lessons.classifier)),
        "no look at the store's other series": main.outcome(without_features(lessons, "store_")),
        "no habits of products": main.outcome(without_features(lessons, "item_")),
        "no classifier (fallback: deviation)": main.outcome(None),
        "no trained baseline (fallback: seasonal)": seasonal.outcome(lessons.classifier),
        "neither model": seasonal.outcome(None),
    }
    families = [kind.name for kind in FAMILIES]
    kind_figures = [share(_strong(by_kind, family), "found") for family in families]
    left_figures = [share(_strong(left, family), "found") for left, family in zip(left_out, families, strict=True)]
    repeats = repeated_days_recall(seeds[0])
    quiet = main.quiet.rows.join(main.quiet.baseline, on=["store_id", "sku", "ts"]).filter(
        pl.col("business_day_right") >= TESTED.first_day
    )
    coverage = coverage_table(
        quiet.select(pl.col("units").cast(pl.Float64), "expected_units", "expected_lower", "expected_upper"), STRATA
    )
    targets = (
        *_targets(model),
        *_kind_targets(families, kind_figures, left_figures, by_kind),
        _target("recall of repeated days from rows (copied 3–7 days)", repeats["copied 3–7 days"][0], 0.95, 0.99),
        _coverage_target(coverage),
    )
    curves = {
        "classifier": _curve(main, lessons.classifier, "fdr", FDR_LEVELS),
        "deviation alone": _curve(main, None, "enter_z", Z_LEVELS),
    }
    said, true = _probabilities(main.trials, lessons.classifier)
    told = Section(
        title="Detection",
        text=explained(series, seeds, family_seeds, main.trials, lessons.figures, flagged_anyway()),
        targets=targets,
        tables={
            "What each part contributes, and what is left without a model": _variants(variants),
            "Kinds of anomaly, strong events, all equally frequent": _kinds(
                families, by_kind, kind_figures, left_figures
            ),
            "Days sent twice, flagged from rows": _repeats(repeats),
            "Coverage of the 80 % interval in the tested weeks, nothing injected": coverage,
        },
        pictures={
            "Precision of reports against recall of strong events": precision_recall_picture(curves),
            "Reliability of the anomaly probability": reliability_picture(said, true),
            "Recall by kind of anomaly": recall_picture(families, kind_figures, left_figures),
        },
    )
    return [told]


def _strong(found: Outcome, family: str | None = None) -> pl.DataFrame:
    events = found.events.filter("strong")
    return events if family is None else events.filter(pl.col("family") == family)


def _target(figure: str, value: Figure, reach: float, aim: float, *, lower: bool = False, remark: str = "") -> Target:
    seen = np.isfinite(value.value)
    return Target(
        figure=figure,
        measured=round(value.value, 4) if seen else None,
        reach=reach,
        aim=aim,
        lower_is_better=lower,
        interval=(round(value.low, 4), round(value.high, 4)) if seen and np.isfinite(value.low) else None,
        remark=remark,
    )


def _targets(found: Outcome) -> list[Target]:
    strong, dense = _strong(found), pl.col("dense")
    reports, dense_reports = found.reports, found.reports.filter(dense)
    pessimistic = "every report that matches no injected event counts as false"
    return [
        _target(
            "false-discovery rate, online", false_discovery_rate(reports), 0.08, 0.05, lower=True, remark=pessimistic
        ),
        _target(
            "false-discovery rate net of reports that are made without any injection too",
            net_false_discovery_rate(reports),
            0.08,
            0.05,
            lower=True,
            remark="for comparison; the target is held against the figure above",
        ),
        _target("recall of strong events, all series", share(strong, "found"), 0.60, 0.75),
        _target("recall of strong events, dense series", share(strong.filter(dense), "found"), 0.75, 0.88),
        _target("F1, all series", f1(reports, strong), 0.70, 0.82),
        _target("F1, dense series", f1(dense_reports, strong.filter(dense)), 0.80, 0.90),
        _target("median uplift error, true window", median(strong, "true_window_error"), 0.13, 0.11, lower=True),
        _target(
            "median uplift error, detected window",
            median(strong.filter("found"), "detected_error"),
            0.16,
            0.13,
            lower=True,
        ),
    ]


def _kind_targets(
    families: Sequence[str], taught_figures: Sequence[Figure], left: Sequence[Figure], found: Outcome
) -> list[Target]:
    level = taught_figures[families.index("level_shift")]
    targets = [_target("recall of level shifts", level, 0.60, 0.80)]
    for family, figure in zip(families, left, strict=True):
        events = _strong(found, family).height
        name = f"recall of {family.replace('_', ' ')} by a classifier that was never shown any"
        targets.append(_target(name, figure, 0.30, 0.50, remark=f"{events} strong events"))
    return targets


def _coverage_target(coverage: pl.DataFrame) -> Target:
    furthest = coverage.select((pl.col("coverage") - 0.8).abs().max()).item()
    return Target(
        figure="coverage of the 80 % interval: furthest stratum's distance from .80",
        measured=round(float(furthest), 4),
        reach=0.03,
        aim=0.015,
        lower_is_better=True,
    )


def _variants(variants: Mapping[str, Outcome]) -> pl.DataFrame:
    dense = pl.col("dense")
    return pl.DataFrame(
        [
            {
                "variant": name,
                "reports": found.reports.height,
                "FDR": str(false_discovery_rate(found.reports)),
                "FDR net": str(net_false_discovery_rate(found.reports)),
                "recall strong": str(share(_strong(found), "found")),
                "recall strong, dense": str(share(_strong(found).filter(dense), "found")),
                "F1": str(f1(found.reports, _strong(found))),
                "F1 dense": str(f1(found.reports.filter(dense), _strong(found).filter(dense))),
            }
            for name, found in variants.items()
        ]
    )


def _kinds(families: Sequence[str], found: Outcome, known: Sequence[Figure], left: Sequence[Figure]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "kind": family,
                "strong events": _strong(found, family).height,
                "recall": str(taught_figure),
                "recall, never shown": str(left_figure),
                "median delay, days": _strong(found, family)["delay"].median(),
            }
            for family, taught_figure, left_figure in zip(families, known, left, strict=True)
        ],
        schema_overrides={"median delay, days": pl.Float64},
    )


def _repeats(repeats: Mapping[str, tuple[Figure, int]]) -> pl.DataFrame:
    return pl.DataFrame(
        [{"kind": kind, "stores": count, "recall": str(figure)} for kind, (figure, count) in repeats.items()]
    )


def _curve(
    main: Measured, classifier: TrainedClassifier | None, limit: str, levels: Sequence[float]
) -> list[tuple[float, float]]:
    points = []
    for level in levels:
        found = main.outcome(classifier, **{limit: level})
        if found.reports.height:
            points.append((share(_strong(found), "found").value, 1.0 - false_discovery_rate(found.reports).value))
    return points


def _probabilities(trials: Sequence[Trial], classifier: TrainedClassifier) -> tuple[np.ndarray, np.ndarray]:
    said, true = [], []
    for trial in trials:
        judgement: Judgement = classifier.judge(trial.features)
        said.append(judgement.probability)
        true.append(trial.true_windows())
    return np.concatenate(said), np.concatenate(true)
