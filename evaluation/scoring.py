"""What was found of what was injected, and how sure one can be of it: figures with intervals over stores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from evaluation.trials import STRONG, Trial

Floats = npt.NDArray[np.float64]
RESAMPLES = 1_000
"""Bootstrap samples of stores per interval."""


@dataclass(frozen=True)
class Outcome:
    """Reports and events of some trials.

    Attributes:
        reports: one row per report: place, dense, true, natural (also reported where nothing is injected).
        events: one row per event: place, dense, family, strong, found, delay (days), true_window_error,
            detected_error (of the uplift of the report that covers most of it; NaN where none does).
    """

    reports: pl.DataFrame
    events: pl.DataFrame


def outcome(
    trials: Sequence[Trial],
    reported: Sequence[pl.DataFrame],
    keys: pl.DataFrame,
    dense: npt.NDArray[np.bool_],
    quiet: pl.DataFrame | None = None,
) -> Outcome:
    """Match reports to events: same series, same direction, at least one day in common.

    Args:
        trials: what was injected.
        reported: reports of each trial; see `reports_of`.
        keys: series, with their place.
        dense: per series.
        quiet: reports of the same series without any injection.
    """
    reports, events = [], []
    for number, (trial, found) in enumerate(zip(trials, reported, strict=True)):
        truth = pl.DataFrame(
            {
                "series": [event.series for event in trial.events],
                "family": [event.family for event in trial.events],
                "begin": [event.first for event in trial.events],
                "stop": [event.end for event in trial.events],
                "sign": [event.sign for event in trial.events],
                "uplift": [event.uplift for event in trial.events],
                "strength": trial.strength,
                "true_window_error": trial.true_window_error,
            },
            schema_overrides={"series": pl.Int64, "begin": pl.Int64, "stop": pl.Int64, "sign": pl.Int32},
        )
        numbered = found.with_row_index("report")
        pairs = numbered.join(truth, on=["series", "sign"]).with_columns(
            common=pl.min_horizontal("end", "stop") - pl.max_horizontal("first", "begin")
        )
        pairs = pairs.filter(pl.col("common") > 0)
        mine = numbered.with_columns(true=pl.col("report").is_in(pairs["report"].to_list()))
        natural = pl.lit(value=False)
        if quiet is not None:
            own = numbered.join(quiet, on=["series", "sign"], suffix="_quiet")
            own = own.filter((pl.col("first") < pl.col("end_quiet")) & (pl.col("end") > pl.col("first_quiet")))
            natural = pl.col("report").is_in(own["report"].to_list())
        reports.append(mine.with_columns(natural=natural & ~pl.col("true"), trial=pl.lit(number)))
        best = pairs.sort("common", "first", descending=[True, False]).unique("series", keep="first")
        delay = pairs.group_by("series").agg(delay=(pl.col("raised") - pl.col("begin")).min())
        events.append(
            truth.join(best.select("series", reported_uplift="uplift_units"), on="series", how="left")
            .join(delay, on="series", how="left")
            .with_columns(
                found=pl.col("delay").is_not_null(),
                strong=pl.col("strength") >= STRONG,
                detected_error=((pl.col("reported_uplift") - pl.col("uplift")) / pl.col("uplift")).abs(),
                trial=pl.lit(number),
            )
        )
    place = keys.with_row_index("series").select(pl.col("series").cast(pl.Int64), "place", dense=pl.Series(dense))
    both = (pl.concat(parts).join(place, on="series").sort("trial", "series") for parts in (reports, events))
    return Outcome(*both)


@dataclass(frozen=True)
class Figure:
    """A value and its 95 % bootstrap interval over stores; NaN where nothing can be said."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.value):
            return "–"
        return f"{self.value:.3f} ({self.low:.3f}–{self.high:.3f})"


def ratio(frames: Sequence[tuple[pl.DataFrame, str]], combine: Callable[..., Floats]) -> Figure:
    """A figure made of counts, with its interval.

    Args:
        frames: (rows, column) pairs: how many rows there are and in how many the flag holds are counted by place.
        combine: counts (total, flagged) of each pair, one after the other → the figure; arrays over samples.
    """
    places = sorted({place for rows, _ in frames for place in rows["place"].unique()})
    if not places:
        return Figure(np.nan, np.nan, np.nan)
    number = {place: n for n, place in enumerate(places)}
    counts: list[npt.NDArray[Any]] = []
    for rows, column in frames:
        own = np.array([number[place] for place in rows["place"]], dtype=np.intp)
        counts.append(np.bincount(own, weights=np.ones(len(own)), minlength=len(places)))
        flags = rows[column].cast(pl.Float64).to_numpy()
        counts.append(np.bincount(own, weights=flags, minlength=len(places)))
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(places), np.full(len(places), 1.0 / len(places)), size=RESAMPLES)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(combine(*(np.array([own.sum()]) for own in counts))[0])
        samples = combine(*(weights @ own for own in counts))
    samples = samples[np.isfinite(samples)]
    low, high = np.quantile(samples, [0.025, 0.975]) if len(samples) else (np.nan, np.nan)
    return Figure(value, float(low), float(high))


def share(rows: pl.DataFrame, column: str) -> Figure:
    """Share of rows in which a flag holds."""
    return ratio([(rows, column)], lambda total, flagged: flagged / total)


def false_discovery_rate(reports: pl.DataFrame) -> Figure:
    """Share of reports that match no injected event, whatever really happened there."""
    return ratio([(reports, "true")], lambda total, true: 1.0 - true / total)


def net_false_discovery_rate(reports: pl.DataFrame) -> Figure:
    """The same without the reports that are made of the same series without any injection too."""
    return false_discovery_rate(reports.filter(~pl.col("natural")))


def f1(reports: pl.DataFrame, strong: pl.DataFrame) -> Figure:
    """Harmonic mean of precision (over all reports) and recall (of strong events)."""

    def combine(reported: Floats, true: Floats, events: Floats, found: Floats) -> Floats:
        precision, recall = true / reported, found / events
        return 2.0 * precision * recall / (precision + recall)

    return ratio([(reports, "true"), (strong, "found")], combine)


def median(rows: pl.DataFrame, column: str) -> Figure:
    """Median of a column, with its interval."""
    rows = rows.filter(pl.col(column).is_not_null() & pl.col(column).is_not_nan())
    if rows.is_empty():
        return Figure(np.nan, np.nan, np.nan)
    groups = [part[column].to_numpy() for _, part in sorted(rows.group_by("place"), key=lambda pair: str(pair[0]))]
    rng = np.random.default_rng(0)
    samples = [
        np.median(np.concatenate([groups[n] for n in rng.integers(len(groups), size=len(groups))]))
        for _ in range(RESAMPLES // 2)
    ]
    low, high = np.quantile(samples, [0.025, 0.975])
    return Figure(float(np.median(rows[column].to_numpy())), float(low), float(high))
