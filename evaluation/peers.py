"""The comparison: public libraries on the same series and injections, matched and scored by the same code.

A statistical forecaster (statsforecast: MSTL) and a detector library (PyOD: isolation forest) say per day how far a
series is from what they expect, from earlier days alone. Days over a threshold that follow each other become one
report. The threshold is the best for them: that with the highest F1 on a development seed. They are optional:
`make evaluate-peers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from evaluation.chapters import is_installed
from evaluation.detection import halves_of, series_to_test, trial_seeds
from evaluation.scoring import Outcome, f1, false_discovery_rate, outcome, share
from evaluation.section import Section
from evaluation.trials import BEGIN, Rule, Trial, injected, reports_of, run_trial
from mrs_assets.injection.families import DEVELOPMENT_SEEDS

Floats = npt.NDArray[np.float64]
Scores = Callable[[Floats, int], Floats]
"""(units, days × series; first day to score) → signed score per day from there on × series."""

ABSENT = (
    "Not measured: statsforecast and PyOD are not installed here. `make evaluate-peers` installs them into an "
    "environment of their own and measures them."
)
REFIT_DAYS = 14
"""Days after which the forecaster is fitted again."""

BRIDGED_DAYS = 1
"""Days under the threshold that do not end a report."""

THRESHOLDS = np.round(np.geomspace(1.0, 60.0, 36), 2)
"""Scores tried on the development seed."""


def measure(seed: int, *, quick: bool = False) -> Sequence[Section]:
    """Both libraries and ours on the first main trial of a seed."""
    if not is_installed():
        return [Section("Public libraries", ABSENT)]
    series, lessons = halves_of(series_to_test(quick=quick))[0]
    choosing, testing = DEVELOPMENT_SEEDS.start, trial_seeds(seed)[0]
    trials = {n: run_trial(series, n, lessons.baseline, lessons.habits) for n in (choosing, testing)}

    def scored(number: int, reports: pl.DataFrame) -> Outcome:
        return outcome([trials[number]], [reports], series.keys, series.dense)

    rows = []
    for name, scores in PEERS.items():
        said = {n: scores(injected(series, n)[0].units, BEGIN) for n in trials}
        threshold = max(
            (float(level) for level in THRESHOLDS),
            key=lambda level: _f1(scored(choosing, reports_over(said[choosing], level, BEGIN))),
        )
        rows.append(_row(name, threshold, scored(testing, reports_over(said[testing], threshold, BEGIN))))
    for name, classifier in (("ours", lessons.classifier), ("ours, no classifier (fallback)", None)):
        trial: Trial = trials[testing]
        rule = Rule(classifier.judge(trial.features) if classifier else None)
        rows.append(_row(name, None, scored(testing, reports_of(trial, rule))))
    return [Section("Public libraries", _text(testing, choosing), tables={"The same trial": pl.DataFrame(rows)})]


def _f1(found: Outcome) -> float:
    value = f1(found.reports, found.events.filter("strong")).value
    return value if np.isfinite(value) else 0.0


def _row(name: str, threshold: float | None, found: Outcome) -> dict[str, object]:
    strong = found.events.filter("strong")
    return {
        "method": name,
        "threshold": threshold,
        "reports": found.reports.height,
        "precision": str(share(found.reports, "true")),
        "FDR": str(false_discovery_rate(found.reports)),
        "recall, strong events": str(share(strong, "found")),
        "F1": str(f1(found.reports, strong)),
        "F1, dense series": str(f1(found.reports.filter("dense"), strong.filter("dense"))),
    }


def _text(testing: int, choosing: int) -> str:
    return f"""\
One trial of the detection chapter (injection seed {testing}) on half of its stores, of which ours learnt nothing, with
its matching and its figures. MSTL (statsforecast) forecasts each series with a weekly season, refitted every fortnight
on all days before; its score is the residual in standard deviations of its own interval. The isolation forest (PyOD)
looks at a day's and its last days' deviations from the same weekdays before, fitted on all days before the tested
weeks. Days over a threshold, of one direction, at most one day apart, are one report. Each got the threshold with its
best F1 on injection seed {choosing}; ours keeps its defaults. Which events are strong is measured with our baseline's
noise, the same for all.

