"""What the classifier is taught with: windows of real series, with anomalies injected into them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import polars as pl

from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.detection.artefact import TrainedBaseline
from mrs_assets.detection.axis import Flags, Floats, Ints
from mrs_assets.detection.baseline_stage import predict_block
from mrs_assets.detection.evidence import Evidence
from mrs_assets.detection.features import holiday_distance
from mrs_assets.detection.grid import Grid
from mrs_assets.detection.noise import signed_root_deviance
from mrs_assets.detection.panel import Panel, whole_panel
from mrs_assets.detection.scan import longest_window
from mrs_assets.detection.window_features import EVERY_ITEM, LOOKBACK, WINDOW_FEATURES, Features, describe
from mrs_assets.detection.windows import Found, find_windows
from mrs_assets.injection.families import FAMILIES, TRAINING_SEEDS
from mrs_assets.injection.generator import Event, inject

NOTHING = -1
"""Number of the family where nothing was injected."""

NEVER = -1_000_000
"""Row of what does not happen."""

SPAN_DAYS = 91
"""Each series has one injected anomaly in as many days."""
MOST_SPANS = 50

HIGH, VERY_HIGH, LOW = 2.5, 4.0, 2.0
"""Scores of a single tick that are counted as a product's habits."""
LARGEST_SQUARE = 50.0
PRIOR_TICKS = 400.0
"""Ticks by which a product's habits are drawn towards those of all."""


