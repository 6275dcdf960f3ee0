"""A report as a picture: what sold against what was expected, the report's window shaded."""

from __future__ import annotations

import io
from datetime import timedelta
from zoneinfo import ZoneInfo

import polars as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from mrs_assets.contracts.columns import SERIES
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.stage import Frames, Inputs

CONTEXT_TICKS = 28
"""Ticks shown on either side of the reports."""

_UP, _DOWN, _BAND = "#c0392b", "#2471a3", "#b0b7bf"


def report_picture(
    series: pl.DataFrame, baseline: pl.DataFrame, reports: pl.DataFrame, *, timezone: str = "UTC"
) -> bytes:
    """PNG of one series with its reports. The same rows always give the same bytes.

    Args:
        series: rows of `sales_timeseries_data` of one series.
        baseline: its rows of the baseline log.
        reports: its rows of MRDL; the newest row of each report counts.
        timezone: IANA zone of the time axis.
    """
    newest = reports.sort("tick", "report_id").group_by("report_id", maintain_order=True).last()
    ticks = _around(
        series.sort("ts").join(baseline.drop("retailer", strict=False), on=[*SERIES, "ts"], how="left"), newest
    )
    zone = ZoneInfo(timezone)
    figure = Figure(figsize=(8, 3), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    local = [moment.astimezone(zone).replace(tzinfo=None) for moment in ticks["ts"]]
    lower, expected, upper, units = (
        ticks[name].cast(pl.Float64).fill_null(float("nan")).to_list()
        for name in ("expected_lower", "expected_units", "expected_upper", "units")
    )
    axes.fill_between(local, lower, upper, step="post", color=_BAND, alpha=0.5, linewidth=0, label="expected, 80 %")
    axes.step(local, expected, where="post", color="#5d6d7e", linewidth=1)
    axes.step(local, units, where="post", color="black", linewidth=1.2, label="sold")
    for row in newest.iter_rows(named=True):
        begin, end = (row[name].astimezone(zone).replace(tzinfo=None) for name in ("window_start", "last_anomalous_at"))
        axes.axvspan(begin, end, color=_UP if row["direction"] == "up" else _DOWN, alpha=0.18, linewidth=0)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_ylim(bottom=0)
    axes.set(xlabel=f"local time ({timezone})", ylabel="units per tick", title=_title(ticks, newest))
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _around(ticks: pl.DataFrame, reports: pl.DataFrame) -> pl.DataFrame:
    if reports.is_empty():
        return ticks.tail(2 * CONTEXT_TICKS)
    inside = ticks["ts"].is_between(reports["window_start"].min(), reports["last_anomalous_at"].max())
    at = inside.arg_true()
    if at.is_empty():
        return ticks.tail(2 * CONTEXT_TICKS)
    first = max(0, int(at[0]) - CONTEXT_TICKS)
    return ticks.slice(first, int(at[-1]) + CONTEXT_TICKS + 1 - first)


def _title(ticks: pl.DataFrame, reports: pl.DataFrame) -> str:
    if ticks.is_empty():
        return "no ticks"
    name = f"{ticks['sku'][0]} in store {ticks['store_id'][0]}"
    # A dollar sign would begin a formula.
    shortened = (name if len(name) <= 60 else name[:59] + "…").replace("$", r"\$")
    return f"{shortened}: {reports.height} report{'' if reports.height == 1 else 's'}"


def most_telling_picture(inputs: Inputs, frames: Frames) -> bytes | None:
    """Picture of the report with the highest severity among the rows computed; None where there is none."""
    detected = frames[DETECTED.name]
    if detected.is_empty():
        return None
    ranked = detected.sort(["severity_score", "report_id", "tick"], descending=[True, False, False], nulls_last=True)
    report = ranked.row(0, named=True)
    same = [pl.col(name) == report[name] for name in SERIES]
    from_day = report["business_day"] - timedelta(days=120)
    return report_picture(
        inputs["series"].filter(*same, pl.col("business_day") >= from_day),
        inputs["baseline"].filter(*same),
        detected.filter(*same),
        timezone=inputs.retailer.timezone,
    )