Neither library was made for this: they are what one would reach for first, without features of stores, siblings or
anomalies that were shown to them. Both are given what they need filled in, since neither knows what a gap is. A report
that matches no injected event counts as false, whatever really happened there."""


def filled(units: Floats) -> Floats:
    """Units without gaps, since neither library knows what one is: the same weekday a week before; zero at first."""
    known = units.copy()
    for day in range(len(known)):
        gap = np.isnan(known[day])
        known[day, gap] = known[day - 7, gap] if day >= 7 else 0.0
    return known


def forecaster_scores(units: Floats, first: int) -> Floats:
    """Residuals of MSTL's forecasts in standard deviations, refitted every fortnight on all days before.

    The standard deviation is that of the model's own 80 % interval; at least that of a count of the same mean.
    """
    import pandas as pd  # noqa: PLC0415 - of the libraries compared with
    from statsforecast import StatsForecast  # noqa: PLC0415
    from statsforecast.models import MSTL, AutoETS  # noqa: PLC0415

    known = filled(units)
    days, count = known.shape
    table = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(count), days),
            "ds": np.tile(pd.date_range("2017-01-01", periods=days), count),
            "y": known.T.ravel(),
        }
    )
    steps = (days - first) // REFIT_DAYS
    model = MSTL(season_length=7, trend_forecaster=AutoETS(model="ANN"))
    told = StatsForecast(models=[model], freq="D", n_jobs=1).cross_validation(
        df=table, h=REFIT_DAYS, step_size=REFIT_DAYS, n_windows=steps, level=[80]
    )
    told = told.sort_values(["unique_id", "ds"])
    mean, high = (told[name].to_numpy().reshape(count, -1).T for name in ("MSTL", "MSTL-hi-80"))
    spread = np.maximum((high - mean) / 1.2816, np.sqrt(np.maximum(mean, 1.0)))
    scores = np.zeros((days - first, count))
    scores[-len(mean) :] = (known[-len(mean) :] - mean) / spread
    return np.where(np.isnan(units[first:]), 0.0, scores)


def detector_scores(units: Floats, first: int) -> Floats:
    """Isolation forest over what a day looks like beside its past, fitted on all days before; scaled like deviations.

    Features: the day, the mean of the last 3 and 7 days, each over the same weekday's median of eight weeks, as
    root deviations; level; weekday. The score is how many standard deviations of the fitted scores a day's lies over
    their mean, with the sign of the deviation.
    """
    from pyod.models.iforest import IForest  # noqa: PLC0415 - of the libraries compared with

    features, sign = _features(filled(units))
    start = 63
    learnt = features[start:first].reshape(-1, features.shape[-1])
    rng = np.random.default_rng(0)
    drawn = learnt[rng.permutation(len(learnt))[:200_000]]
    forest = IForest(n_estimators=200, max_samples=min(4096, len(drawn)), random_state=0).fit(drawn)
    scores = forest.decision_function(features[first:].reshape(-1, features.shape[-1])).reshape(sign[first:].shape)
    centred = (scores - forest.decision_scores_.mean()) / forest.decision_scores_.std()
    return np.where(np.isnan(units[first:]), 0.0, np.maximum(centred, 0.0) * sign[first:])


def _features(known: Floats) -> tuple[Floats, Floats]:
    days, count = known.shape
    usual, level = np.zeros_like(known), np.zeros_like(known)
    for day in range(63, days):
        usual[day] = np.median(known[[day - 7 * week for week in range(1, 9)]], axis=0)
        level[day] = known[day - 56 : day - 7].mean(axis=0)
    root = 2.0 * (np.sqrt(np.maximum(known, 0.0) + 0.375) - np.sqrt(np.maximum(usual, 0.0) + 0.375))
    cumulated = np.vstack([np.zeros((1, count)), np.cumsum(root, axis=0)])
    means = [root]
    for span in (3, 7):
        mean = np.zeros_like(root)
        mean[span - 1 :] = (cumulated[span:] - cumulated[:-span]) / np.sqrt(span)
        means.append(mean)
    weekday = np.broadcast_to((np.arange(days) % 7)[:, None], known.shape)
    return np.stack([*means, np.log1p(level), weekday], axis=-1), np.where(root >= 0, 1.0, -1.0)


PEERS: dict[str, Scores] = {"MSTL (statsforecast)": forecaster_scores, "isolation forest (PyOD)": detector_scores}


def reports_over(scores: Floats, threshold: float, first: int) -> pl.DataFrame:
    """Runs of days over a threshold, of one sign each; see `evaluation.trials.reports_of` for the columns.

    A forecaster's uplift is not asked for: `uplift_units` is NULL.
    """
    parts = []
    for sign in (1, -1):
        over = sign * scores >= threshold
        for series in np.nonzero(over.any(axis=0))[0]:
            days = np.nonzero(over[:, series])[0]
            breaks = np.nonzero(np.diff(days) > BRIDGED_DAYS + 1)[0]
            begins, ends = days[np.append(0, breaks + 1)], days[np.append(breaks, len(days) - 1)]
            parts += [
                (int(series), int(b) + first, int(e) + first + 1, sign) for b, e in zip(begins, ends, strict=True)
            ]
    schema = {"series": pl.Int64, "first": pl.Int64, "end": pl.Int64, "sign": pl.Int32}
    found = pl.DataFrame(parts, schema, orient="row").sort("series", "first", "sign")
    nothing = pl.lit(None, dtype=pl.Float64)
    return found.with_columns(raised=pl.col("first"), uplift_units=nothing, probability=nothing)
