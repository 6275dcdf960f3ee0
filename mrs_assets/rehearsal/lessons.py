"""Choices to learn from: reports of plays, looked at with and without some inputs, and analysts' verdicts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from mrs_assets.attribution.candidates import considered
from mrs_assets.attribution.fitting import Examples, examples
from mrs_assets.attribution.terms import INPUTS
from mrs_assets.rehearsal.play import Seen

PARTIAL_LOOKS = 1
"""How often a play is looked at with inputs missing, beside once with all."""

ABSENT_SHARE = 0.3
"""Chance of each input to be missing in such a look."""

SPONTANEOUS = 0.1
"""What a report weighs that nothing of ours made: real series have more of them than good detection lets through.

One that we made weighs 1 / √n where its cause made n: reports of one cause are right or wrong together.
"""


def of_play(seen: Seen, seed: int) -> Iterator[Examples]:
    """Choices of one play: each report at its last tick and at one before, in every look."""
    rng = np.random.default_rng(seed)
    ticks = _chosen_ticks(seen.truth)
    looks: list[tuple[str, ...]] = [()]
    looks += [tuple(n for n in INPUTS if rng.random() < ABSENT_SHARE) for _ in range(PARTIAL_LOOKS)]
    for missing in looks:
        inputs = seen.inputs(missing)
        found = considered(str(seen.scope.retailer), inputs.asked("detected"), inputs)
        truth = found.reports.select("row", "report_id", "tick").join(ticks, on=["report_id", "tick"])
        absent = sorted({*inputs.missing, *found.unconfigured})
        weighed = truth.select("row", "truth", weight=pl.col("weight") / len(looks))
        yield examples(found.candidates, found.reports.select("row", "no_cluster"), absent, weighed)


def _chosen_ticks(truth: pl.DataFrame) -> pl.DataFrame:
    """The last tick of every report, and one more where there are several; a report weighs 1 altogether."""
    place = pl.int_range(pl.len()).over("report_id")
    last = pl.len().over("report_id") - 1
    drawn = pl.col("report_id").str.slice(-6).str.to_integer(base=16) % pl.max_horizontal(last, 1)
    chosen = truth.sort("report_id", "tick").filter((place == last) | (place == drawn))
    of_cause = pl.when("is_ours").then(1.0 / pl.col("report_id").n_unique().over("truth").sqrt()).otherwise(SPONTANEOUS)
    each = of_cause / pl.len().over("report_id")
    return chosen.select("report_id", "tick", "truth", weight=each)
