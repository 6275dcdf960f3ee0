"""The models of detection that are learnt: what each learns from, and how."""

from __future__ import annotations

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.trainable import Learnt, Lessons, Trainable
from mrs_assets.detection.artefact import dump
from mrs_assets.detection.baseline_stage import MODEL
from mrs_assets.detection.training import train_baseline


def _learn_baseline(lessons: Lessons) -> Learnt:
    model, metrics = train_baseline(lessons["series"], lessons["promotions"], lessons.settings)
    return Learnt(dump(model), metrics)


BASELINE_MODEL = Trainable(
    name=MODEL,
    reads={"series": SALES_TIMESERIES, "promotions": PROMOTIONS},
    learn=_learn_baseline,
    description="Trained baseline: expected units from a series' own past, the calendar and promotions.",
)
