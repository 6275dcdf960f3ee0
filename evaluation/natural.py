"""Natural labels: promotions that really were, hidden from detection and then revealed among moved ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import polars as pl

from evaluation import asked_causes as asked
from evaluation.journey import RETAILER
from evaluation.promoted import AGAINST_MEDIAN, as_feed, strong_promotions
from evaluation.section import Section
from mrs_assets.attribution.kinds import UNKNOWN
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE, MODEL
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.stage import Model
from mrs_assets.rehearsal.attribution_model import PLAYS
from mrs_assets.rehearsal.play import Play, Seen, see

DRAWS = 8
"""How often the decoys are drawn anew; reports count once in each draw."""

SHIFTS = (-5, -4, -3, -2, 2, 3, 4, 5)
"""Weeks by which decoys in time are moved."""


def measure(seed: int, *, quick: bool = False) -> Sequence[Section]:
    """Detect without any feed, reveal real and moved promotions, and count which are named."""
    model = asked.model(8 if quick else PLAYS)
    season = see(Play(asked.asked_ground(1)), asked.SETTINGS, {})
    real = strong_promotions(season.frames["series"]).with_columns(origin=pl.lit("real"))
    feeds = [
        pl.concat([real, _moved_in_time(real, seed + n), _moved_in_space(real, seed + n)])
        for n in range(2 if quick else DRAWS)
    ]
    upward = season.frames["detected"].filter(direction="up")
    last = upward.sort("tick").group_by("report_id", maintain_order=True).last()
    tables, told = {}, {}
    for name, chosen in (("learnt", {MODEL: model}), ("declared", {})):
        told[name] = pl.concat(_asked(season, last, feed, chosen) for feed in feeds)
        tables[f"What is named, {name}"] = _table(told[name])
    return [_section(told, tables, seed, real.height)]


def _asked(season: Seen, last: pl.DataFrame, feed: pl.DataFrame, models: dict[str, Model]) -> pl.DataFrame:
    """What attribution says at each report's last tick when a feed of promotions is revealed."""
    revealed = Seen({**season.frames, "promotions": as_feed(_named(feed))}, season.truth, season.scope, season.settings)
    rows = ATTRIBUTION_STAGE.compute(revealed.inputs((), models))[ATTRIBUTED.name]
    return _compared(last, rows.join(last.select("report_id", "tick"), on=["report_id", "tick"]), feed)


