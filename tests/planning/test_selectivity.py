"""Replays compute what their inputs ask for, and next to nothing else: against an oracle made from declarations.

The oracle knows nothing of how a replay is planned. It compares what every stage reads as it was before a replay with
what it reads after it, partition by partition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.replays import REPLAY_PARTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Input, Stage
from mrs_assets.graph import STAGES
from mrs_resources.log_store import Transaction
from tests.conftest import SteppingClock
from tests.histories import in_memory
from tests.histories.driver import Home
from tests.histories.start import sales_file
from tests.histories.story import FIRST_DAY, SKUS, Row, dice

STORES = {"acme": ("s0", "s1", "s2", "s3"), "bolt": ("s0", "s1")}
DAYS = [FIRST_DAY + timedelta(days=n) for n in range(240)]
REPORTS_FROM = DAYS[40]
LATER = datetime(2024, 9, 1, tzinfo=UTC)
CORRECTIONS = 6
MOST_NOT_NEEDED = 0.05

Where = tuple[str, str, date]
"""Retailer, store (`*`: every store), business day."""
Partition = tuple[str, str, date]
"""Stage, retailer (`*` where it sees everything), business day."""
Content = dict[str, dict[Where, str]]
"""Log → hashes of its live rows, by where they lie."""


@dataclass
class Judged:
    """Partitions of all replays, each with the number of its correction.

    Attributes:
        touched: some row that they read came out otherwise.
        needed: touched, and there is something to compute.
        computed: by the replay.
    """

    touched: set[tuple[int, Partition]] = field(default_factory=set)
    needed: set[tuple[int, Partition]] = field(default_factory=set)
    computed: set[tuple[int, Partition]] = field(default_factory=set)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    home = tmp_path_factory.mktemp("selectivity")
    with in_memory.warehouses_in_memory():
        in_memory.begin(home)
        yield _lived(home)


def test_nothing_that_was_needed_is_left_out(judged: Judged) -> None:
    assert {partition[0] for _, partition in judged.needed} == {stage.name for stage in STAGES}
    assert judged.needed - judged.computed == set()


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_next_to_nothing_is_computed_that_was_not_needed(stage: str, judged: Judged) -> None:
    computed = {found for found in judged.computed if found[1][0] == stage}
    assert len(computed - judged.touched) <= MOST_NOT_NEEDED * len(computed)


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
        home.send("sales", whose, sales_file(row for key, row in sold.items() if key[0] == whose))
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
        _answer(home, whose, sales_file(rows), number, judged)
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
        whose = "*" if stage.span == "everything" else retailer
        for part in parts.filter(asset=stage.name).to_dicts():
            days = (day for day in DAYS if part["first_day"] <= day <= part["last_day"])
            judged.computed |= {(number, (stage.name, whose, day)) for day in days}
        for day, has_work in _touched(stage, retailer, before, after):
            judged.touched.add((number, (stage.name, whose, day)))
            if has_work:
                judged.needed.add((number, (stage.name, whose, day)))


def _content(tx: Transaction) -> Content:
    found: Content = {}
    for contract in {wanted.contract.name: wanted.contract for stage in STAGES for wanted in stage.reads}.values():
        rows = tx.live(contract)
        store = pl.col("store_id") if "store_id" in rows.columns else pl.lit("*")
        told = rows.group_by("retailer", "business_day", store=store).agg(pl.col("row_hash").sort().str.join())
        found[contract.name] = {(r["retailer"], r["store"], r["business_day"]): r["row_hash"] for r in told.to_dicts()}
    return found


def _touched(stage: Stage, retailer: str, before: Content, after: Content) -> Iterator[tuple[date, bool]]:
    """Days of which a row that is read came out otherwise, and whether there is something to compute on them."""
    stores = {(whose, store) for whose in STORES for store in STORES[whose]}
    seen = stores if stage.span == "everything" else {pair for pair in stores if pair[0] == retailer}
    answered = stage.needs[stage.answers].contract.name if stage.answers else None
    asked = {*before[answered], *after[answered]} if answered else None
    changes = [(wanted, where) for wanted in _inputs(stage) for where in _otherwise(wanted, before, after)]
    for day in DAYS if stage.before_reports else DAYS[DAYS.index(REPORTS_FROM) :]:
        for_whom = [s for s in seen if any(_matters(stage, wanted, where, s, day) for wanted, where in changes)]
        if for_whom:
            yield day, asked is None or any((*pair, day) in asked for pair in for_whom)


def _inputs(stage: Stage) -> list[Input]:
    """What it reads that is not what it answers itself: of its own logs, the past."""
    return [wanted for wanted in stage.reads if wanted.past_only or wanted.contract not in stage.writes]


def _otherwise(wanted: Input, before: Content, after: Content) -> set[Where]:
    then, now = before[wanted.contract.name], after[wanted.contract.name]
    return {where for where in then.keys() | now.keys() if then.get(where) != now.get(where)}


def _matters(stage: Stage, wanted: Input, where: Where, store: tuple[str, str], day: date) -> bool:
    """Whether rows that lie somewhere are read for a store's day."""
    retailer, whose, changed = where
    if stage.span != "everything" and retailer != store[0]:
        return False
    is_own = whose == "*" or (retailer, whose) == store
    if not is_own and stage.span == "store":
        return False
    others = wanted.days_before if wanted.others_before is None else wanted.others_before
    behind = (day - changed).days
    nearest = 1 if wanted.past_only else -wanted.days_after
    return nearest <= behind <= (wanted.days_before if is_own else others)
