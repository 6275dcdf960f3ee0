"""What a candidate did to everything else that it covers: a difference in differences of units."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from mrs_assets.attribution.between import SUMS, UNIT, Sold
from mrs_assets.attribution.coverage import parts_covered
from mrs_assets.contracts.columns import SERIES

BEFORE_DAYS = 28
"""Days before a candidate's start that its days are compared with."""

LONGEST_DAYS = 28
"""Days of a candidate that are looked at: its first."""

OLDEST_DAYS = 110
"""Days before the tick from which on a start is still compared: as far as the series is read."""

NOISE = 1.5
"""Variance of units over their mean, as counts of shoppers with baskets have it."""

UNSTEADY = 0.1
"""Deviation of the log ratio of two spans where nothing happened, however much is sold."""

STEADY_UNITS = 30.0
"""Units that both ratios are shrunk towards 1 with."""

LIMITS = (-3.0, 6.0)
PAIR = ["candidate", "tick", *SERIES]


def response(pairs: pl.DataFrame, candidates: pl.DataFrame, limits: pl.DataFrame, sold: Sold) -> pl.DataFrame:
    """Compare the other series that a candidate covers, from its start on and in the 28 days before, with all the rest.

    Args:
        pairs: candidate, tick, store_id, sku of the reports that it may explain.
        candidates: rows of `dated_candidates`.
        limits: rows of `store_limits`.
        sold: what the series sold.

    Returns:
        candidate, tick, store_id, sku; gain: log ratio of the units per tick since the start and before, less the same
        of the rest; response: gain in standard deviations. NULL where it covers nothing else, or began too long ago.
    """
    days = pl.duration(days=BEFORE_DAYS)
    began = pl.col("starts_at") - pl.col("eve")
    spans = (
        pairs.select("candidate", "tick")
        .unique()
        .join(candidates, on="candidate")
        .with_columns(began=began)
        .with_columns(
            since=pl.col("began") - days,
            over=pl.min_horizontal("ends_at", "tick", pl.col("began") + pl.duration(days=LONGEST_DAYS)),
        )
        .filter(
            (pl.col("over") > pl.col("began")) & (pl.col("began") >= pl.col("tick") - pl.duration(days=OLDEST_DAYS))
        )
    )
    told = spans.select("candidate", "tick", "since", "began", "over")
    covered = _summed(parts_covered(spans, limits, sold.ticks.select(SERIES)), told, sold)
    everything = pl.concat([told.select("candidate", "tick"), _both(told, sold, [])], how="horizontal")
    own_spans = pairs.select(PAIR).unique().sort(PAIR).join(told, on=["candidate", "tick"], maintain_order="left")
    own = pl.concat([own_spans.select(PAIR), _both(own_spans, sold, SERIES)], how="horizontal")
    at = ["candidate", "tick"]
    names = [f"{name}_{when}" for when in ("before", "since") for name in SUMS]
    joined = own.join(covered, on=at, suffix="_covered").join(everything, on=at, suffix="_all")
    others = joined.with_columns(
        *((pl.col(f"{name}_covered") - pl.col(name)).alias(f"{name}_others") for name in names),
        *((pl.col(f"{name}_all") - pl.col(f"{name}_covered")).alias(f"{name}_rest") for name in names),
    )
    wanted, got = _expected("others"), pl.col("sold_since_others").clip(lower_bound=0) / UNIT
    gain = _log_ratio("others") - _log_ratio("rest")
    spread = (NOISE / (got + 1) + NOISE / (wanted + 1) + UNSTEADY**2).sqrt()
    known = (pl.col("ticks_before_others") > 0) & (pl.col("ticks_since_others") > 0)
    return others.filter(known).select(*PAIR, gain=gain.clip(-1.5, 1.5), response=(gain / spread).clip(*LIMITS))


def _expected(of: str) -> pl.Expr:
    """Units that the ticks since the start would have sold at the pace before it."""
    pace = pl.col(f"sold_before_{of}").clip(lower_bound=0) / UNIT / pl.col(f"ticks_before_{of}")
    return pl.when(pl.col(f"ticks_before_{of}") > 0).then(pace * pl.col(f"ticks_since_{of}")).otherwise(0.0)


def _log_ratio(of: str) -> pl.Expr:
    got = pl.col(f"sold_since_{of}").clip(lower_bound=0) / UNIT
    return ((got + STEADY_UNITS) / (_expected(of) + STEADY_UNITS)).log()


def _both(spans: pl.DataFrame, sold: Sold, by: Sequence[str]) -> pl.DataFrame:
    before = sold.between(spans, by, "since", "began").rename({name: f"{name}_before" for name in SUMS})
    since = sold.between(spans, by, "began", "over").rename({name: f"{name}_since" for name in SUMS})
    return pl.concat([before, since], how="horizontal")


def _summed(parts: list[tuple[Sequence[str], pl.DataFrame]], spans: pl.DataFrame, sold: Sold) -> pl.DataFrame:
    found = []
    for by, covered in parts:
        asked = spans.join(covered, on="candidate")
        found.append(pl.concat([asked.select("candidate", "tick"), _both(asked, sold, by)], how="horizontal"))
    return pl.concat(found).group_by("candidate", "tick").agg(pl.all().sum())
