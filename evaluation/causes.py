"""Causes: whether attribution names the true one beside decoys, and `unknown` where no feed tells of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from evaluation import asked_causes as asked
from evaluation.section import Section, Target
from evaluation.staged_causes import DECOY_SHARE, EVENTS, WITHHELD_SHARE
from mrs_assets.attribution.kinds import UNKNOWN
from mrs_assets.contracts.stage import Model
from mrs_assets.rehearsal.attribution_model import PLAYS
from mrs_assets.rehearsal.play import Play, Seen
from mrs_assets.rehearsal.reliability import expected_calibration_error, reliability

SEASONS = 20
STORES_IN_ONE = (1, 4)
EVERY = 5
"""Every so many seasons are asked about with inputs taken away too."""
WITHOUT = {
    "promotions": ("promotions",),
    "campaigns": ("campaigns",),
    "contextual events": ("contextual_events",),
    "stores": ("stores",),
    "series": ("series",),
    "clusters": ("clustered",),
    "all of them": ("promotions", "campaigns", "contextual_events", "stores", "series", "clustered"),
}


def measure(seed: int, *, quick: bool = False) -> Sequence[Section]:
    """Stage seasons on stores that the model was not taught with, and ask for their causes."""
    model = asked.model(8 if quick else PLAYS)
    grounds = [asked.asked_ground(size) for size in STORES_IN_ONE]
    seasons = [asked.season(grounds[n % 2], seed + n) for n in range(2 if quick else SEASONS)]
    whole = pl.concat(_answers(play, seen, model, n, ()) for n, (play, seen) in enumerate(seasons))
    declared = pl.concat(_answers(play, seen, None, n, ()) for n, (play, seen) in enumerate(seasons))
    without = {
        name: pl.concat(
            _answers(play, seen, model, n, gone) for n, (play, seen) in enumerate(seasons) if n % EVERY == 0
        )
        for name, gone in WITHOUT.items()
    }
    partial = pl.concat(without.values())
    return [
        Section(
            title="Causes",
            text=_text(whole, seed),
            targets=_targets(whole, partial, seed),
            tables={
                "By true cause, every input there": asked.shares(whole.filter("is_ours"), ["kind", "told"]),
                "The same by the declared weights, without a model": asked.shares(
                    declared.filter("is_ours"), ["kind", "told"]
                ),
                "Learnt and declared, all kinds": pl.concat(
                    [_summary("learnt", whole), _summary("declared", declared)]
                ),
                f"An input taken away (every {EVERY}th season)": pl.concat(
                    [_summary("nothing", whole.filter(pl.col("season") % EVERY == 0))]
                    + [_summary(name, frame) for name, frame in without.items()]
                ),
                "Reliability, every input there": _reliability(whole),
                "Reliability, inputs taken away": _reliability(partial),
            },
            pictures={"Reliability of the confidence": _diagram({"every input": whole, "inputs away": partial})},
        )
    ]


def _answers(play: Play, seen: Seen, model: Model | None, n: int, gone: Sequence[str]) -> pl.DataFrame:
    told = asked.answers(seen, play, model, gone)
    return told.with_columns(pl.format("{} {}", pl.lit(n), "group").alias("group"), season=pl.lit(n))


def _parts(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    ours = frame.filter("is_ours")
    return ours.filter("told"), ours.filter(~pl.col("told")), frame.filter(~pl.col("is_ours"))


def _error(frame: pl.DataFrame) -> float:
    named = frame.filter(pl.col("said") != UNKNOWN)
    return expected_calibration_error(named["confidence"].to_numpy(), named["right"].to_numpy(), asked.weights(named))


def _floor(frame: pl.DataFrame, seed: int) -> str:
    """What chance alone adds to the error: that of answers which are right with just the confidence that they have."""
    named = frame.filter(pl.col("said") != UNKNOWN)
    confidence, weight = named["confidence"].to_numpy(), asked.weights(named)
    rng = np.random.default_rng(seed)
    chance = [
        expected_calibration_error(confidence, rng.random(len(confidence)) < confidence, weight) for _ in range(100)
    ]
    return f"perfect confidences would show {np.mean(chance):.3f} on as many answers, if these were independent"


def _mean(column: pl.Series) -> float | None:
    return round(float(column.cast(pl.Float64).sum()) / len(column), 4) if len(column) else None


def _targets(whole: pl.DataFrame, partial: pl.DataFrame, seed: int) -> tuple[Target, ...]:
    told, untold, placebo = _parts(whole)
    return (
        Target(
            "first cause right, with decoys, where a feed or the window tells of it",
            _mean(told["right"]), 0.80, 0.90, interval=asked.interval(told, told["right"], seed),
        ),
        Target(
            "`unknown` where the true cause is in no feed",
            _mean(untold["right"]), 0.80, 0.90, interval=asked.interval(untold, untold["right"], seed),
        ),
        Target(
            "`unknown` at quiet times: reports that nothing staged made (placebo)",
            _mean(placebo["right"]), 0.80, 0.90, interval=asked.interval(placebo, placebo["right"], seed),
            remark="some of them may have a cause among the strays by chance, and are counted as wrong all the same",
        ),
        Target(
            "calibration error of the named causes", _error(whole), 0.05, 0.02, lower_is_better=True,
            remark=_floor(whole, seed),
        ),
        Target(
            "the same with inputs taken away", _error(partial), 0.05, 0.02, lower_is_better=True,
            remark=_floor(partial, seed),
        ),
    )  # fmt: skip


def _summary(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    told, untold, placebo = _parts(frame)
    named = frame.filter(pl.col("said") != UNKNOWN)
    row = {
        "taken away or model": name,
        "first cause right": _mean(told["right"]),
        "unknown recall": _mean(untold["right"]),
        "placebo unknown": _mean(placebo["right"]),
        "named": round(named.height / max(frame.height, 1), 4),
        "mean confidence": _mean(named["confidence"]),
        "calibration error": _error(frame) if named.height else None,
    }
    return pl.DataFrame([row], schema={c: pl.String if c.startswith("taken") else pl.Float64 for c in row})


def _reliability(frame: pl.DataFrame) -> pl.DataFrame:
    named = frame.filter(pl.col("said") != UNKNOWN)
    table = reliability(named["confidence"].to_numpy(), named["right"].to_numpy(), asked.weights(named))
    return table.with_columns(pl.col(pl.Float64).round(3))


def _diagram(frames: dict[str, pl.DataFrame]) -> Figure:
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, frame in frames.items():
        table = _reliability(frame)
        axes.plot(table["confidence"].to_list(), table["right"].to_list(), marker="o", label=name)
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    axes.grid(alpha=0.3)
    return figure


def _text(whole: pl.DataFrame, seed: int) -> str:
    told, untold, placebo = _parts(whole)
    return f"""\
Seasons are staged on real series: store × product category of Complete Journey, the last 120 days of 2017, as they are
and with four stores added up to one. {EVENTS} events a season change units; {WITHHELD_SHARE:.0%} of those with dates
are told by no feed; {DECOY_SHARE:.0%} have a decoy: the same kind at the right time in other stores, in the right
stores at another time, or for other products; and there are strays that move nothing. The stages then run as they do in
production (detection without trained models), and the answer at a report's last tick is compared with what made most
of its deviation. The model was taught with every second store, by another author of causes: sizes, lags, coverage,
geography and decoys are drawn differently there. Seeds {seed} to {seed + SEASONS - 1}.

Reports: {told.height} of causes that an input tells of, {untold.height} of causes that none tells of, and
{placebo.height} that nothing staged made, which are what real series do by themselves. The latter weigh one tenth in
the calibration.

What still flatters: an event has one cause; feeds that tell of it tell of its products and stores exactly, within two
days; an event concerns what its row says and does not leak to substitutes. What is harder than life: decoys are as
frequent as causes.
"""