def _moved_in_time(real: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The same promotions some weeks earlier or later, where none really was within a week."""
    weeks = np.random.default_rng(seed).choice(SHIFTS, size=real.height)
    days = pl.lit(pl.Series(weeks * 7, dtype=pl.Int64))
    moved = real.with_columns(
        start_day=pl.col("start_day") + pl.duration(days=days),
        end_day=pl.col("end_day") + pl.duration(days=days),
        origin=pl.lit("moved in time"),
    )
    return _away_from(moved, real)


def _moved_in_space(real: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The same promotions in a store that sells the product and had none within a week."""
    rng = np.random.default_rng(seed + 1)
    sold = {sku: sorted(rows["store_id"].unique()) for (sku,), rows in real.group_by("sku")}
    stores = [str(rng.choice(sold[sku])) for sku in real["sku"]]
    return _away_from(real.with_columns(store_id=pl.Series(stores), origin=pl.lit("moved to another store")), real)


def _away_from(moved: pl.DataFrame, real: pl.DataFrame) -> pl.DataFrame:
    key = ["store_id", "sku"]
    near = moved.with_row_index("n").join(real.select(*key, begin="start_day"), on=key)
    touching = near.filter((pl.col("start_day") - pl.col("begin")).abs() <= pl.duration(days=13))["n"].unique()
    kept = moved.with_row_index("n").filter(~pl.col("n").is_in(touching.implode())).drop("n")
    return kept.unique([*key, "start_day"], maintain_order=True)


def _named(feed: pl.DataFrame) -> pl.DataFrame:
    """The feed with each promotion's origin in its name instead of a column."""
    return feed.with_columns(
        promotion_id=pl.format("{} {}", "promotion_id", "origin"), mechanic=pl.format("{} ({})", "mechanic", "origin")
    ).drop("origin")


def _compared(last: pl.DataFrame, said: pl.DataFrame, feed: pl.DataFrame) -> pl.DataFrame:
    """Per upward report: which origins of promotions its window overlaps for days, and which is named."""
    zone = RETAILER.timezone

    def day(column: str) -> pl.Expr:
        return pl.col(column).dt.convert_time_zone(zone).dt.date()

    spans = last.select(
        "report_id", "store_id", "sku", begin=day("window_start"), end=day("last_anomalous_at") - timedelta(days=1)
    )
    touching = spans.join(feed, on=["store_id", "sku"]).filter(
        (pl.col("start_day") <= pl.col("end")) & (pl.col("end_day") >= pl.col("begin"))
    )
    overlapped = touching.group_by("report_id").agg(origins=pl.col("origin").unique().sort())
    named = said.select(
        "report_id",
        "confidence_score",
        group=pl.format("{} {}", "store_id", "sku"),
        named=pl.when(pl.col("proposed_cause") == UNKNOWN)
        .then(pl.lit(UNKNOWN))
        .otherwise(pl.col("proposed_cause").str.extract(r"\((real|moved in time|moved to another store)\)"))
        .fill_null("something else"),
    )
    return named.join(overlapped, on="report_id", how="left").with_columns(
        pl.col("origins").fill_null([]),
        is_real=pl.col("origins").list.contains("real").fill_null(value=False),
        is_decoy=(pl.col("origins").list.set_difference(["real"]).list.len() > 0).fill_null(value=False),
    )


def _table(told: pl.DataFrame) -> pl.DataFrame:
    """By what the window overlaps: reports, and the share that names each."""
    return (
        told.group_by(overlaps_real="is_real", overlaps_decoy="is_decoy")
        .agg(
            reports=pl.len(),
            names_real=(pl.col("named") == "real").mean().round(3),
            names_decoy=pl.col("named").str.starts_with("moved").mean().round(3),
            unknown=(pl.col("named") == UNKNOWN).mean().round(3),
            confidence=pl.col("confidence_score").filter(pl.col("named") != UNKNOWN).mean().round(3),
        )
        .sort("overlaps_real", "overlaps_decoy", descending=True)
    )


def _section(told: dict[str, pl.DataFrame], tables: dict[str, pl.DataFrame], seed: int, promoted: int) -> Section:
    learnt = told["learnt"]
    real = learnt.filter("is_real")
    decoy = learnt.filter(pl.col("is_decoy") & ~pl.col("is_real"))
    names_real, names_decoy = real["named"] == "real", decoy["named"].str.starts_with("moved")
    text = f"""\
Detection sees sales alone. {promoted} promoted weeks of the asked series (a category with {AGAINST_MEDIAN:g} times
its usual number of products on display or in the mailer) are then revealed to attribution, among the same promotions
moved by two to five weeks and moved to other stores that sell the product and had none, drawn {DRAWS} times. Seeds from
{seed}.

Labels are one-sided: a promotion that runs while sales rise need not be why, and a rise without a strong promotion may
have any other cause. So what counts is the difference: how often a real promotion is named where one runs, against how
often a moved one is named where only a moved one runs. A model that names whatever runs has no difference. The
household panel shows few rises that promotions made: display and mailer say nothing of how much cheaper a product was.
"""
    figures = {"a real one, where it runs": (real, names_real), "a moved one, where only it runs": (decoy, names_decoy)}
    rows = []
    for name, (reports, named) in figures.items():
        low, high = asked.interval(reports, named, seed)
        rows.append({"named": name, "reports": len(named), "share": _share(named), "from": low, "to": high})
    compared = {"Named by the learnt model, with 95 % intervals over series": pl.DataFrame(rows)}
    return Section(title="Natural labels", text=text, tables=compared | tables)


def _share(column: pl.Series) -> float | None:
    return round(float(column.cast(pl.Float64).sum()) / len(column), 4) if len(column) else None
