"""What drift is measured of: the newest days of the stages' logs, held against what the version in force learnt."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl

from mrs_assets.contracts.columns import RETAILER_SERIES
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.contracts.trainable import Trainable
from mrs_assets.detection.noise import variance
from mrs_assets.drift.inputs import LOGS_OF_INPUTS, stability
from mrs_assets.drift.measures import share_outside, standardised
from mrs_assets.planning.ledger import known_days
from mrs_resources.drawing import draw
from mrs_resources.log_store import Transaction
from mrs_resources.model_store import active_model

ROWS_LOOKED_AT = 1_000_000
"""Rows of one log that are looked at, at most; of more, some stores are."""

_OUTSIDE = 0.2
"""Share that lies outside of an 80 % interval that holds what it says."""


@dataclass(frozen=True)
class Reading:
    """One measure of one retailer.

    Attributes:
        check: the check that it belongs to, a true sentence in snake case.
        retailer: whose rows.
        what: what was measured, in words.
        value: the value; None where there are too few rows to judge.
        limit: what it must not exceed, either way.
        rows: rows, or reports, that it was taken of.
    """

    check: str
    retailer: str
    what: str
    value: float | None
    limit: float
    rows: int

    @property
    def exceeds(self) -> bool:
        """Whether the world has moved too far."""
        return self.value is not None and abs(self.value) > self.limit


INPUTS, FITS, CENTRED, HOLDS, HISTORY, CLUSTERS, CAUSES = (
    "main_inputs_look_as_at_training",
    "learnt_with_the_versions_in_force",
    "expectations_are_centred",
    "intervals_hold_what_they_say",
    "series_have_enough_history",
    "most_reports_look_like_a_known_cluster",
    "most_reports_have_a_likely_cause",
)


def input_readings(tx: Transaction, settings: Settings, model: Trainable) -> list[Reading]:
    """How far the main inputs of a model moved from what its version in force learnt; nothing where none is."""
    in_force = active_model(tx, model.name)
    if in_force is None or not in_force["inputs"]:
        return []
    reference, limits = json.loads(str(in_force["inputs"])), settings.drift
    found: list[Reading] = []
    for scope in _newest_days(tx, settings):
        part, _ = draw(tx, model.reads.values(), scope, ROWS_LOOKED_AT)
        frames = {log.name: tx.live(log, part) for log in model.reads.values() if log in LOGS_OF_INPUTS}
        for retailer, shifts in stability(reference, frames).items():
            rows = max(frame.height for frame in frames.values())
            found += [
                _reading(INPUTS, retailer, f"shift of {name}", shift, limits.most_shift, rows, limits.least_rows)
                for name, shift in shifts.items()
            ]
    return found


def fit_readings(tx: Transaction, model: Trainable) -> list[Reading]:
    """Whether each model that it builds on has the version in force with which it was learnt."""
    present = active_model(tx, model.name)
    if present is None:
        return []
    learnt_with = json.loads(str(present["built_on"] or "{}"))
    found = []
    for name in sorted(model.builds_on):
        in_force = active_model(tx, name)
        now = None if in_force is None else in_force["model_version_id"]
        found.append(Reading(FITS, "*", f"another version of {name}", float(learnt_with.get(name) != now), 0.0, 1))
    return found


def baseline_readings(tx: Transaction, settings: Settings) -> list[Reading]:
    """Bias and calibration of the expectations on quiet days, and the share of them without enough history."""
    found: list[Reading] = []
    limits, least = settings.drift, settings.drift.least_rows
    for scope in _newest_days(tx, settings):
        part, _ = draw(tx, (BASELINE,), scope, ROWS_LOOKED_AT)
        expected = tx.live(BASELINE, part)
        if expected.is_empty():
            continue
        retailer = str(scope.retailer)
        quiet = _quiet(tx, part, expected)
        actual, mean, lower, upper, phi = (
            quiet[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
            for name in ("units", "expected_units", "expected_lower", "expected_upper", "dispersion")
        )
        z = standardised(actual, mean, variance(mean, phi * mean))
        z = z[~np.isnan(z)]
        bias = float(z.mean()) if len(z) else float("nan")
        off = share_outside(actual, lower, upper) - _OUTSIDE
        short = expected.filter(baseline_source="insufficient_history").height / expected.height
        found += [
            _reading(CENTRED, retailer, "mean residual, sd", bias, limits.most_bias, len(z), least),
            _reading(HOLDS, retailer, "share outside, off 20 %", off, limits.most_miscalibration, len(z), least),
            _reading(HISTORY, retailer, "share", short, limits.most_without_history, expected.height, least),
        ]
    return found


def cluster_readings(tx: Transaction, settings: Settings) -> list[Reading]:
    """The share of recent reports that no cluster is near."""
    unclustered = pl.col("cluster_id").is_null()
    return list(_shares(tx, settings, CLUSTERED, CLUSTERS, unclustered, settings.drift.most_unclustered))


def cause_readings(tx: Transaction, settings: Settings) -> list[Reading]:
    """The share of recent reports without a likely cause."""
    unknown = pl.col("proposed_cause_category") == "unknown"
    return list(_shares(tx, settings, ATTRIBUTED, CAUSES, unknown, settings.drift.most_unknown))


READINGS = {BASELINE.name: baseline_readings, CLUSTERED.name: cluster_readings, ATTRIBUTED.name: cause_readings}
"""Log → what is read of it, for the model that its stage wants."""

CHECKS = {
    INPUTS: "The main inputs are distributed as in what the version in force learnt from.",
    FITS: "The models that it builds on are still those that it was learnt with.",
    CENTRED: "On quiet days the expectations are neither too high nor too low on average.",
    HOLDS: "On quiet days about 80 % of the sales lie inside of their 80 % interval.",
    HISTORY: "Few expectations had too little history to go by.",
    CLUSTERS: "Few reports are unlike every cluster that is known.",
    CAUSES: "Few reports are without a likely cause.",
}
"""Check → what it says in words."""

CHECKS_OF_LOG = {BASELINE.name: (CENTRED, HOLDS, HISTORY), CLUSTERED.name: (CLUSTERS,), ATTRIBUTED.name: (CAUSES,)}


def logs_of(model: Trainable, stages: Sequence[Stage]) -> list[str]:
    """Logs with readings of their own that the stages write which want a model."""
    wanting = [stage for stage in stages if model.name in {want.model for want in stage.wants.values()}]
    return [log.name for stage in wanting for log in stage.writes if log.name in READINGS]


def checks_of(model: Trainable, stages: Sequence[Stage]) -> list[str]:
    """Checks of a model: of its inputs, and of what it says."""
    return [INPUTS, FITS, *(check for log in logs_of(model, stages) for check in CHECKS_OF_LOG[log])]


def readings(tx: Transaction, settings: Settings, model: Trainable, stages: Sequence[Stage]) -> list[Reading]:
    """Every reading of a model that there are rows for."""
    own = [reading for log in logs_of(model, stages) for reading in READINGS[log](tx, settings)]
    return [*input_readings(tx, settings, model), *fit_readings(tx, model), *own]


def _newest_days(tx: Transaction, settings: Settings) -> Iterator[Scope]:
    """The newest computed days of every retailer."""
    for name, known in sorted(known_days(tx, settings).items()):
        if known.computed is not None:
            last = known.computed[1]
            yield Scope(last - timedelta(days=settings.drift.days - 1), last, name)


def _reading(check: str, retailer: str, what: str, value: float, limit: float, rows: int, least: int) -> Reading:
    judged = rows >= least and not math.isnan(value)
    return Reading(check, retailer, what, round(value, 6) if judged else None, limit, rows)


def _shares(
    tx: Transaction, settings: Settings, contract: Contract, check: str, which: pl.Expr, limit: float
) -> Iterator[Reading]:
    for scope in _newest_days(tx, settings):
        newest = tx.live(contract, scope).sort("report_id", "tick").unique("report_id", keep="last")
        if newest.height:
            share = newest.filter(which).height / newest.height
            least = settings.drift.least_reports
            yield _reading(check, str(scope.retailer), "share", share, limit, newest.height, least)


def _quiet(tx: Transaction, scope: Scope, expected: pl.DataFrame) -> pl.DataFrame:
    """Expectations with what was sold, outside of every report's window."""
    sold = tx.live(SALES_TIMESERIES, scope).select(*RETAILER_SERIES, "ts", "units")
    joined = expected.join(sold, on=[*RETAILER_SERIES, "ts"])
    reports = tx.live(DETECTED, scope).select(
        *RETAILER_SERIES, "window_start", pl.coalesce("window_end", "tick").alias("until")
    )
    inside = (
        joined.select(*RETAILER_SERIES, "ts")
        .join(reports.unique(), on=RETAILER_SERIES)
        .filter(pl.col("ts").is_between("window_start", "until"))
        .select(*RETAILER_SERIES, "ts")
        .unique()
    )
    return joined.join(inside, on=[*RETAILER_SERIES, "ts"], how="anti")