@dataclass(frozen=True)
class Examples:
    """Windows and the truth about them, as arrays over windows.

    Attributes:
        features: see `window_features`.
        z: scan score, signed.
        series: number of the series and of the injection that the window belongs to.
        store: number of the store.
        start, end: first and last row.
        true: whether it overlaps an injected anomaly of its direction.
        share: how much of its deviation was injected, about.
        family: position in `FAMILIES` of what was injected into the series there, or nearest to it; else `NOTHING`.
    """

    features: Features
    z: Floats
    series: Ints
    store: Ints
    start: Ints
    end: Ints
    true: Flags
    share: Floats
    family: Ints

    def __len__(self) -> int:
        return len(self.z)

    def only(self, rows: Flags) -> Examples:
        """Some of them."""
        return Examples(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def joined(parts: Sequence[Examples]) -> Examples:
    """Examples one after the other; series stay apart."""
    numbered, before = [], 0
    for part in parts:
        numbered.append(replace(part, series=part.series + before))
        before += int(part.series.max(initial=0)) + 1
    return Examples(
        *(np.concatenate([getattr(part, name) for part in numbered]) for name in Examples.__dataclass_fields__)
    )


@dataclass(frozen=True)
class School:
    """One retailer's series, read once, into which anomalies are injected again and again.

    Attributes:
        panel: what was sold; its scope is every day there is.
        closed: ticks × series, whether the store was closed.
        retailer: its zone, grain and holidays.
        settings: what a candidate is.
        baseline: the trained baseline that inference uses, if any.
    """

    panel: Panel
    closed: Flags
    retailer: Retailer
    settings: Settings
    baseline: TrainedBaseline | None

    @property
    def first_row(self) -> int:
        """First row of the panel with enough history to be judged, or the middle one where there is little."""
        first, rows = self.panel.grid.first, len(self.panel.grid.axis)
        return first + min(LOOKBACK * self.retailer.ticks_per_day, (rows - first) // 2)


def read_school(
    series: pl.DataFrame,
    promotions: pl.DataFrame,
    settings: Settings,
    retailer_name: str,
    baseline: TrainedBaseline | None,
) -> School:
    """Read the rows of `sales_timeseries_data` and `promotions_log` of one retailer."""
    retailer = settings.retailers[retailer_name]
    panel = whole_panel(series, promotions, retailer, retailer_name)
    (closed,) = panel.grid.scatter(series, [pl.when(pl.col("coverage") == "closed").then(1.0)])
    return School(panel, ~np.isnan(closed), retailer, settings, baseline)


def habits_of(schools: Sequence[School]) -> dict[str, tuple[float, ...]]:
    """What the series of each product do when nothing is injected: values of `ITEM_FEATURES`, drawn towards all."""
    sums: dict[str, Floats] = {}
    for school in schools:
        evidence = evidence_of(school.panel, school, school.first_row)
        first = evidence.grid.first
        z = signed_root_deviance(evidence.actual[first:], evidence.expected[first:], evidence.spread[first:])
        square = np.minimum(z * z, LARGEST_SQUARE)
        measures = [np.ones_like(z), square, z > HIGH, z > VERY_HIGH, z < -LOW]
        known = evidence.counts[first:]
        per_series = np.stack([np.sum(np.where(known, values, 0.0), axis=0) for values in measures], axis=1)
        for item, own in zip(evidence.grid.series["sku"], per_series, strict=True):
            sums[item] = sums.get(item, np.zeros(len(measures))) + own
    if not sums:
        return {}
    total = np.sum([sums[item] for item in sorted(sums)], axis=0)
    usual = total[1:] / max(total[0], 1.0)
    habits = {item: (own[1:] + PRIOR_TICKS * usual) / (own[0] + PRIOR_TICKS) for item, own in sums.items()}
    habits[EVERY_ITEM] = usual
    return {item: tuple(round(float(value), 6) for value in habits[item]) for item in sorted(habits)}


def examples(school: School, habits: Mapping[str, tuple[float, ...]], seed: int) -> Examples:
    """Windows of one retailer with anomalies injected into them, one a series in each `SPAN_DAYS`.

    Args:
        school: the retailer.
        habits: of `habits_of`.
        seed: number of the injection; it draws from `MOST_SPANS` of the `TRAINING_SEEDS`.
    """
    panel, retailer = school.panel, school.retailer
    units, price, events = panel.units, panel.price.copy(), list[tuple[Event, ...]]()
    for number, (first, last) in enumerate(pairwise(_edges(school))):
        injection = inject(
            units[:last],
            panel.grid.series["store_id"].to_list(),
            panel.grid.series["sku"].to_list(),
            first=first,
            seed=TRAINING_SEEDS[seed * MOST_SPANS + number],
            ticks_per_day=retailer.ticks_per_day,
        )
        units = np.concatenate([injection.units, units[last:]])
        events.append(injection.events)
    for event in (event for span in events for event in span):
        price[event.first : event.end, event.series] *= event.price_factor
    evidence = evidence_of(replace(panel, units=units, price=price), school, school.first_row)
    longest = longest_window(school.settings, retailer)
    found = find_windows(evidence, longest, school.settings.detection.candidate_z)
    features = describe(
        evidence, found, longest=longest, days_to_holiday=holiday_distance(evidence.grid.axis, retailer), habits=habits
    )
    return _labelled(evidence, found, features, events, panel.grid.first)


def _edges(school: School) -> list[int]:
    """Rows at which the spans meet that each series has one anomaly in."""
    per_day, begin, rows = school.retailer.ticks_per_day, school.first_row, len(school.panel.grid.axis)
    spans = min(max(1, round((rows - begin) / (SPAN_DAYS * per_day))), MOST_SPANS)
    days = (rows - begin) // per_day
    return [*(begin + per_day * (days * number // spans) for number in range(spans)), rows]


def evidence_of(panel: Panel, school: School, begin: int) -> Evidence:
    """Lay what was sold over what was expected, as the stages do from rows; scope from row `begin` on."""
    first = panel.grid.first
    shape = (len(panel.grid.axis) - first, panel.grid.series.height)
    expected, dispersion = np.full(shape, np.nan), np.full(shape, np.nan)
    for columns, expectation in panel.expectations():
        block = predict_block(panel, columns, expectation, school.baseline)
        expected[:, columns], dispersion[:, columns] = block[0], block[3]
    units, closed = panel.units[first:], school.closed[first:]
    counts = ~(np.isnan(units) | np.isnan(expected) | np.isnan(dispersion) | closed)
    return Evidence(
        grid=Grid(panel.grid.axis.tail(first), panel.grid.series, begin - first),
        counts=counts,
        actual=np.where(counts, units, 0.0),
        expected=np.where(counts, expected, 0.0),
        spread=np.where(counts, expected * dispersion, 0.0),
        price=panel.price[first:],
        closed=closed,
    )


def _labelled(
    evidence: Evidence, found: Found, features: Features, events: Sequence[Sequence[Event]], row_of_axis: int
) -> Examples:
    keys = evidence.grid.series
    families = {kind.name: number for number, kind in enumerate(FAMILIES)}
    shape = (len(events), keys.height)
    family, uplift = np.full(shape, NOTHING), np.zeros(shape)
    begin, end = np.full(shape, NEVER), np.full(shape, NEVER)
    for span, event in ((span, event) for span, own in enumerate(events) for event in own):
        at = span, event.series
        family[at], uplift[at] = families[event.family], event.uplift / event.ticks
        begin[at], end[at] = event.first - row_of_axis, event.end - row_of_axis
    start, column = found.row - found.ticks + 1, found.column
    common = np.minimum(found.row + 1, end[:, column]) - np.maximum(start, begin[:, column])
    same = (common > 0) & (np.sign(found.z) == np.sign(uplift[:, column]))
    # Of the series' anomalies the one that the window shares most with, else the nearest one.
    own = np.argmax(np.where(same, common - NEVER, common), axis=0), np.arange(len(found))
    true, per_tick = same[own], uplift[own[0], column]
    log_expected, log_ratio = (features[:, WINDOW_FEATURES.index(name)] for name in ("log_expected", "log_ratio"))
    expected = np.exp(log_expected.astype(np.float64))
    surplus = np.maximum(np.abs(expected * np.expm1(log_ratio.astype(np.float64))), 0.1)
    return Examples(
        features=features,
        z=found.z,
        series=column,
        store=np.unique(keys["store_id"].to_numpy(), return_inverse=True)[1][column],
        start=start,
        end=found.row,
        true=true,
        share=np.where(true, np.minimum(common[own] * np.abs(per_tick) / surplus, 1.0), 0.0),
        family=family[own[0], column],
    )
