"""Which parts of a stage a replay still has to compute: those that read rows which it has not seen.

A row that was written after the replay was planned, or that is among the inputs which it answers, is felt by every day
that looks back on it as the stage's declaration says. What was computed since the row was written is done. So a change
that does not change a stage's output is felt no further, and a replay that died goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.logs.replays import REPLAY_PARTS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Input, Stage
from mrs_assets.planning.others import concerned
from mrs_assets.planning.reach import Days, joined, runs_of
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, Transaction

MOST_PARTS = 24
"""Rectangles that one stage is cut into; beyond, stores and then days are put together, at the price of computing
more than needed. Stores always are where a stage sees its retailer, since it reads much for any of them."""

_PENDING = {"store_id": pl.String(), "day": pl.Date(), "written_at": INSTANT}


@dataclass(frozen=True)
class Replay:
    """What a replay answers and how far it may reach.

    Attributes:
        plan_id: the plan.
        retailer: whose inputs changed.
        since: log → instant after which its rows are among the inputs to answer.
        planned_after: the same for every other log: what was written before the replay is none of its work.
        forced: log → days that count as changed although no row was written.
        first_day: first day with sales.
        last_day: newest day of the retailer.
        reports_from: first day with reports; None: the first day.
        everyones_first, everyones_last: the widest of these over all retailers, for what sees everything.
        is_alone: there is no other retailer, whose days may be ahead.
        is_done: the plan was finished; a run of it that comes late has nothing to certify.
    """

    plan_id: str
    retailer: str
    since: Mapping[str, datetime]
    planned_after: datetime
    forced: Mapping[str, Sequence[date]]
    first_day: date
    last_day: date
    reports_from: date | None
    everyones_first: date
    everyones_last: date
    is_alone: bool
    is_done: bool = False

    def first_of(self, stage: Stage) -> date:
        """First day that a stage computes."""
        if stage.span == "everything":
            return self.everyones_first
        return self.first_day if stage.before_reports else max(self.first_day, self.reports_from or self.first_day)

    def last_of(self, stage: Stage) -> date:
        """Last day that a stage computes."""
        return self.everyones_last if stage.span == "everything" else self.last_day


def remaining(tx: Transaction, stage: Stage, replay: Replay, settings: Settings) -> list[Scope]:
    """The parts of a stage that the replay still has to compute, in order of their first days.

    Of a stage that reads its own past only the first part holds: what it writes may be felt by later ones.
    """
    parts = tx.live(REPLAY_PARTS).filter(plan_id=replay.plan_id, asset=stage.name)
    felt = [(_felt(tx, stage, wanted, replay, settings), wanted) for wanted in stage.reads]
    if any(days.height for days, _ in felt):
        unsure = _unsure_days(tx, stage, replay)
        felt = [(_of_all_stores(days, unsure), wanted) for days, wanted in felt]
    pending = [_undone(days, parts, stage, wanted) for days, wanted in felt]
    if stage.every_day:
        pending.append(_undone(_never_computed(tx, stage, replay), parts, stage, None))
    days = pl.concat(pending).group_by("store_id", "day").agg(pl.col("written_at").max())
    asked = _asked_about(tx, stage, replay) if stage.answers is not None and days.height else None
    return sorted(_rectangles(stage, days, asked, replay), key=lambda scope: (scope.first_day, scope.stores or ()))


def note_part(
    tx: Transaction, stage: Stage, scope: Scope, replay: Replay, seen_at: datetime | None, done: Iterable[Appended]
) -> None:
    """Append that a replay computed a part of a stage, from rows written up to an instant."""
    stores = list(scope.stores) if scope.stores is not None else None
    counts = list(done)
    frame = pl.DataFrame(
        {
            "retailer": [replay.retailer],
            "business_day": [scope.first_day],
            "plan_id": [replay.plan_id],
            "asset": [stage.name],
            "part": [f"{scope.first_day}/{scope.last_day}/{_hash_of(stores)}"],
            "first_day": [scope.first_day],
            "last_day": [scope.last_day],
            "stores": [stores],
            "seen_at": [max(seen_at or replay.planned_after, replay.planned_after)],
            "rows_offered": [sum(count.offered for count in counts)],
            "rows_appended": [sum(count.appended for count in counts)],
            "rows_retracted": [sum(count.retracted for count in counts)],
        },
        schema_overrides={"stores": pl.List(pl.String)},
    )
    tx.append(REPLAY_PARTS, frame, replace(EVER, complete=False), Provenance("planning", __version__))


def _felt(tx: Transaction, stage: Stage, wanted: Input, replay: Replay, settings: Settings) -> pl.DataFrame:
    """The store-days that rows of one input matter to; store_id NULL: all stores."""
    own = wanted.contract in stage.writes
    if own and not wanted.past_only:
        return pl.DataFrame(schema=_PENDING)
    log = wanted.contract.name
    whose = None if stage.span == "everything" else replay.retailer
    since = replay.since.get(log, replay.planned_after)
    rows = tx.changed(wanted.contract, since, whose)
    forced = pl.DataFrame(
        [(None, day, replay.planned_after) for day in replay.forced.get(log, ())], schema=rows.schema, orient="row"
    )
    if rows.is_empty() and forced.is_empty():
        return pl.DataFrame(schema=_PENDING)
    felt = [] if stage.span == "everything" else [_by_day(stage, wanted, pl.concat([rows, forced]), replay)]
    if stage.span != "store" and (others := wanted.others) is not None:
        if others.columns is not None:
            rows = tx.changed(wanted.contract, since, whose, others.columns)
        of_others = pl.concat([rows, forced]).with_columns(store_id=pl.lit(None, dtype=pl.String))
        days = _by_day(stage, wanted.of_others, of_others, replay)
        felt.append(concerned(tx, stage, others, days, whose, settings))
    return pl.concat(felt).group_by("store_id", "day").agg(pl.col("written_at").max())


def _unsure_days(tx: Transaction, stage: Stage, replay: Replay) -> pl.Series:
    """Days on which a row got no answer: those beside it may have had their neighbour's.

    It alone says so, and is mended when its own store is computed again.
    """
    if not stage.down:
        return pl.Series(dtype=pl.Date)
    rows = tx.degraded_days(stage.writes[0], mended_after=replay.planned_after)
    return rows.filter(retailer=replay.retailer, reason=stage.down)["business_day"].unique().sort()


def _of_all_stores(felt: pl.DataFrame, days: pl.Series) -> pl.DataFrame:
    """The same store-days; on some days those of every store."""
    if days.is_empty():
        return felt
    store = pl.when(~pl.col("day").is_in(days.implode())).then("store_id").alias("store_id")
    return felt.with_columns(store).group_by("store_id", "day").agg(pl.col("written_at").max())


def _by_day(stage: Stage, wanted: Input, rows: pl.DataFrame, replay: Replay) -> pl.DataFrame:
    """The days that look back on rows."""
    after = -1 if wanted.past_only else wanted.days_after
    if stage.span == "everything" and replay.is_alone:
        after = 0
    day, first, last = pl.col("business_day"), pl.lit(replay.first_of(stage)), pl.lit(replay.last_of(stage))
    there = rows.with_columns(
        first=pl.max_horizontal(day - timedelta(days=after), first),
        last=pl.min_horizontal(day + timedelta(days=wanted.days_before), last),
    ).filter(pl.col("first") <= pl.col("last"))
    days = there.with_columns(day=pl.date_ranges("first", "last")).explode("day")
    return days.group_by("store_id", "day").agg(pl.col("written_at").max()).select(list(_PENDING))


def _never_computed(tx: Transaction, stage: Stage, replay: Replay) -> pl.DataFrame:
    """Every day of the retailer outside of those that the stage had rows of before the replay."""
    known = tx.first_and_last_day(stage.writes[0], replay.retailer, replay.planned_after)
    days = pl.date_range(replay.first_of(stage), replay.last_of(stage), eager=True).alias("day").to_frame()
    if known is not None:
        days = days.filter(~pl.col("day").is_between(*known))
    return days.select(store_id=pl.lit(None, dtype=pl.String), day="day", written_at=pl.lit(replay.planned_after))


def _done(parts: pl.DataFrame, stage: Stage, wanted: Input | None) -> pl.DataFrame:
    """What the replay computed already, by store and day, and up to when a row of an input counts as seen.

    Rows of its own past that a part wrote itself are seen by it.
    """
    seen = "written_at" if wanted is not None and wanted.contract in stage.writes else "seen_at"
    return (
        parts.select("stores", "first_day", "last_day", seen_at=pl.col(seen))
        .with_columns(day=pl.date_ranges("first_day", "last_day"))
        .explode("day")
        .explode("stores")
        .group_by(store_id="stores", day="day")
        .agg(pl.col("seen_at").max())
    )


def _undone(pending: pl.DataFrame, parts: pl.DataFrame, stage: Stage, wanted: Input | None) -> pl.DataFrame:
    if pending.is_empty():
        return pending
    done = _done(parts, stage, wanted)
    everywhere = done.filter(pl.col("store_id").is_null()).select("day", everywhere="seen_at")
    known = pending.join(done, on=["store_id", "day"], how="left").join(everywhere, on="day", how="left")
    seen = pl.max_horizontal("seen_at", "everywhere")
    return known.filter(seen.is_null() | (pl.col("written_at") > seen)).select(list(_PENDING))


def _asked_about(tx: Transaction, stage: Stage, replay: Replay) -> pl.DataFrame:
    """The store-days on which there are rows to answer for, or ever were."""
    asked = stage.needs[str(stage.answers)].contract
    whose = None if stage.span == "everything" else replay.retailer
    return tx.query(
        f"SELECT DISTINCT store_id, business_day AS day FROM {asked.name} "
        "WHERE run_id = $run AND ($retailer IS NULL OR retailer = $retailer)",
        {"run": tx.run_id, "retailer": whose},
    )


def _rectangles(stage: Stage, days: pl.DataFrame, asked: pl.DataFrame | None, replay: Replay) -> Iterator[Scope]:
    whose = None if stage.span == "everything" else replay.retailer
    whole = days.filter(pl.col("store_id").is_null())
    rest = days.filter(pl.col("store_id").is_not_null())
    if asked is not None:
        whole = whole.join(asked, on="day", how="semi")
        rest = rest.join(asked, on=["store_id", "day"], how="semi")
    yield from (Scope(*span, whose) for span in bridged(_spans(whole, asked), MOST_PARTS))
    rest = rest.join(whole, on="day", how="anti")
    if asked is not None:
        asked = asked.join(whole, on="day", how="anti").join(rest, on="store_id", how="semi")
    groups: dict[Days, list[str]] = {}
    if stage.span == "store":
        for (store,), own in rest.group_by("store_id"):
            for span in _spans(own, None if asked is None else asked.filter(store_id=store)):
                groups.setdefault(span, []).append(str(store))
    if stage.span != "store" or len(groups) > MOST_PARTS:
        groups = {
            span: rest.filter(pl.col("day").is_between(*span))["store_id"].unique().to_list()
            for span in bridged(_spans(rest, asked), MOST_PARTS)
        }
    for span, stores in groups.items():
        yield Scope(*span, whose, tuple(sorted(stores)))


def _spans(days: pl.DataFrame, asked: pl.DataFrame | None) -> list[Days]:
    """Stretches of days. Where a stage answers rows, a day without any is nothing to compute and parts no stretch."""
    if asked is None:
        return joined((day, day) for day in days["day"].unique())
    return runs_of(days["day"].unique(), asked["day"].unique())


def bridged(spans: Sequence[Days], most: int) -> list[Days]:
    """At most so many spans: those with the shortest gaps between them made one."""
    spans = list(spans)
    while len(spans) > most:
        gaps = [(later[0] - earlier[1], n) for n, (earlier, later) in enumerate(pairwise(spans))]
        _, n = min(gaps)
        spans[n : n + 2] = [(spans[n][0], spans[n + 1][1])]
    return spans


def _hash_of(stores: Sequence[str] | None) -> str:
    return "*" if stores is None else hashlib.sha256(json.dumps(stores).encode()).hexdigest()[:16]
