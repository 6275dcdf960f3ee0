"""Whatever happens to the logs: refreshing by parts equals rebuilding, and the past stays what it was."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.rereview import REATTRIBUTED
from mrs_assets.contracts.views import VIEWS
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from tests.conftest import SteppingClock
from tests.hydration.rows import PROVENANCE, action, event_id, instant, put, replace_all, row

HYDRATOR = Hydrator(FOLDS)
REPORTS, EVENT_COUNT, TICKS = 3, 2, 3

Step = Callable[[Transaction], Any]
Cell = tuple[int, int, int]
"""Report, tick, and which event or value."""

_cell = st.tuples(st.integers(1, REPORTS), st.integers(1, TICKS), st.integers(1, EVENT_COUNT))
_cells = st.lists(_cell, max_size=5, unique_by=lambda c: c[:2])


def _rows(contract: Contract, cells: list[Cell]) -> list[dict[str, Any]]:
    if contract is EVENTS:
        return [row(EVENTS, n=event, tick=tick) for tick, event in sorted({(t, e) for _, t, e in cells})]
    if contract in (ENDED, FINALISED):
        by_report = {n: (n, tick, event) for n, tick, event in cells}
        return [_row(contract, *cell) for cell in by_report.values()]
    return [_row(contract, *cell) for cell in cells]


def _row(contract: Contract, n: int, tick: int, event: int) -> dict[str, Any]:
    values: dict[Contract, dict[str, Any]] = {
        DETECTED: {"severity_score": float(event)},
        COHORTED: {"report_group_id": event_id(event)},
        ATTRIBUTED: {
            "proposed_cause": f"cause {event}",
            "is_degraded": event == 2,
            "degraded_reasons": ["x"] * (event - 1),
        },
        FINALISED: {"report_group_id": event_id(event), "source_used_group_id": "ui" if tick == 3 else "cohort"},
    }
    return row(contract, n=n, tick=tick, **values.get(contract, {}))


def _steps() -> st.SearchStrategy[Step]:
    logs = st.sampled_from(
        [DETECTED, DETECTED, COHORTED, COHORTED, EVENTS, ATTRIBUTED, CLUSTERED, ENDED, FINALISED, REATTRIBUTED]
    )
    write = st.builds(
        lambda log, cells, everything: lambda tx: (replace_all if everything else put)(tx, log, *_rows(log, cells)),
        logs,
        _cells,
        st.booleans(),
    )
    said = st.builds(
        lambda which, what, event, minute: (
            lambda tx: put(
                tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, f"a{which}", what, n=event, undoes=f"a{minute}")
            )
        ),
        st.integers(0, 4),
        st.sampled_from(["approve", "reject", "undo", "add_evidence"]),
        st.integers(1, EVENT_COUNT),
        st.integers(0, 4),
    )
    return st.one_of(write, write, write, said)


def _views(tx: Transaction, instant_: Any = None) -> list[pl.DataFrame]:
    return [HYDRATOR.as_of(tx, view, instant_) for view in VIEWS]


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_steps(), min_size=2, max_size=5))
def test_a_refresh_equals_a_rebuild_and_the_past_stays(steps: list[Step]) -> None:
    """The table after each step is compared with what the logs alone say of that instant, when all is written."""
    with tempfile.TemporaryDirectory() as home:
        store, remembered = LogStore(Path(home), SteppingClock()), []
        for step in steps:
            with store.transaction() as tx:
                step(tx)
                refreshed = HYDRATOR.refresh(tx)
                tables = [HYDRATOR.current(tx, view) for view in VIEWS]
                remembered.append((refreshed.hydrated_to, tables))
        with store.transaction() as tx:
            for moment, tables in remembered:
                for table, then in zip(tables, _views(tx, moment), strict=True):
                    assert moment is None or table.equals(then)
            assert HYDRATOR.refresh(tx, from_scratch=True).changed == 0


def test_only_what_a_write_touches_is_computed_again(store: LogStore) -> None:
    with store.transaction() as tx:
        put(tx, DETECTED, *(row(DETECTED, n=n) for n in range(1, 21)))
        assert HYDRATOR.refresh(tx)["minority_reports"].rebuilt
        put(tx, DETECTED, row(DETECTED, n=3, severity_score=7.0))
        put(tx, ATTRIBUTED, row(ATTRIBUTED, n=4))
        reports = HYDRATOR.refresh(tx)["minority_reports"]
    assert (reports.rebuilt, reports.recomputed, reports.changed, reports.rows) == (False, 2, 2, 20)


def test_a_row_that_comes_out_the_same_is_not_a_change(store: LogStore) -> None:
    with store.transaction() as tx:
        put(tx, DETECTED, row(DETECTED, tick=3))
        HYDRATOR.refresh(tx)
        put(tx, DETECTED, row(DETECTED, tick=1))
        reports = HYDRATOR.refresh(tx)["minority_reports"]
    assert (reports.recomputed, reports.changed) == (1, 0)


def test_a_report_retracted_everywhere_is_gone(store: LogStore) -> None:
    with store.transaction() as tx:
        for contract in (DETECTED, CLUSTERED, COHORTED):
            put(tx, contract, row(contract))
        HYDRATOR.refresh(tx)
        for contract in (DETECTED, CLUSTERED, COHORTED):
            replace_all(tx, contract)
        reports = HYDRATOR.refresh(tx)["minority_reports"]
    assert (reports.rows, reports.changed) == (0, 1)


def test_a_past_instant_shows_the_namespace_of_then(store: LogStore) -> None:
    with store.transaction() as tx:
        put(tx, DETECTED, row(DETECTED))
        before = HYDRATOR.refresh(tx).hydrated_to
    with store.transaction() as tx:
        tx.start_run("run-0002", instant(0), PROVENANCE)
    with store.transaction() as tx:
        HYDRATOR.refresh(tx)
        assert HYDRATOR.as_of(tx, VIEWS[0], None).height == 0
        assert HYDRATOR.as_of(tx, VIEWS[0], before).height == 1
