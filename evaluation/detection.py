"""How well anomalies are detected, measured with ones injected into real series that no model was taught with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from evaluation.detection_pictures import (
    coverage_table,
    precision_recall_picture,
    recall_picture,
    reliability_picture,
)
from evaluation.detection_text import explained
from evaluation.folds import (
    Fold,
    Taught,
    Teacher,
    as_shipped,
    fold,
    judged,
    nobody,
    taught,
    without_family,
    without_features,
    without_second_channel,
)
from evaluation.journey import LAST, Floats, RealSeries, real_series
from evaluation.promoted import with_promotions
from evaluation.repeats import COPIED, flagged_anyway, repeated_days_recall
from evaluation.scoring import (
    Figure,
    Outcome,
    f1,
    false_discovery_rate,
    median,
    net_false_discovery_rate,
    share,
)
from evaluation.section import Section, Target
from evaluation.trials import TESTED
from mrs_assets.detection.artefact import STRATA
from mrs_assets.injection.families import EVALUATION_SEEDS, FAMILIES

TRIALS, FAMILY_TRIALS = 3, 10
LEAST_FOR_KINDS = 2.0
"""Mean units a day of the series that kinds are compared on; in slower ones hardly any is strong."""
FDR_LEVELS = (0.02, 0.05, 0.08, 0.15, 0.3, 0.5)
Z_LEVELS = (3.5, 4.0, 5.0, 7.0)


def trial_seeds(seed: int, count: int = TRIALS) -> list[int]:
    """Evaluation seeds of the main trials that a report's seed stands for."""
    return [EVALUATION_SEEDS[seed * 100 + number] for number in range(count)]


def series_to_test(*, quick: bool) -> RealSeries:
    """The series that are measured on: every one, or those of every fourth store."""
    series = real_series()
    places = series.keys["place"].unique().sort().gather_every(4)
    return series.only(series.keys["place"].is_in(places.implode()).to_numpy()) if quick else series


def halves_of(series: RealSeries) -> list[tuple[RealSeries, Taught]]:
    """Each half of the stores, with what was learnt from the other."""
    half = np.unique(series.keys["place"].to_numpy(), return_inverse=True)[1] % 2 == 0
    return [(series.only(own), taught(series.only(~own), LAST)) for own in (half, ~half)]


def measure(seed: int, *, quick: bool = False) -> Sequence[Section]:
    """Detection on Complete Journey, with injections that are drawn from the evaluation seeds by `seed`."""
    family_seeds = [EVALUATION_SEEDS[seed * 100 + 50 + number] for number in range(1 if quick else FAMILY_TRIALS)]
    return [measured(series_to_test(quick=quick), trial_seeds(seed, 1 if quick else TRIALS), family_seeds)]


def measured(series: RealSeries, seeds: Sequence[int], family_seeds: Sequence[int]) -> Section:
    """Detection on some series with injections of some seeds."""
    halves = halves_of(series)
    main = [fold(own, lessons, seeds) for own, lessons in halves]
    seasonal = [fold(own, lessons, seeds, seasonal=True) for own, lessons in halves]
    brisk = [(own.only(np.nanmean(own.units, axis=0) >= LEAST_FOR_KINDS), lessons) for own, lessons in halves]
    kinds = [fold(own, lessons, family_seeds, alike=True) for own, lessons in brisk]
    told = [fold(own, lessons, seeds) for own, lessons in halves_of(with_promotions(series))]
    before = fold(series, taught(series, TESTED.first_day - timedelta(days=1)), seeds)
    model = judged(main, as_shipped)
    variants = {
        "as shipped": model,
        "learnt from the days before the tested weeks alone": judged([before], as_shipped),
        "promotions told, to what learns and to what is tested": judged(told, as_shipped),
        "no second channel": judged(main, without_second_channel),
        "no look at the store's other series": judged(main, without_features("store_")),
        "no habits of products": judged(main, without_features("item_")),
        "no classifier (fallback: deviation)": judged(main, nobody),
        "no trained baseline (fallback: seasonal)": judged(seasonal, as_shipped),
        "neither model": judged(seasonal, nobody),
    }
    families = [kind.name for kind in FAMILIES]
    by_kind = judged(kinds, as_shipped)
    left_out = [judged(kinds, without_family(number)) for number in range(len(families))]
    kind_figures = [share(_strong(by_kind, family), "found") for family in families]
    left_figures = [share(_strong(left, family), "found") for left, family in zip(left_out, families, strict=True)]
    repeats = repeated_days_recall(seeds[0])
    coverage = coverage_table(_quiet_ticks(main), STRATA)
    curves = {
        "classifier": _curve(main, as_shipped, "fdr", FDR_LEVELS),
        "deviation alone": _curve(main, nobody, "enter_z", Z_LEVELS),
    }
    return Section(
        title="Detection",
        text=explained(series, seeds, family_seeds, [trial for one in main for trial in one.trials], flagged_anyway()),
        targets=(
            *_targets(model),
            *_kind_targets(families, kind_figures, left_figures, by_kind),
            _target(
                "recall of repeated days from rows (copied 3–7 days)",
                repeats[COPIED][0],
                0.95,
                0.99,
                remark="stores that sold five products or more on each of the days; larger ones apart in the table",
            ),
            _coverage_target(coverage),
        ),
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
            "Reliability of the anomaly probability": reliability_picture(*_probabilities(main)),
            "Recall by kind of anomaly": recall_picture(families, kind_figures, left_figures),
        },
    )


def _quiet_ticks(folds: Sequence[Fold]) -> pl.DataFrame:
    """Ticks of the tested weeks without anything injected, with their intervals."""
    return pl.concat(
        one.quiet.rows.select("store_id", "sku", "ts", pl.col("units").cast(pl.Float64))
        .join(one.quiet.baseline, on=["store_id", "sku", "ts"])
        .filter(pl.col("business_day") >= TESTED.first_day)
        .select("units", "expected_units", "expected_lower", "expected_upper")
        for one in folds
    )


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
    furthest = coverage.sort((pl.col("coverage") - 0.8).abs()).tail(1)
    stratum, ticks, covered = furthest.select("expected_units", "ticks", "coverage").row(0)
    return Target(
        figure="coverage of the 80 % interval: furthest stratum's distance from .80",
        measured=round(abs(covered - 0.8), 4),
        reach=0.03,
        aim=0.015,
        lower_is_better=True,
        remark=f"expected units {stratum}, {ticks:,} of {coverage['ticks'].sum():,} ticks",
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


def _curve(folds: Sequence[Fold], teacher: Teacher, limit: str, levels: Sequence[float]) -> list[tuple[float, float]]:
    points = []
    for level in levels:
        found = judged(folds, teacher, **{limit: level})
        if found.reports.height:
            points.append((share(_strong(found), "found").value, 1.0 - false_discovery_rate(found.reports).value))
    return points


def _probabilities(folds: Sequence[Fold]) -> tuple[Floats, Floats]:
    pairs = [
        (one.lessons.classifier.judge(trial.features).probability, trial.true_windows())
        for one in folds
        for trial in one.trials
    ]
    said, true = (np.concatenate(values) for values in zip(*pairs, strict=True))
    return said, true
