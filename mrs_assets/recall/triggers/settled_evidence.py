"""What was sold after a report's end says that its impact was another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import fired, listed

NAME = "settled_evidence"
LEAST_DAYS_A_SIDE = 7
SLACK_DAYS = 28
"""How long after it is settled a report is still looked for: a look that came late finds it."""


def to_be_settled(facts: Facts) -> pl.DataFrame:
    """Undecided reports that ended, whose conclusion is just old enough: those whose series is worth reading."""
    days = facts.settings.recall.settled_days
    return facts.undecided.filter(
        pl.col("window_end").is_not_null(),
        pl.col("uplift_units").is_not_null(),
        facts.older_than(days),
        ~facts.older_than(days + SLACK_DAYS),
    )


def settled_evidence(facts: Facts) -> pl.DataFrame:
    """Reports whose uplift against a two-sided expectation has another sign, or another size by `settled_factor`.

    The expectation of a tick is the median of what was sold on the same weekday, at the same hour, in the days before
    the window and after it: the online baseline knows one side alone. Both sides need a week of sales.
    """
    return fired(NAME, _found(facts))


def _found(facts: Facts) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    limits = facts.settings.recall
    around = timedelta(days=limits.settled_days)
    reports = to_be_settled(facts).select("report_id", "retailer", "tick", "window_start", "window_end", "uplift_units")
    rows = facts["series"].join(reports, on="report_id")
    if rows.is_empty():
        return
    at = pl.col("ts")
    inside = (at >= pl.col("window_start")) & (at < pl.col("window_end"))
    before = (at >= pl.col("window_start") - around) & (at < pl.col("window_start"))
    after = (at >= pl.col("window_end")) & (at < pl.col("window_end") + around)
    rows = rows.with_columns(inside=inside, before=before, after=after, phase=_phase(facts))
    sided = rows.group_by("report_id").agg(
        days_before=pl.col("ts").filter("before").dt.date().n_unique(),
        days_after=pl.col("ts").filter("after").dt.date().n_unique(),
    )
    sided = sided.filter(pl.min_horizontal("days_before", "days_after") >= LEAST_DAYS_A_SIDE)
    usual = (
        rows.filter(pl.col("before") | pl.col("after"))
        .group_by("report_id", "phase")
        .agg(usual=pl.col("units").median())
    )
    settled = (
        rows.filter("inside")
        .join(usual, on=["report_id", "phase"])
        .group_by("report_id")
        .agg(settled_uplift=(pl.col("units") - pl.col("usual")).sum().round(6))
        .join(sided, on="report_id", how="semi")
        .join(reports, on="report_id")
    )
    small = pl.min_horizontal(pl.col("settled_uplift").abs(), pl.col("uplift_units").abs())
    large = pl.max_horizontal(pl.col("settled_uplift").abs(), pl.col("uplift_units").abs())
    turned = (pl.col("settled_uplift") < 0) != (pl.col("uplift_units") < 0)
    contradicted = settled.filter(turned | (large > limits.settled_factor * small))
    for report, told in listed(contradicted, "settled_uplift", "uplift_units", "tick"):
        yield report, str(told["tick"]), told


def _phase(facts: Facts) -> pl.Expr:
    """Weekday and time of day at the retailer: ticks of one phase are compared."""
    phase = pl.col("ts").dt.strftime("%u %H:%M")
    for name, retailer in sorted(facts.settings.retailers.items()):
        local = pl.col("ts").dt.convert_time_zone(retailer.timezone).dt.strftime("%u %H:%M")
        phase = pl.when(pl.col("retailer") == name).then(local).otherwise(phase)
    return phase
