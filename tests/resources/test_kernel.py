"""The append kernel's promises, seen through the logs that it writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mrs_assets.contracts.errors import ContractBroken
from mrs_assets.contracts.ids import report_id
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.scope import Scope
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, LogStore
from tests.conftest import SteppingClock
from tests.examples import example_rows

WRITER = Provenance("test", "1")
MARCH = Scope(date(2024, 3, 1), date(2024, 3, 31), "acme")


def series(units: dict[tuple[str, int], float | None]) -> pl.DataFrame:
    """Series rows: (store, day of March) → units."""
    rows: list[dict[str, Any]] = [
        {
            "retailer": "acme",
            "business_day": date(2024, 3, day),
            "store_id": store,
            "sku": "milk",
            "ts": datetime(2024, 3, day, tzinfo=UTC),
            "units": value,
            "coverage": "missing" if value is None else "received",
            "quality_flags": [],
        }
        for (store, day), value in units.items()
    ]
    return (
        SALES_TIMESERIES.conform(pl.DataFrame(rows, schema_overrides={"units": pl.Float64}))
        if rows
        else (SALES_TIMESERIES.empty())
    )


def offer(store: LogStore, units: dict[tuple[str, int], float | None], scope: Scope = MARCH) -> Any:
    with store.transaction() as tx:
        return tx.append(SALES_TIMESERIES, series(units), scope, WRITER)


def live_units(store: LogStore) -> dict[tuple[str, int], float | None]:
    with store.transaction() as tx:
        return units_of(tx.live(SALES_TIMESERIES))


def units_of(rows: pl.DataFrame) -> dict[tuple[str, int], float | None]:
    told = rows.select("store_id", pl.col("ts").dt.day(), pl.col("units").cast(pl.Float64)).rows()
    return {(store, day): units for store, day, units in told}


def test_a_changed_row_becomes_the_next_version_and_the_old_one_stays(store: LogStore) -> None:
    offer(store, {("s1", 1): 5, ("s1", 2): 6})
    result = offer(store, {("s1", 1): 5, ("s1", 2): 7})
    assert (result.appended, result.unchanged, result.days) == (1, 1, (date(2024, 3, 2),))
    with store.transaction() as tx:
        history = tx.history(SALES_TIMESERIES)
    assert history.select("units", "version").rows()[1:] == [(6, 1), (7, 2)]


def test_what_changed_in_some_columns_is_told_apart_from_what_changed_in_others(store: LogStore) -> None:
    offer(store, {("s1", 1): 5, ("s2", 1): 5, ("s3", 1): 5, ("s4", 1): None, ("s5", 1): 5})
    with store.transaction() as tx:
        since = tx.newest_write(SALES_TIMESERIES)
    offer(store, {("s1", 1): 6, ("s2", 1): 5, ("s4", 1): 5, ("s5", 1): None, ("s6", 1): 5})
    with store.transaction() as tx:
        between = tx.newest_write(SALES_TIMESERIES)
    offer(store, {("s1", 1): 7, ("s2", 1): 5, ("s4", 1): 6, ("s5", 1): 5, ("s6", 1): 6})
    assert since is not None
    assert between is not None
    with store.transaction() as tx:
        changed = {columns: tx.changed(SALES_TIMESERIES, since, "acme", columns) for columns in (None, ("coverage",))}
        later = tx.changed(SALES_TIMESERIES, between, "acme", ("coverage",))
    assert changed[None]["store_id"].to_list() == ["s1", "s3", "s4", "s5", "s6"]
    # s3 is gone, s4 and s6 came, s5 is as it was but was not in between; of s1 the units alone are others.
    told = changed["coverage",].select("store_id", "written_at").rows()
    assert [whose for whose, _ in told] == ["s3", "s4", "s5", "s6"]
    assert {whose: at > between for whose, at in told} == {"s3": False, "s4": False, "s5": True, "s6": False}
    assert later["store_id"].to_list() == ["s5"]


def test_a_key_that_the_whole_truth_no_longer_holds_is_retracted(store: LogStore) -> None:
    offer(store, {("s1", 1): 5, ("s1", 2): 6})
    assert offer(store, {("s1", 1): 5}).retracted == 1
    assert live_units(store) == {("s1", 1): 5}
    assert offer(store, {("s1", 1): 5}).changed == 0


def test_a_value_that_returns_after_two_changes_is_seen(store: LogStore) -> None:
    for value in (5, 6, 5):
        assert offer(store, {("s1", 1): value}).appended == 1
    assert live_units(store) == {("s1", 1): 5}


def test_a_retracted_key_comes_back_as_a_new_version(store: LogStore) -> None:
    offer(store, {("s1", 1): 5})
    offer(store, {})
    assert offer(store, {("s1", 1): 5}).appended == 1
    with store.transaction() as tx:
        assert tx.history(SALES_TIMESERIES)["version"].to_list() == [1, 2, 3]


def test_what_lies_outside_the_scope_is_left_alone(store: LogStore) -> None:
    offer(store, {("s1", 1): 5, ("s2", 1): 8, ("s1", 9): 4})
    offer(store, {}, Scope(date(2024, 3, 1), date(2024, 3, 5), "acme", ("s1",)))
    assert live_units(store) == {("s2", 1): 8, ("s1", 9): 4}


def test_an_incomplete_frame_retracts_nothing(store: LogStore) -> None:
    offer(store, {("s1", 1): 5, ("s1", 2): 6})
    offer(store, {("s1", 3): 1}, replace(MARCH, complete=False))
    assert set(live_units(store)) == {("s1", 1), ("s1", 2), ("s1", 3)}


def test_rows_outside_their_scope_are_refused_whole(store: LogStore) -> None:
    with pytest.raises(ContractBroken, match="outside"):
        offer(store, {("s1", 1): 5, ("s1", 9): 5}, Scope(date(2024, 3, 1), date(2024, 3, 5), "acme"))
    assert live_units(store) == {}


def test_null_is_kept_apart_from_zero(store: LogStore) -> None:
    offer(store, {("s1", 1): None})
    assert offer(store, {("s1", 1): 0}).appended == 1
    assert live_units(store) == {("s1", 1): 0}


def test_two_claims_on_one_key_keep_one_and_dead_letter_the_other(store: LogStore) -> None:
    twice = pl.concat([series({("s1", 1): 5}), series({("s1", 1): 6}), series({("s1", 1): 6})])
    with store.transaction() as tx:
        result = tx.append(SALES_TIMESERIES, twice, MARCH, WRITER)
        letters = tx.query(f"SELECT error_code, raw_payload FROM {SALES_TIMESERIES.name}_errors")
    assert (result.offered, result.appended, result.unchanged + result.rejected) == (3, 1, 2)
    assert letters["error_code"].to_list() == ["conflicting_key"] * result.rejected
    assert result.rejected in (1, 2)


def test_an_append_that_fails_leaves_nothing(store: LogStore) -> None:
    def interrupted() -> None:
        with store.transaction() as tx:
            tx.append(SALES_TIMESERIES, series({("s1", 1): 5}), MARCH, WRITER)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        interrupted()
    assert live_units(store) == {}


def test_time_goes_on_even_when_the_clock_steps_back(store: LogStore, clock: SteppingClock) -> None:
    offer(store, {("s1", 1): 5})
    clock.now -= timedelta(hours=3)
    offer(store, {("s1", 1): 6})
    with store.transaction() as tx:
        first, second = tx.history(SALES_TIMESERIES)["written_at"]
        assert first < second <= tx.now


def test_rows_of_one_report_are_told_apart_by_when_they_were_written(store: LogStore) -> None:
    same = report_id("acme", "s1", "milk", datetime(2024, 3, 1, tzinfo=UTC))
    rows = example_rows(DETECTED, 4).with_columns(report_id=pl.lit(same), store_id=pl.lit("s1"), sku=pl.lit("milk"))
    with store.transaction() as tx:
        tx.append(DETECTED, rows, MARCH, WRITER)
    with store.transaction() as tx:
        tx.append(DETECTED, rows.head(2).with_columns(scan_z=pl.lit(9.0)), MARCH, WRITER)
        history = tx.history(DETECTED)
    key = ["report_id", "written_at", "version", "store_id", "sku"]
    assert history.height == 8
    assert history.unique(key).height == 8


def test_a_namespace_sees_only_its_own_rows(store: LogStore) -> None:
    offer(store, {("s1", 1): 5})
    with store.transaction() as tx:
        tx.start_run("run-0002", tx.now, WRITER)
    assert live_units(store) == {}
    with store.transaction() as tx:
        assert tx.run_id == "run-0002"
        assert tx.live(SALES_TIMESERIES, run_id="run-0001").height == 1


frames = st.dictionaries(
    st.tuples(st.sampled_from(["s1", "s2"]), st.integers(1, 6)), st.none() | st.integers(0, 3).map(float), max_size=8
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(frames, min_size=1, max_size=5))
def test_the_live_state_is_the_last_whole_truth_and_the_past_never_changes(
    history: list[dict[tuple[str, int], float | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = LogStore(Path(tmp_path_factory.mktemp("kernel")), SteppingClock())
    beliefs = []
    for units in history:
        offer(store, units)
        assert offer(store, units).changed == 0
        with store.transaction() as tx:
            beliefs.append((tx.now, tx.live(SALES_TIMESERIES)))
        assert units_of(beliefs[-1][1]) == units
    with store.transaction() as tx:
        for instant, belief in beliefs:
            assert_frame_equal(tx.live(SALES_TIMESERIES, as_of=instant), belief)
        rows = tx.history(SALES_TIMESERIES)
    assert rows.unique(["run_id", *SALES_TIMESERIES.key, "version"]).height == rows.height


def test_a_row_that_comes_to_lie_on_another_day_is_found_there(store: LogStore) -> None:
    closure = example_rows(ENDED, 1)
    noted_earlier = closure.with_columns(pl.col("business_day") - timedelta(days=2))
    for rows in (closure, noted_earlier):
        with store.transaction() as tx:
            tx.append(ENDED, rows, replace(EVER, complete=False), WRITER)
    with store.transaction() as tx:
        assert tx.live(ENDED)["business_day"].to_list() == noted_earlier["business_day"].to_list()
        assert tx.append(ENDED, noted_earlier, replace(EVER, complete=False), WRITER).changed == 0
