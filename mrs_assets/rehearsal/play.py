"""A play: causes with what they do to units and what the feeds say of them; and what the stages make of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from mrs_assets.attribution.kinds import UNKNOWN
from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.clustering.stage import CLUSTERING_STAGE
from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Inputs, Model, Stage
from mrs_assets.detection.baseline_stage import BASELINE_STAGE
from mrs_assets.detection.classifier_stage import CLASSIFIER_STAGE
from mrs_assets.detection.stage import DETECTION_STAGE
from mrs_assets.rehearsal.ground import Floats, Ground, stored

FEEDS: Mapping[str, Contract] = {
    "promotions": PROMOTIONS,
    "campaigns": CAMPAIGNS,
    "contextual_events": CONTEXTUAL_EVENTS,
    "stores": STORES,
}
PLAYED_DAYS = 120
"""Days of the play, at the end of the ground."""

CLEAR_SHARE, STRAY_SHARE = 0.5, 0.15
"""Share of a report's deviation that one cause must have made to be its cause, and under which it had none of ours."""


@dataclass(frozen=True)
class Effect:
    """What one cause did to one series: ticks [first, first + len(units)) got these units more (or fewer).

    `cause` is the key of the candidate that is right.
    """

    cause: str
    series: int
    first: int
    units: Floats


@dataclass
class Play:
    """Units, prices and feeds while causes are put into them.

    Attributes:
        ground: what it is played on.
        units, prices: ticks × series: what sells, and the factor on the price.
        effects: what was done, with the key of the cause.
        feeds: feed → rows that the retailer would send.
    """

    ground: Ground
    units: Floats = field(init=False)
    prices: Floats = field(init=False)
    effects: list[Effect] = field(default_factory=list)
    feeds: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in FEEDS})

    def __post_init__(self) -> None:
        self.units = self.ground.units.copy()
        self.prices = np.ones_like(self.units)
        self._busy = np.zeros(self.units.shape, dtype=np.bool_)

    @property
    def first(self) -> int:
        """First tick that may change."""
        return len(self.ground.starts) - PLAYED_DAYS * self.ground.retailer.ticks_per_day

    def is_free(self, series: int, first: int, end: int) -> bool:
        """Whether nothing else was done to a series nearby."""
        margin = 2 * self.ground.retailer.ticks_per_day
        return not self._busy[max(0, first - margin) : end + margin, series].any()

    def change(self, cause: str, series: int, first: int, units: Floats, price: float = 1.0) -> bool:
        """Let a series sell these units from a tick on; whether anything changed."""
        span = slice(first, first + len(units))
        added = np.nan_to_num(units - self.units[span, series])
        if not added.any():
            return False
        self.units[span, series] = units
        self.prices[span, series] *= price
        self._busy[span, series] = True
        self.effects.append(Effect(cause, series, first, added))
        return True

    def span(self, first: int, ticks: int) -> dict[str, Any]:
        """The local days of some ticks, as promotions and campaigns name them."""
        zone = self.ground.retailer.zone
        begin = self.at(first).astimezone(zone).date()
        end = (self.at(first + ticks) - timedelta(microseconds=1)).astimezone(zone).date()
        return {"start_day": begin, "end_day": max(begin, end), "business_day": begin}

    def at(self, tick: int) -> Any:
        """Start of a tick, before and after the ground too. UTC."""
        starts, length = self.ground.starts, self.ground.retailer.grain_length
        if tick < 0:
            return starts[0] + tick * length
        return starts[tick] if tick < len(starts) else starts[-1] + (tick - len(starts) + 1) * length


@dataclass(frozen=True)
class Seen:
    """What the stages made of a play: the frames of attribution's inputs, and the truth.

    Attributes:
        frames: input name → stored rows; `detected` holds the reports.
        truth: report_id, tick, truth (a candidate's key; `unknown` where nothing of ours made it), is_ours: whether
            something of ours did; reports of which the truth is not clear are left out.
        scope: days of the play.
        settings: with the retailer as it was played: without public holidays, whose truth nobody knows.
    """

    frames: Mapping[str, pl.DataFrame]
    truth: pl.DataFrame
    scope: Scope
    settings: Settings

    def inputs(self, missing: Collection[str] = (), models: Mapping[str, Model] | None = None) -> Inputs:
        """Inputs of attribution, without some of them."""
        wants = {name: ATTRIBUTION_STAGE.wants[name] for name in missing}
        return replace(_inputs(ATTRIBUTION_STAGE, self, models or {}), unconfigured=frozenset()).withholding(wants)


