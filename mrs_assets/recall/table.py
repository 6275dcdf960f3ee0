"""The declared table of triggers: every reason to look at a past report again, the most telling first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import polars as pl

from mrs_assets.recall.facts import Facts
from mrs_assets.recall.fired import FIRED
from mrs_assets.recall.triggers.aged import aged
from mrs_assets.recall.triggers.analyst_request import analyst_request
from mrs_assets.recall.triggers.cluster_split import cluster_split
from mrs_assets.recall.triggers.confidence_drift import confidence_drift
from mrs_assets.recall.triggers.contradictory_evidence import contradictory_evidence
from mrs_assets.recall.triggers.input_recovered import input_recovered
from mrs_assets.recall.triggers.late_context import late_context
from mrs_assets.recall.triggers.low_confidence import low_confidence
from mrs_assets.recall.triggers.model_update import model_update
from mrs_assets.recall.triggers.new_pattern import new_pattern
from mrs_assets.recall.triggers.settled_evidence import settled_evidence

Trigger = Callable[[Facts], pl.DataFrame]

EVENT_DRIVEN: Mapping[str, Trigger] = {
    "analyst_request": analyst_request,
    "late_context": late_context,
    "cluster_split": cluster_split,
    "new_pattern": new_pattern,
    "model_update": model_update,
    "input_recovered": input_recovered,
    "contradictory_evidence": contradictory_evidence,
    "confidence_drift": confidence_drift,
}
"""Triggers of something that happened."""

BY_CADENCE: Mapping[str, Trigger] = {
    "settled_evidence": settled_evidence,
    "low_confidence": low_confidence,
    "aged": aged,
}
"""Triggers of time that passed."""

TRIGGERS: Mapping[str, Trigger] = {**EVENT_DRIVEN, **BY_CADENCE}
"""Where several fire for one report, the first names the round; the evidence of all is kept."""


def all_fired(facts: Facts, triggers: Collection[str] = tuple(TRIGGERS)) -> pl.DataFrame:
    """What the triggers say, in the columns of FIRED."""
    said = [TRIGGERS[name](facts) for name in TRIGGERS if name in triggers]
    return pl.concat([pl.DataFrame(schema=FIRED), *said])
