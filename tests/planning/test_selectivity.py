"""Replays compute what their inputs ask for, and next to nothing else: against an oracle made from declarations.

The oracle knows nothing of how a replay is planned. It compares what every stage reads as it was before a replay with
what it reads after it, partition by partition.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.replays import REPLAY_PARTS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Input, Others, Stage
from mrs_assets.graph import STAGES
from mrs_resources.log_store import Transaction
from tests.conftest import SteppingClock
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.histories.story import FIRST_DAY, SKUS, Row, dice

STORES = {"acme": ("s0", "s1", "s2", "s3"), "bolt": ("s0", "s1")}
DAYS = [FIRST_DAY + timedelta(days=n) for n in range(240)]
REPORTS_FROM = DAYS[40]
LATER = datetime(2024, 9, 1, tzinfo=UTC)
CORRECTIONS = 6
MOST_NOT_NEEDED = 0.05
MOST_STORES_NOT_NEEDED = 0.10
"""The same of single stores: those that are felt on the same stretch of days are answered for together."""

Where = tuple[str, str, date]
"""Retailer, store (`*`: every store), business day."""
Place = tuple[str, str, str, date]
"""Stage, retailer, store, business day."""
Columns = tuple[str, ...] | None
"""Those that are looked at; None: all."""


@dataclass
class Content:
    """What is true at one moment.

    Attributes:
        rows: log and columns → what its live rows say in them, by where they lie.
        comparing: stage and column → where an answer does not say that other stores do not matter to it.
        alike: the shares of other series, in tenths, that move like the reports that lie somewhere.
    """

    rows: dict[tuple[str, Columns], dict[Where, str]] = field(default_factory=dict)
    comparing: dict[tuple[str, str], set[Where]] = field(default_factory=dict)
    alike: dict[Where, set[tuple[str, ...]]] = field(default_factory=dict)


@dataclass
class Judged:
    """Places of all replays, each with the number of its correction.

    Attributes:
        touched: some row that they read came out otherwise.
        needed: touched, and there is something to compute.
        computed: by the replay, where there is something to compute.
    """

    touched: set[tuple[int, Place]] = field(default_factory=set)
    needed: set[tuple[int, Place]] = field(default_factory=set)
    computed: set[tuple[int, Place]] = field(default_factory=set)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    home = tmp_path_factory.mktemp("selectivity")
    with in_memory.warehouses_in_memory():
        in_memory.begin(home)
        yield _lived(home)


def test_nothing_that_was_needed_is_left_out(judged: Judged) -> None:
    assert {place[0] for _, place in judged.needed} == {stage.name for stage in STAGES}
    assert judged.needed - judged.computed == set()


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_next_to_no_partition_is_computed_that_was_not_needed(stage: str, judged: Judged) -> None:
    computed = {found for found in judged.computed if found[1][0] == stage}
    assert len(_days(computed) - _days(judged.touched)) <= MOST_NOT_NEEDED * len(_days(computed))


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES if stage.span != "everything"])
def test_next_to_no_store_is_answered_for_that_was_not_needed(stage: str, judged: Judged) -> None:
    computed = {found for found in judged.computed if found[1][0] == stage}
    assert len(computed - judged.touched) <= MOST_STORES_NOT_NEEDED * len(computed)


def _days(places: set[tuple[int, Place]]) -> set[tuple[int, str, str, date]]:
    """The partitions that places lie in."""
    return {(number, stage, retailer, day) for number, (stage, retailer, _, day) in places}


def _lived(folder: Path) -> Judged:
    """A few random corrections in a small world, each answered before the next comes."""
    settings = Settings.model_validate(
        {
            "home": folder,
            "retailers": {name: {"timezone": "Europe/London", "reports_from": REPORTS_FROM} for name in STORES},
            "calendar": {"first_day": FIRST_DAY},
            "retries": {"attempts": 1},
        }
    )
    home = Home(settings, SteppingClock(LATER))
    sold = {(whose, row.store, row.sku, row.day): row for whose in STORES for row in _sold(whose)}
    for whose in STORES:
        home.send("sales", whose, _file(row for key, row in sold.items() if key[0] == whose))
    assert not home.tick().failed
    rng = dice("corrections")
    judged = Judged()
    for number in range(CORRECTIONS):
        whose = rng.choice(("acme", "acme", "bolt"))
        store, first, factor = rng.choice(STORES[whose]), rng.randrange(30, len(DAYS) - 3), rng.choice((0.2, 1.1, 3.0))
        rows = []
        for day in DAYS[first : first + rng.randint(1, 3)]:
            for sku in SKUS[: rng.randint(1, 2)]:
                row = sold[whose, store, sku, day]
                rows.append(Row(store, sku, day, round((row.units or 0) * factor)))
        _answer(home, whose, _file(rows), number, judged)
    return judged


def _sold(retailer: str) -> Iterator[Row]:
    """Quiet sales, with a few bursts that make reports."""
    rng = dice(retailer)
    for store in STORES[retailer]:
        for sku in SKUS:
            bursts = [rng.randrange(45, len(DAYS)) for _ in range(2)]
            for place, day in enumerate(DAYS):
                factor = 3 if any(0 <= place - burst < 4 for burst in bursts) else 1
                yield Row(store, sku, day, factor * (20 + rng.randint(-3, 3)))


def _file(rows: Iterable[Row]) -> str:
    """Sales with prices: tea's are never the same, and low when much is sold of it, so that stores are compared."""
    lines = ["store_id,sku,ts,units,revenue"]
    for row in rows:
        units = row.units or 0
        price = (1.8 if row.day.day % 2 else 2.2) * (0.6 if units > 40 else 1) if row.sku == "tea" else 2
        lines.append(f"{row.store},{row.sku},{row.day},{units},{units * price:.2f}")
    return "\n".join(lines) + "\n"