def see(play: Play, settings: Settings, models: Mapping[str, Model]) -> Seen:
    """Let the stages look at a play, up to clusters."""
    ground = play.ground
    retailer = ground.retailer.model_copy(update={"country": None, "subdivision": None, "reports_from": None})
    chosen = settings.model_copy(update={"retailers": {ground.name: retailer}})
    rows = ground.played(play.units, play.prices)
    last: date = rows["business_day"].max()  # type: ignore[assignment]
    scope = Scope(last - timedelta(days=PLAYED_DAYS - 1), last, ground.name)
    frames = {name: _feed(contract, play.feeds[name], ground.name) for name, contract in FEEDS.items()}
    seen = Seen({"series": rows, **frames}, pl.DataFrame(), scope, chosen)
    longer = replace(scope, first_day=scope.first_day - timedelta(days=PLAYED_DAYS))
    for stage, name, days in (
        (BASELINE_STAGE, "baseline", longer),
        (CLASSIFIER_STAGE, "classifier", scope),
        (DETECTION_STAGE, "detected", scope),
        (CLUSTERING_STAGE, "clustered", scope),
    ):
        inputs = replace(_inputs(stage, seen, models), scope=days)
        # Promotions stay out of the expectation: what they did is what is to be explained.
        blind = {want: stage.wants[want] for want in stage.wants if want == "promotions"}
        log = stage.writes[0]
        told = {name: stored(log, stage.compute(inputs.withholding(blind))[log.name])}
        seen = replace(seen, frames={**seen.frames, **told})
    return replace(seen, truth=truth_of(seen.frames["detected"], play))


def _inputs(stage: Stage, seen: Seen, models: Mapping[str, Model]) -> Inputs:
    logs = {name: need.contract for name, need in stage.needs.items()}
    logs |= {name: want.log.contract for name, want in stage.wants.items() if want.log is not None}
    frames = {name: seen.frames.get(name, contract.empty(stored=True)) for name, contract in logs.items()}
    # A log's own past is not there at the first tick of a play.
    own = {name for name, contract in logs.items() if contract in stage.writes}
    frames |= {name: logs[name].empty(stored=True) for name in own}
    return Inputs(seen.scope, seen.settings, frames, models)


def _feed(contract: Contract, rows: Sequence[Mapping[str, Any]], name: str) -> pl.DataFrame:
    if not rows:
        return contract.empty(stored=True)
    columns = [c for c in contract.body if any(c in row for row in rows)]
    wide = {c: pl.Float64() if isinstance(contract.body[c], pl.Decimal) else contract.body[c] for c in columns}
    frame = pl.DataFrame([{c: row.get(c) for c in columns} for row in rows], schema=wide)
    return stored(
        contract, frame.with_columns(retailer=pl.lit(name)).unique(contract.key, keep="first", maintain_order=True)
    )


def truth_of(reports: pl.DataFrame, play: Play) -> pl.DataFrame:
    """Find the true cause of each report row: the one that made most of the deviation in its window.

    `unknown` where what we did made less than STRAY_SHARE of it; left out where no cause made CLEAR_SHARE of it.
    """
    ground = play.ground
    keys = pl.DataFrame({"store_id": ground.stores, "sku": ground.skus}).with_row_index("series")
    numbers = pl.DataFrame({"ts": ground.starts}, schema={"ts": INSTANT}).with_row_index("number")
    windows = (
        reports.join(keys, on=["store_id", "sku"])
        .select(
            "report_id",
            "tick",
            "series",
            "window_start",
            end=pl.min_horizontal("last_anomalous_at", "tick") - pl.duration(microseconds=1),
            uplift=pl.col("uplift_units"),
        )
        .sort("window_start")
        .join_asof(numbers.rename({"number": "from"}), left_on="window_start", right_on="ts", strategy="backward")
        .sort("end")
        .join_asof(numbers.rename({"number": "to"}), left_on="end", right_on="ts", strategy="backward")
        .sort("report_id", "tick")
    )
    by_series: dict[int, list[Effect]] = {}
    for effect in play.effects:
        by_series.setdefault(effect.series, []).append(effect)
    causes = []
    for series, begin, end, uplift in windows.select("series", "from", "to", "uplift").iter_rows():
        causes.append(_cause(by_series.get(series, []), begin, end + 1, uplift or 0.0))
    told = windows.select("report_id", "tick").with_columns(pl.Series("truth", causes, pl.String)).drop_nulls()
    return told.with_columns(is_ours=pl.col("truth") != UNKNOWN)


def _cause(effects: Sequence[Effect], begin: int, end: int, uplift: float) -> str | None:
    best, words = 0.0, UNKNOWN
    for effect in effects:
        lower, upper = max(begin, effect.first), min(end, effect.first + len(effect.units))
        made = float(effect.units[lower - effect.first : upper - effect.first].sum()) if upper > lower else 0.0
        share = made / uplift if uplift else 0.0
        if share > best:
            best, words = share, effect.cause
    if best >= CLEAR_SHARE:
        return words
    return UNKNOWN if best < STRAY_SHARE else None
