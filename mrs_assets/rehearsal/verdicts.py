"""Analysts' verdicts as choices to learn from: what people said the cause was, among what could have been it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from mrs_assets.attribution.candidates import considered
from mrs_assets.attribution.fitting import Examples, examples, key
from mrs_assets.attribution.kinds import UNKNOWN
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.stage import Inputs
from mrs_assets.contracts.trainable import Lessons

CONFIRMED = ("approved", "edited")
"""Decisions with which a person stands behind the final cause."""

WEIGHT = 5.0
"""What one verdict weighs, in rehearsed reports."""


def of_verdicts(lessons: Lessons) -> Iterator[Examples]:
    """Choices of every retailer's reports that a person confirmed, at the tick that the record rests on.

    A final cause that is among the candidates is the right one. One that is not, `unknown` among them, counts as none
    of these, unless a candidate of the same category could be what the person meant: then nothing is learnt from it.
    """
    records = lessons["finalised"].filter(
        pl.col("final_decision").is_in(CONFIRMED)
        & pl.col("annotation_id").is_not_null()
        & pl.col("final_cause").is_not_null()
        & pl.col("tick").is_not_null()
    )
    for (name,), confirmed in sorted(records.group_by("retailer")):
        if name in lessons.settings.retailers:
            yield from _of_retailer(str(name), confirmed, lessons)


def _of_retailer(name: str, confirmed: pl.DataFrame, lessons: Lessons) -> Iterator[Examples]:
    told = confirmed.select("report_id", "tick", "final_cause", "final_cause_category").unique(["report_id", "tick"])
    every = lessons["detected"].filter(retailer=name)
    days = every.join(told, on=["report_id", "tick"], how="semi").select("business_day").unique()
    reports = every.join(days, on="business_day", how="semi")
    if reports.is_empty():
        return
    scope = Scope(days["business_day"].min(), days["business_day"].max(), name)  # type: ignore[arg-type]
    frames = {want: lessons[want] for want in (*ATTRIBUTION_STAGE.needs, *_LOGS)}
    absent = [want for want in _LOGS if frames[want].is_empty()]
    inputs = Inputs(scope, lessons.settings, frames, unconfigured=frozenset(absent))
    found = considered(name, reports, inputs)
    asked = found.reports.select("row", "report_id", "tick").join(told, on=["report_id", "tick"])
    among = found.candidates.select("row", "cause", "category", truth=key())
    exact = among.unique(["row", "cause"], keep="first", maintain_order=True).select(
        "row", "truth", final_cause="cause"
    )
    alike = among.select("row", final_cause_category="category", alike=True).unique()
    matched = asked.join(exact, on=["row", "final_cause"], how="left").join(
        alike, on=["row", "final_cause_category"], how="left"
    )
    doubtful = pl.col("alike").fill_null(value=False) & (pl.col("final_cause") != UNKNOWN)
    truth = matched.filter(pl.col("truth").is_not_null() | ~doubtful).select(
        "row", pl.col("truth").fill_null(UNKNOWN), weight=pl.lit(WEIGHT)
    )
    if truth.height:
        rows = found.reports.select("row", "no_cluster")
        yield examples(found.candidates, rows, sorted({*absent, *found.unconfigured}), truth)


_LOGS = tuple(name for name, want in ATTRIBUTION_STAGE.wants.items() if want.log is not None)
