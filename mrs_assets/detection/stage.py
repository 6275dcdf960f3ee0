"""The stage that turns windows into reports that keep their identity from the first tick to the last."""

from __future__ import annotations

import numpy as np
import polars as pl

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.ids import report_id
from mrs_assets.contracts.logs.baseline import BASELINE
from mrs_assets.contracts.logs.classifier import CLASSIFIER
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Detection
from mrs_assets.contracts.stage import Frames, Input, Inputs, Stage
from mrs_assets.detection.axis import Axis, Floats, Ints
from mrs_assets.detection.evidence import Evidence, keys_of, read_evidence
from mrs_assets.detection.grid import Grid, as_days, as_instants
from mrs_assets.detection.impact import Impact, impact_of
from mrs_assets.detection.picture import most_telling_picture
from mrs_assets.detection.reports import EXPIRED, RECOVERED, REPORT_DAYS, Candidates, Lives, State, Tick
from mrs_assets.detection.scan import longest_window
from mrs_assets.detection.succession import continued

LOOKBACK = REPORT_DAYS + 1
"""Days of series, baseline and own past that a report's row depends on."""

NOTHING: Frames = {DETECTED.name: DETECTED.empty(), ENDED.name: ENDED.empty()}


def compute(inputs: Inputs) -> Frames:
    """One row per active report and tick, and one closure per report that ended."""
    return continued(_lived(inputs), inputs["previous"], inputs["past"], inputs["closed"])


def _lived(inputs: Inputs) -> Frames:
    past = _newest_rows(inputs["past"])
    limits = inputs.settings.detection
    raised = inputs["classifier"].filter(raises_a_report(limits))
    keys = keys_of(raised, past.filter(pl.col("window_end").is_null()))
    if keys.is_empty():
        return NOTHING
    retailer = inputs.retailer
    evidence = read_evidence(
        inputs["series"].join(keys, on=SERIES, how="semi"),
        inputs["baseline"].join(keys, on=SERIES, how="semi"),
        retailer=retailer,
        scope=inputs.scope,
        days_before=LOOKBACK,
        keys=keys,
    )
    lives = Lives(
        evidence,
        _candidates(inputs["classifier"], evidence.grid, limits),
        limits,
        longest_window(inputs.settings, retailer),
    )
    state = _state(past, evidence.grid)
    lives.resume(state)
    ticks = list(lives.run(state))
    if not ticks:
        return NOTHING
    return _frames(evidence, str(inputs.scope.retailer), ticks, _reasons(inputs, evidence.grid.axis))


def raises_a_report(limits: Detection) -> pl.Expr:
    """Whether a row of the classifier's log begins a report: what the model decides, or the score where none spoke."""
    by_model = pl.col("q_value") <= limits.fdr
    return pl.when(pl.col("q_value").is_not_null()).then(by_model).otherwise(pl.col("scan_z").abs() >= limits.enter_z)


def _newest_rows(past: pl.DataFrame) -> pl.DataFrame:
    """Per series, the rows at its newest tick that are active, and the newest closure."""
    newest = pl.col("tick") == pl.col("tick").max().over(SERIES)
    ended = pl.col("window_end").is_not_null()
    latest_end = pl.col("window_end") == pl.col("window_end").max().over(SERIES)
    return past.filter((newest & ~ended) | latest_end.fill_null(False)).select(
        *SERIES,
        "first_detected_from",
        "window_start",
        "window_end",
        "last_anomalous_at",
        "direction",
        "anomaly_probability",
    )


def _state(past: pl.DataFrame, grid: Grid) -> State:
    """Where each series stood after the tick before the scope."""
    state = State.idle(grid.series.height)
    numbered = past.join(grid.series.with_row_index("series"), on=SERIES, how="inner")
    ended = numbered.filter(pl.col("window_end").is_not_null())
    state.free_from[ended["series"].to_numpy()] = grid.axis.rows_ending_at(_microseconds(ended["window_end"])) + 1
    going = numbered.filter(pl.col("window_end").is_null())
    at = going["series"].to_numpy()
    state.active[at] = True
    state.direction[at] = np.where(going["direction"].to_numpy() == "up", 1.0, -1.0)
    state.onset[at] = _microseconds(going["first_detected_from"])
    state.start[at] = np.maximum(grid.axis.rows_starting_at(_microseconds(going["window_start"])), 0)
    state.last[at] = np.maximum(grid.axis.rows_ending_at(_microseconds(going["last_anomalous_at"])), 0)
    state.probability[at] = going["anomaly_probability"].fill_null(np.nan).to_numpy()
    return state


def _candidates(classifier: pl.DataFrame, grid: Grid, limits: Detection) -> Candidates:
    shape = (len(grid.axis) - grid.first, grid.series.height)
    z, starts, raises, probabilities = [], [], [], []
    for direction in ("up", "down"):
        rows = (
            classifier.filter(pl.col("direction") == direction)
            .with_columns(raises=raises_a_report(limits))
            .join(grid.series.with_row_index("series"), on=SERIES, how="inner")
        )
        row = grid.axis.rows_ending_at(_microseconds(rows["tick"])) - grid.first
        inside = (row >= 0) & (row < shape[0])
        at = (row[inside], rows["series"].to_numpy()[inside])
        score, start = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        decided, probability = np.zeros(shape, dtype=np.bool_), np.full(shape, np.nan)
        score[at] = rows["scan_z"].to_numpy()[inside]
        start[at] = grid.axis.rows_starting_at(_microseconds(rows["window_start"]))[inside]
        decided[at] = rows["raises"].to_numpy()[inside]
        probability[at] = rows["anomaly_probability"].fill_null(np.nan).to_numpy()[inside]
        z.append(score)
        starts.append(start)
        raises.append(decided)
        probabilities.append(probability)
    return Candidates(
        z=(z[0], z[1]),
        start=(starts[0], starts[1]),
        raises=(raises[0], raises[1]),
        probability=(probabilities[0], probabilities[1]),
    )


