"""What the chapter on detection says of its data, its split, its seeds and its limits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.journey import DENSE_A_DAY, LEAST_A_DAY, LEVELS, RealSeries
from evaluation.promoted import AGAINST_MEDIAN
from evaluation.trials import STRONG, TESTED, Trial
from mrs_assets.injection.families import DEVELOPMENT_SEEDS, EVALUATION_SEEDS, TRAINING_SEEDS


def explained(
    series: RealSeries,
    seeds: Sequence[int],
    family_seeds: Sequence[int],
    trials: Sequence[Trial],
    flagged: tuple[int, int],
) -> str:
    """Markdown."""
    events = sum(len(trial.events) for trial in trials)
    strong = sum(int(np.sum(trial.strength >= STRONG)) for trial in trials)
    levels = ", ".join(level.replace("product_", "") for level in LEVELS)
    return f"""\
**Data.** Complete Journey, 2017: {series.keys.height:,} series of store × {levels} that sell at least {LEAST_A_DAY:g}
unit a day, {int(series.dense.sum())} of them dense (at least {DENSE_A_DAY:g} a day). The package has no more series of
store × category than 901 at that pace; product types and departments are added, each level as stores of its own, so
that a department is no sibling of its own categories.

**Split.** Stores are halved; what is tested on one half was learnt from the other half's year. Tested are the 13 weeks
from {TESTED.first_day:%d %B %Y} on, with Thanksgiving and Christmas in them: a model that learns from half of the
stores has seen such weeks, as one that learns from more than a year has. The variant that learns from the days before
the tested weeks alone has not. Promotions are hidden, except in the variant that is told them: the weeks in which
a category has {AGAINST_MEDIAN:g} times its usual number of products on display or in the mailer.

**Injection.** `mrs_assets/injection`: ten kinds of anomaly, one event per series in 13 weeks, of which {events:,} in
these trials; {strong} are strong: their injected units are at least {STRONG:g} standard deviations of their window.
Training draws from seeds {TRAINING_SEEDS.start}–{TRAINING_SEEDS.stop - 1}, choices were made with
{DEVELOPMENT_SEEDS.start}–{DEVELOPMENT_SEEDS.stop - 1}, and these figures come from {_span(seeds)} (kinds:
{_span(family_seeds)}) of {EVALUATION_SEEDS.start} and up.

**Scoring.** Everything is online: at each tick only what was known by then. A report is true if it shares a day and
the direction with the series' injected event; every other report counts as false, whatever really happened. Recall is
that of strong events, F1 combines it with the precision of all reports. Intervals are 95 %, over 1,000 samples of
stores.

**Days sent twice** are looked for in rows of products, before any series is made of them. Without any repetition
{flagged[0]} of {flagged[1]:,} store-days are flagged. Days whose own rows are loaded twice are found by the kernel's
keys and by `duplicate_window`, not here; copies of one or two days are left to chance on purpose, since slow stores
repeat themselves.
"""


def _span(seeds: Sequence[int]) -> str:
    return f"{seeds[0]}–{seeds[-1]}"