def _answer(home: Home, retailer: str, file: str, number: int, judged: Judged) -> None:
    with home.warehouse.store.transaction() as tx:
        before, begun = _content(tx), tx.newest_write()
    home.clock.now += timedelta(hours=3)
    home.send("sales", retailer, file)
    assert not home.tick().failed
    with home.warehouse.store.transaction() as tx:
        after = _content(tx)
        parts = tx.live(REPLAY_PARTS).filter(pl.col("written_at") > begun)
    for stage in STAGES:
        seen = {(whose, store) for whose in STORES for store in STORES[whose]}
        seen = seen if stage.span == "everything" else {pair for pair in seen if pair[0] == retailer}
        work = {(*pair, day) for pair in seen for day in DAYS}
        if stage.answers is not None:
            asked = (stage.needs[stage.answers].contract.name, None)
            work &= {*before.rows[asked], *after.rows[asked]}
        touched = {*_touched(stage, seen, before, after)}
        computed = set()
        for part in parts.filter(asset=stage.name).to_dicts():
            whose = {pair for pair in seen if part["stores"] is None or pair[1] in part["stores"]}
            computed |= {(*p, day) for p in whose for day in DAYS if part["first_day"] <= day <= part["last_day"]}
        judged.touched |= {(number, (stage.name, *where)) for where in touched}
        judged.needed |= {(number, (stage.name, *where)) for where in touched & work}
        judged.computed |= {(number, (stage.name, *where)) for where in computed & work}


def _content(tx: Transaction) -> Content:
    found = Content(alike=_alike(tx))
    for stage, wanted in ((each, wanted) for each in STAGES for wanted in each.reads):
        rows = tx.live(wanted.contract)
        others = wanted.others or Others()
        for columns in {None, others.columns}:
            said = ["row_hash"] if columns is None else [*wanted.contract.key, *columns]
            told = rows.with_columns(said=pl.struct(said).struct.json_encode()).group_by(_where(rows))
            by_place = told.agg(pl.col("said").sort().str.join())
            found.rows[wanted.contract.name, columns] = {(r[0], r[1], r[2]): r[3] for r in by_place.rows()}
        if others.told_by is not None:
            answers = tx.live(stage.writes[0]).filter(pl.col(others.told_by).fill_null(value=True))
            found.comparing[stage.name, others.told_by] = {*answers.select(_where(answers)).rows()}
    return found