def _microseconds(instants: pl.Series) -> Ints:
    return instants.to_physical().to_numpy().astype(np.int64)


def _reasons(inputs: Inputs, axis: Axis) -> pl.DataFrame:
    """What the rows that reports are computed from had to do without: store_id, sku, ts, degraded_reasons."""
    windows = inputs["classifier"].filter("is_degraded")
    row = axis.rows_ending_at(_microseconds(windows["tick"]))
    degraded = pl.concat(
        rows.filter("is_degraded").select(*SERIES, "ts", "degraded_reasons").explode("degraded_reasons")
        for rows in (inputs["series"], inputs["baseline"], windows.with_columns(ts=as_instants(axis.ts[row])))
    )
    return degraded.group_by(*SERIES, "ts").agg(pl.col("degraded_reasons").unique().sort())


def _frames(evidence: Evidence, retailer: str, ticks: list[Tick], without: pl.DataFrame) -> Frames:
    """The rows of both logs; one whose newest interval rests on degraded rows says why."""
    axis = evidence.grid.axis
    row = np.concatenate([np.full(len(tick.column), tick.row) for tick in ticks])
    column, direction, onset, start, last, probability, outcome = (
        np.concatenate([getattr(tick, name) for tick in ticks])
        for name in ("column", "direction", "onset", "start", "last", "probability", "outcome")
    )
    reasons = np.select([outcome == RECOVERED, outcome == EXPIRED], ["recovered", "expired"], "")
    rows = (
        evidence.grid.series[column]
        .with_columns(
            retailer=pl.lit(retailer),
            business_day=as_days(axis.day[row]),
            tick=as_instants(axis.ends[row]),
            ts=as_instants(axis.ts[row]),
            first_detected_from=as_instants(onset),
            window_start=as_instants(axis.ts[start]),
            last_anomalous_at=as_instants(axis.ends[last]),
            direction=pl.Series(np.where(direction > 0, "up", "down"), dtype=pl.String),
            report_status=pl.lit("detected"),
            resolution_reason=pl.Series(reasons, dtype=pl.String),
            anomaly_probability=pl.Series(probability).fill_nan(None),
            **_impact_columns(impact_of(evidence, start, last, row, column), probability),
        )
        .with_columns(ended=pl.col("resolution_reason") != "")
        .with_columns(window_end=pl.when("ended").then("last_anomalous_at"))
        .join(without, on=[*SERIES, "ts"], how="left")
        .with_columns(pl.col("degraded_reasons").fill_null(pl.lit([], dtype=pl.List(pl.String))))
        .with_columns(is_degraded=pl.col("degraded_reasons").list.len() > 0)
    )
    rows = _identified(rows).sort("report_id", "tick")
    closure = ("retailer", "business_day", "report_id", *SERIES, "window_end", "resolution_reason")
    return {
        DETECTED.name: rows.drop("ts", "ended", "resolution_reason"),
        ENDED.name: rows.filter("ended").select(*closure, event_status=pl.lit("ended")),
    }


def _impact_columns(impact: Impact, probability: Floats) -> dict[str, pl.Series]:
    amount = impact.attributed - impact.baseline
    values = {
        "severity_score": np.maximum(np.abs(amount) - impact.half, 0.0)
        * np.where(np.isnan(probability), 1.0, probability),
        "impact_estimate": amount,
        "impact_lower": amount - impact.half,
        "impact_upper": amount + impact.half,
        "uplift_units": impact.uplift_units,
        "attributed_sales_total": impact.attributed,
        "baseline_sales_total": impact.baseline,
        "scan_z": impact.z,
    }
    unit = pl.Series(np.where(impact.in_money, "money", "units"), dtype=pl.String)
    return {"impact_unit": unit} | {name: pl.Series(array).fill_nan(None) for name, array in values.items()}


def _identified(rows: pl.DataFrame) -> pl.DataFrame:
    key = ["retailer", *SERIES, "first_detected_from"]
    reports = rows.select(key).unique()
    identities = [report_id(retailer, store, sku, onset) for retailer, store, sku, onset in reports.iter_rows()]
    return rows.join(reports.with_columns(report_id=pl.Series(identities, dtype=pl.String)), on=key, how="left")


DETECTION_STAGE = Stage(
    name=DETECTED.name,
    writes=(DETECTED, ENDED),
    compute=compute,
    needs={
        "series": Input(SALES_TIMESERIES, days_before=LOOKBACK),
        "baseline": Input(BASELINE, days_before=LOOKBACK),
        "classifier": Input(CLASSIFIER),
        "past": Input(DETECTED, days_before=LOOKBACK, past_only=True),
        "previous": Input(DETECTED),
        "closed": Input(ENDED),
    },
    picture=most_telling_picture,
    code_version="3",
    description="Reports: anomalies that keep their identity from the first tick that raises them to their end.",
)
