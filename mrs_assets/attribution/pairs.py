"""Pairs of report and dated candidate, with the features that compare them. Joins are bounded in time first."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from mrs_assets.attribution.between import Sold
from mrs_assets.attribution.coverage import covered, covered_count
from mrs_assets.attribution.kinds import LONGEST_LAG_DAYS, LONGEST_LEAD_DAYS
from mrs_assets.attribution.onset import SPAN, sharp_onsets
from mrs_assets.attribution.placebo import PLACEBO_DAYS, lift
from mrs_assets.attribution.response import BEFORE_DAYS, OLDEST_DAYS, response
from mrs_assets.contracts.columns import INSTANT, SERIES

ENDING_DECAY_DAYS = 3.0
"""Distance of the ends of window and candidate at which agreement counts 1/e."""

CHANCE, CHANCE_SERIES = 0.02, 20
"""Share of series that move by chance, and the number of series that this much is believed like."""

CROWD = (-3.0, 6.0)
"""Standard deviations beyond which it does not matter how unlikely a crowd is."""

LOOK_BACK_DAYS = 520
"""Candidates that started longer before the tick than this are not looked at."""

EARLY = timedelta(days=3)
"""How much too early an onset may be judged where the window reaches into the candidate: noise before an effect is
easily taken for its beginning."""

PROMPT_DAYS = 1.0
"""Distance of onset and start at which promptness counts 1/e, whatever the kind."""

ONSETS = ("began_at", "jumped_at")
SALES = ["attributed_sales_total", "baseline_sales_total"]
WINDOW = [*SERIES, "began_at"]


def dated_pairs(
    reports: pl.DataFrame,
    asked: pl.DataFrame,
    candidates: pl.DataFrame,
    limits: pl.DataFrame,
    present: pl.DataFrame,
    series: pl.DataFrame,
    grain: timedelta,
) -> pl.DataFrame:
    """Dated candidates that could explain each bounded report row that is asked about.

    A candidate is possible where it covers the series, is known at the tick (a planned one up to its lead ahead,
    any other once it has started), and an onset lies between its start less lead (and one grain, since an onset
    is no finer, and EARLY) and its end plus lag. There are two onsets: the window's, and where its series jumps; the
    one that agrees better counts.

    Args:
        reports: bounded MRDL rows of one retailer.
        asked: those of them that are asked about; the others tell what else moves.
        candidates: rows of `dated_candidates` that are `near`.
        limits: rows of `store_limits`.
        present: store_id, sku, business_day of the series expected to trade; empty where nobody says.
        series: rows of `sales_timeseries_data` as far back as placebo times reach; empty where nobody says.
        grain: length of a tick.

    Returns:
        row, candidate, jumped_at, the features overlap, onset, prompt, ending, excess, reach, footprint, others, crowd,
        breadth, targeted, sign, rarity, lift, gain, response, unlocated, and the counts others_moving and
        others_covered behind them.
    """
    windows = reports.group_by(WINDOW).agg(last_tick=pl.col("tick").max())
    pairs = (
        covered(candidates, limits, windows.select(SERIES).unique())
        .join(windows, on=SERIES)
        .join(_times(candidates), on="candidate")
    )
    started, over = pl.col("starts_at") - pl.col("lead"), pl.col("ends_at") + pl.col("lag")
    sold = Sold(series)
    early = pl.lit(grain + EARLY)
    possible = pairs.filter((started - early <= pl.col("last_tick")) & (pl.col("began_at") < over)).drop("last_tick")
    within = pl.col("starts_at") < pl.col("until")
    in_box = pl.any_horizontal(
        ((pl.col(at) >= started - grain) | (within & (pl.col(at) >= started - early))) & (pl.col(at) < over)
        for at in ONSETS
    )
    known = (
        pl.when("planned")
        .then(pl.col("starts_at") <= pl.col("tick") + pl.col("lead"))
        .otherwise(pl.col("starts_at") < pl.col("tick"))
    )
    told = reports.join(possible, on=WINDOW, how="semi")
    every = (
        told.select("row", *WINDOW, "until", "window_end", "tick", "direction", "business_day", *SALES)
        .join(sharp_onsets(told, sold), on=SPAN, how="left")
        .with_columns(pl.col("jumped_at").fill_null(pl.col("began_at")))
        .join(possible, on=WINDOW)
        .filter(in_box & known & (pl.col("starts_at") >= pl.col("tick") - pl.duration(days=LOOK_BACK_DAYS)))
    )
    pairs = pairs.join(asked, on=WINDOW, how="semi")
    rows = (
        every.join(asked, on="row", how="semi")
        .join(_rarity(pairs), on=[*WINDOW, "kind"], how="left")
        .join(lift(pairs, sold), on=[*WINDOW, "kind"], how="left")
        .join(_reach(every, reports, candidates, limits, present), on=["candidate", "tick", "direction"], how="left")
    )
    answered = response(rows.select("candidate", "tick", *SERIES), candidates, limits, sold)
    rows = rows.join(answered, on=["candidate", "tick", *SERIES], how="left")
    compared = ("reach", "footprint", "others", "crowd", "breadth", "others_moving", "others_covered")
    return rows.select("row", "candidate", "jumped_at", "targeted", *compared, "rarity", *_features(grain))


def sales_matter_from(reports: pl.DataFrame, candidates: pl.DataFrame) -> datetime | None:
    """First moment whose sales `dated_pairs` compares anything with; None where there is nothing to compare.

    Args:
        reports: bounded MRDL rows of one retailer.
        candidates: rows of `dated_candidates` that are `near`.
    """
    if candidates.is_empty():
        return None
    began: datetime = reports["began_at"].min()  # type: ignore[assignment]
    tick: datetime = reports["tick"].min()  # type: ignore[assignment]
    possible = candidates.filter(pl.col("ends_at") + pl.col("lag") > began)
    eves = possible.select(at=pl.col("starts_at") - pl.col("eve"))["at"]
    eve: datetime | None = eves.filter(eves >= tick - timedelta(days=OLDEST_DAYS)).min()  # type: ignore[assignment]
    compared = began - timedelta(days=PLACEBO_DAYS)
    return compared if eve is None else min(compared, eve - timedelta(days=BEFORE_DAYS))


def near(reports: pl.DataFrame, candidates: pl.DataFrame) -> pl.DataFrame:
    """Candidates that can matter for any of some reports at all.

    Args:
        reports: bounded MRDL rows of one retailer.
        candidates: rows of `dated_candidates`.
    """
    first = reports["began_at"].min()
    last = reports["tick"].max()
    before = pl.lit(first, dtype=INSTANT) - pl.duration(days=PLACEBO_DAYS + LONGEST_LAG_DAYS)
    return candidates.filter(
        (pl.col("ends_at") >= before)
        & (pl.col("starts_at") <= pl.lit(last, dtype=INSTANT) + pl.duration(days=LONGEST_LEAD_DAYS))
    )


def _times(candidates: pl.DataFrame) -> pl.DataFrame:
    return candidates.select(
        "candidate", "kind", "starts_at", "ends_at", "lead", "lag", "eve", "decay_days", "planned", "moves"
    )


def _rarity(pairs: pl.DataFrame) -> pl.DataFrame:
    """−log of the chance that a quiet moment of this series falls to a candidate of the same kind.

    The chance is the share of the 56 days before the window that the boxes [start − lead, end + lag] of covering
    candidates take, at least 1 / 56 and at most 1. Boxes that overlap count double, which errs towards common.
    The box of a candidate that is not planned begins at its start: before that nobody knew of it.
    """
    began = pl.col("began_at")
    from_ = pl.when("planned").then(pl.col("starts_at") - pl.col("lead")).otherwise(pl.col("starts_at"))
    lower = pl.max_horizontal(from_, began - pl.duration(days=PLACEBO_DAYS))
    upper = pl.min_horizontal(pl.col("ends_at") + pl.col("lag"), began)
    days = (upper - lower).dt.total_microseconds().clip(lower_bound=0).sum() / (86_400 * 10**6)
    chance = (days / PLACEBO_DAYS).clip(1 / PLACEBO_DAYS, 1.0)
    return pairs.group_by(*WINDOW, "kind").agg(rarity=0.0 - chance.log())


def _features(grain: timedelta) -> list[pl.Expr]:
    until, starts, ends = pl.col("until"), pl.col("starts_at"), pl.min_horizontal("ends_at", "tick")
    eve = starts - pl.col("eve")
    overlaps, distances = [], []
    for began in (pl.col(name) for name in ONSETS):
        shared = (pl.min_horizontal(until, ends) - pl.max_horizontal(began, eve)).dt.total_microseconds()
        either = (pl.max_horizontal(until, ends) - pl.min_horizontal(began, eve)).dt.total_microseconds()
        overlaps.append(shared.clip(lower_bound=0) / either)
        away = (pl.max_horizontal(began - starts, eve - began) - grain).dt.total_microseconds()
        distances.append(away.clip(lower_bound=0) / (86_400 * 10**6))
    distance = pl.min_horizontal(distances)
    late = (pl.col("window_end") - pl.col("ends_at")).abs().dt.total_microseconds() / (86_400 * 10**6)
    moves = pl.col("moves")
    sold, wanted = (pl.col(f"{name}_sales_total").cast(pl.Float64) for name in ("attributed", "baseline"))
    own = pl.when((wanted > 0) & (sold >= 0)).then(((sold + 0.05 * wanted) / wanted).log())
    against = pl.when(pl.col("direction") == "down").then(-1.0).otherwise(1.0)
    return [
        pl.max_horizontal(overlaps).alias("overlap"),
        (-distance / pl.col("decay_days")).exp().alias("onset"),
        (-distance / PROMPT_DAYS).exp().alias("prompt"),
        (-late / ENDING_DECAY_DAYS).exp().alias("ending"),
        (own.abs() - (against * pl.col("gain")).clip(lower_bound=0.0)).clip(-1.0, 3.0).alias("excess"),
        *((against * pl.col(name)).alias(name) for name in ("lift", "gain", "response")),
        pl.when(moves.is_null()).then(0.0).when(moves == pl.col("direction")).then(1.0).otherwise(-1.0).alias("sign"),
        pl.col("unlocated").cast(pl.Float64),
    ]


def _reach(
    rows: pl.DataFrame, reports: pl.DataFrame, candidates: pl.DataFrame, limits: pl.DataFrame, present: pl.DataFrame
) -> pl.DataFrame:
    """Per candidate, tick and direction, how much else moves that it covers.

    reach is √(moving and covered / covered), the root because the first few per cent say most: by chance hardly any
    other series moves; footprint is the Jaccard index of what moves and what is covered. Of the *other* covered series:
    others is √(moving / covered), crowd the signed root of the deviance of that share from the share of series not
    covered that move; both are NULL where it covers no other. breadth is the log of the series covered.

    Moving series are those with a report at the tick in the same direction, and with an onset in the candidate's box
    where they are covered. NULL where `present` says nothing.
    """
    at = ["tick", "direction"]
    moving = reports.group_by(at).agg(moving=pl.struct(SERIES).n_unique().cast(pl.Int64))
    both = rows.group_by("candidate", *at).agg(
        both=pl.struct(SERIES).n_unique().cast(pl.Int64), business_day=pl.col("business_day").first()
    )
    asked = both.select("candidate", "business_day").unique().join(candidates, on="candidate")
    sizes = covered_count(asked, limits, present)
    trading = present.group_by("business_day").agg(trading=pl.len().cast(pl.Int64))
    size = pl.col("covered")
    others = pl.max_horizontal(size - 1, pl.lit(0))
    along = pl.min_horizontal(pl.col("both") - 1, others)
    share = pl.when(others > 0).then(along / others)
    outside = pl.max_horizontal(pl.col("trading") - size, pl.lit(0))
    elsewhere = pl.min_horizontal(pl.col("moving") - pl.col("both"), outside)
    chance = ((elsewhere + CHANCE * CHANCE_SERIES) / (outside + CHANCE_SERIES)).clip(1e-3, 0.95)
    return (
        both.join(sizes, on=["candidate", "business_day"], how="left")
        .join(trading, on="business_day", how="left")
        .join(moving, on=at)
        .select(
            "candidate",
            *at,
            reach=pl.when(size > 0).then((pl.col("both") / size).clip(0, 1).sqrt()),
            footprint=pl.when(size > 0).then((pl.col("both") / (size + pl.col("moving") - pl.col("both"))).clip(0, 1)),
            others=share.sqrt(),
            crowd=_signed_root_deviance(share, others, chance).clip(*CROWD),
            breadth=pl.when(size > 0).then(size.log()),
            others_moving=pl.when(size > 0).then(along),
            others_covered=pl.when(size > 0).then(others),
        )
    )


def _signed_root_deviance(share: pl.Expr, count: pl.Expr, chance: pl.Expr) -> pl.Expr:
    """Distance of a binomial share from its chance in standard deviations."""
    moved = pl.when(share > 0).then(share * (share / chance).log()).otherwise(0.0)
    stayed = pl.when(share < 1).then((1 - share) * ((1 - share) / (1 - chance)).log()).otherwise(0.0)
    distance = (2 * count * (moved + stayed)).clip(lower_bound=0.0).sqrt()
    return pl.when(share.is_not_null()).then(pl.when(share >= chance).then(distance).otherwise(0.0 - distance))
