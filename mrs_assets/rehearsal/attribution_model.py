"""The attribution model as something to learn: from rehearsals on the retailers' own series, and from verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mrs_assets.attribution.fitted import FittedChoice, dump
from mrs_assets.attribution.fitting import Examples, fit, is_right, temperature, together
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE, MODEL
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.trainable import Learnt, Lessons, Trainable
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.rehearsal.ground import Ground, ground
from mrs_assets.rehearsal.lessons import of_play
from mrs_assets.rehearsal.play import see
from mrs_assets.rehearsal.reliability import expected_calibration_error
from mrs_assets.rehearsal.scenario import stage_play
from mrs_assets.rehearsal.verdicts import of_verdicts

PLAYS = 40
"""Plays learnt from, over all retailers."""

STORES_IN_ONE = (1, 4)
"""Every second play adds four stores up to one: busier series than the retailer's own."""

HELD_OUT = 4
"""Every fourth play is held out: half of these set the temperature, half are measured."""


def learn_attribution(lessons: Lessons, plays: int = PLAYS) -> Learnt:
    """Rehearse, add verdicts, fit, and calibrate. The same lessons give the same bytes.

    Raises:
        UserMistake: no retailer has enough series to rehearse on.
    """
    grounds = _grounds(lessons)
    seen = [
        together(list(of_play(see(stage_play(grounds[n % len(grounds)], n), lessons.settings, lessons.models), n)))
        for n in range(plays)
    ]
    verdicts = list(of_verdicts(lessons))
    parts = {n: part for n, part in enumerate(seen) if len(part.weight)}
    learning = [part for n, part in parts.items() if n % HELD_OUT != 0]
    tempering = [part for n, part in parts.items() if n % (2 * HELD_OUT) == 0]
    measured = [part for n, part in parts.items() if n % (2 * HELD_OUT) == HELD_OUT]
    trial = fit(together([*learning, *verdicts]))
    trial = replace(trial, temperature=temperature(trial, together(tempering)))
    final = replace(fit(together([*parts.values(), *verdicts])), temperature=trial.temperature)
    metrics = figures(trial, together(measured))
    count = {"plays": float(plays), "verdicts": float(sum(len(part.weight) for part in verdicts))}
    return Learnt(dump(final), {**metrics, **count})


def figures(choice: FittedChoice, asked: Examples) -> dict[str, float]:
    """Measure a choice: share of right answers where the cause is a candidate and where it is not, and calibration."""
    right, confidence, is_unknown = is_right(choice, asked)
    told = asked.answer >= 0

    def share(chosen: np.typing.NDArray[np.bool_]) -> float:
        weight = asked.weight[chosen]
        return round(float((weight * right[chosen]).sum() / max(weight.sum(), 1e-9)), 6)

    named = ~is_unknown
    error = expected_calibration_error(confidence[named], right[named], asked.weight[named])
    return {
        "first_cause_right": share(told),
        "unknown_recall": share(~told),
        "named_precision": share(named),
        "calibration_error": error,
        "choices": float(len(asked.weight)),
        "temperature": choice.temperature,
    }


def _grounds(lessons: Lessons) -> list[Ground]:
    found, last = [], None
    for name, retailer in sorted(lessons.settings.retailers.items()):
        series = lessons["series"].filter(retailer=name)
        for stores_in_one in STORES_IN_ONE:
            try:
                found.append(ground(series, name, retailer, stores_in_one))
            except UserMistake as mistake:
                last = mistake
    if not found:
        raise last or UserMistake("There is no retailer to rehearse causes for.", remedy="Name one in feeds.toml.")
    return found


_LOGS = {name: want.log.contract for name, want in ATTRIBUTION_STAGE.wants.items() if want.log is not None}

ATTRIBUTION_MODEL = Trainable(
    name=MODEL,
    reads={
        "series": _LOGS.pop("series"),
        **_LOGS,
        **{name: need.contract for name, need in ATTRIBUTION_STAGE.needs.items()},
        "finalised": FINALISED,
    },
    learn=learn_attribution,
    builds_on={
        want.model: want.load
        for stage in (BASELINE_STAGE, CLASSIFIER_STAGE, DETECTION_STAGE, CLUSTERING_STAGE)
        for want in stage.wants.values()
        if want.model is not None and want.load is not None
    },
    description=(
        "Weights of the choice among causes, learnt from causes rehearsed on the retailers' own series, with decoys "
        "and causes that no feed tells of, and from what analysts confirmed."
    ),
)