def _alike(tx: Transaction) -> dict[Where, set[tuple[str, ...]]]:
    """Counted series by series, as they trade and move on a day, of the product and of the whole retailer."""
    columns = ["retailer", "business_day", "store_id", "sku"]
    open_ = ~pl.col("coverage").is_in(["closed", "not_expected"])
    trading = tx.live(SALES_TIMESERIES).filter(open_).select(columns).unique().rows()
    moving = tx.live(DETECTED).select(*columns, "direction").unique().rows()
    there = Counter(key for whose, day, _, sku in trading for key in ((whose, day, sku), (whose, day)))
    like = Counter(key for whose, day, _, sku, way in moving for key in ((whose, day, sku, way), (whose, day, way)))
    found: dict[Where, set[tuple[str, ...]]] = {}
    for whose, day, store, sku, way in moving:
        shares = [(like[*of, way] - 1) / (there[of] - 1) for of in ((whose, day, sku), (whose, day))]
        found.setdefault((whose, store, day), set()).add((sku, way, *(f"{share:.1f}" for share in shares)))
    return found


def _where(rows: pl.DataFrame) -> list[pl.Expr]:
    store = pl.col("store_id") if "store_id" in rows.columns else pl.lit("*")
    return [pl.col("retailer"), store.alias("store"), pl.col("business_day")]


def _touched(stage: Stage, seen: set[tuple[str, str]], before: Content, after: Content) -> Iterator[Where]:
    """Stores and days for which a row that is read came out otherwise."""
    own = [(w, where) for w in _inputs(stage) for where in _otherwise(w, None, before, after)]
    limited = [(w, w.others) for w in _inputs(stage) if w.others is not None]
    others = [(w, where) for w, seen in limited for where in _otherwise(w, seen.columns, before, after)]
    for day in DAYS if stage.before_reports else DAYS[DAYS.index(REPORTS_FROM) :]:
        for store in seen:
            if any(_is_own(stage, where, store) and _is_near(w, w.days_before, where, day) for w, where in own) or any(
                _matters(stage, w, where, store, day, before, after) for w, where in others
            ):
                yield (*store, day)


def _inputs(stage: Stage) -> list[Input]:
    """What it reads that is not what it answers itself: of its own logs, the past."""
    return [wanted for wanted in stage.reads if wanted.past_only or wanted.contract not in stage.writes]


def _otherwise(wanted: Input, columns: Columns, before: Content, after: Content) -> set[Where]:
    log = (wanted.contract.name, columns)
    then, now = before.rows[log], after.rows[log]
    return {where for where in then.keys() | now.keys() if then.get(where) != now.get(where)}


def _is_own(stage: Stage, where: Where, store: tuple[str, str]) -> bool:
    retailer, whose, _ = where
    return stage.span != "everything" and retailer == store[0] and whose in ("*", store[1])


def _matters(
    stage: Stage, wanted: Input, where: Where, store: tuple[str, str], day: date, before: Content, after: Content
) -> bool:
    """Whether rows of other stores that lie somewhere matter to a store's day."""
    if stage.span == "store" or (stage.span == "retailer" and where[0] != store[0]):
        return False
    told_by = wanted.others.told_by if wanted.others else None
    if told_by is not None and (*store, day) not in before.comparing[stage.name, told_by]:
        return False
    at = (*store, day)
    if stage.name == CLUSTERED.name and before.alike.get(at) == after.alike.get(at):
        return False
    return _is_near(wanted, wanted.of_others.days_before, where, day)


def _is_near(wanted: Input, days_before: int, where: Where, day: date) -> bool:
    """Whether a day looks as far as where rows lie."""
    return (1 if wanted.past_only else -wanted.days_after) <= (day - where[2]).days <= days_before
