"""Asking attribution for the causes of staged seasons: the model, the answers, and what is right about them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from evaluation.journey import NAME, RETAILER, real_series, series_rows
from evaluation.staged_causes import staged
from mrs_assets.attribution.fitted import load
from mrs_assets.attribution.kinds import OBSERVED, UNKNOWN
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE, MODEL
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Model
from mrs_assets.contracts.trainable import Learnt, Lessons
from mrs_assets.rehearsal.attribution_model import ATTRIBUTION_MODEL, learn_attribution
from mrs_assets.rehearsal.ground import Ground, ground, stored
from mrs_assets.rehearsal.play import Play, Seen, see

SETTINGS = Settings(home=Path(), retailers={NAME: RETAILER})
LEVEL = "product_category"
TAUGHT, ASKED = 0, 1
"""Every second store is learnt from; the model is asked about the others."""

PLACEBO_WEIGHT = 0.1
"""What a report weighs in the calibration that nothing staged made: good detection lets one in ten such through."""


@cache
def half(which: int) -> pl.DataFrame:
    """Series rows of every second store."""
    series = real_series()
    places = sorted({store for store in series.keys["store_id"] if store.endswith(LEVEL)})
    chosen = series.keys["store_id"].is_in(places[which::2]).to_numpy()
    return stored(ATTRIBUTION_STAGE.wants["series"].log.contract, series_rows(series.only(chosen)))  # type: ignore[union-attr]


@cache
def learnt(plays: int) -> Learnt:
    """The model as it is learnt from the taught stores."""
    frames = {name: contract.empty(stored=True) for name, contract in ATTRIBUTION_MODEL.reads.items()}
    return learn_attribution(Lessons(SETTINGS, frames | {"series": half(TAUGHT)}), plays)


def model(plays: int) -> Model:
    """The learnt model as the stage takes it."""
    return Model("evaluated", load(learnt(plays).artefact))


def asked_ground(stores_in_one: int) -> Ground:
    """The stores that the model was not taught with."""
    return ground(half(ASKED), NAME, RETAILER, stores_in_one)


def season(ground_of_it: Ground, seed: int) -> tuple[Play, Seen]:
    """One season, as the stages see it."""
    play = staged(ground_of_it, seed)
    return play, see(play, SETTINGS, {})


def answers(seen: Seen, play: Play, chosen: Model | None, missing: Collection[str] = ()) -> pl.DataFrame:
    """What attribution says at the last tick of each report, beside the truth.

    Args:
        seen: what the stages made of the season.
        play: the season.
        chosen: the learnt model; None for the declared weights.
        missing: inputs that are taken away.

    Returns:
        report_id; truth; kind (of the truth); told: whether an input that is there tells of it; said (a candidate's
        key, or `unknown`); confidence (NULL for `unknown`); unknown_share; right; group (what is drawn together).
    """
    inputs = seen.inputs(missing, {} if chosen is None else {MODEL: chosen})
    rows = ATTRIBUTION_STAGE.compute(inputs)[ATTRIBUTED.name]
    last = rows.sort("tick").group_by("report_id", maintain_order=True).last()
    joined = last.join(seen.truth, on=["report_id", "tick"]).sort("report_id")
    spoken = [json.loads(text) for text in joined["supporting_evidence"]]
    said = [_key(evidence) for evidence in spoken]
    told = _told(play, missing)
    truth = joined["truth"].to_list()
    return joined.select(
        "report_id",
        "truth",
        "is_ours",
        kind=pl.col("truth").str.split("|").list.first(),
        told=pl.Series([key in told for key in truth]),
        said=pl.Series(said, dtype=pl.String),
        confidence=pl.when(pl.Series(said) != UNKNOWN).then("confidence_score"),
        unknown_share=pl.Series([float(evidence["unknown_share"]) for evidence in spoken], dtype=pl.Float64),
        group=pl.when("is_ours").then(pl.col("truth")).otherwise(pl.format("{} {}", "store_id", "sku")),
    ).with_columns(right=pl.col("said") == pl.when("told").then("truth").otherwise(pl.lit(UNKNOWN)))


def _key(evidence: dict[str, list[dict[str, object]]]) -> str:
    first = next(iter(evidence["candidates"]), None)
    return UNKNOWN if first is None or not first["viable"] else f"{first['kind']}|{first['candidate_id']}"


def _told(play: Play, missing: Collection[str]) -> set[str]:
    feeds = play.feeds
    told = set[str]()
    if "promotions" not in missing:
        told |= {f"promotion|{row['promotion_id']}" for row in feeds["promotions"]}
    if "campaigns" not in missing:
        told |= {f"campaign|{row['campaign_id']}" for row in feeds["campaigns"]}
    if "contextual_events" not in missing:
        told |= {f"{row['signal_type']}|{row['event_id']}" for row in feeds["contextual_events"]}
    if "series" not in missing:
        told |= {f"{kind}|{kind}" for kind in OBSERVED}
    return told


def interval(frame: pl.DataFrame, of: pl.Series, seed: int, draws: int = 400) -> tuple[float, float]:
    """95 % bootstrap interval of a mean: whole causes are drawn, since their reports are right or wrong together."""
    told = (
        frame.select("group")
        .with_columns(value=of.cast(pl.Float64))
        .group_by("group")
        .agg(pl.col("value").sum(), count=pl.len())
        .sort("group")
    )
    sums, counts = told["value"].to_numpy(), told["count"].to_numpy()
    drawn = np.random.default_rng(seed).integers(len(sums), size=(draws, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return round(float(low), 4), round(float(high), 4)


def weights(frame: pl.DataFrame) -> npt.NDArray[np.float64]:
    """What each answer weighs in the calibration."""
    return np.where(frame["is_ours"].to_numpy(), 1.0, PLACEBO_WEIGHT)


def shares(frame: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Per group: reports, share right, share `unknown`, mean confidence of what is named."""
    return (
        frame.group_by(by)
        .agg(
            reports=pl.len(),
            causes=pl.col("group").n_unique(),
            right=pl.col("right").mean().round(3),
            unknown=(pl.col("said") == UNKNOWN).mean().round(3),
            confidence=pl.col("confidence").mean().round(3),
        )
        .sort(by)
    )
