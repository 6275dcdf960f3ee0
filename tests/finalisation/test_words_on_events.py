"""A word on an event is where its reports are now, moved by themselves or by hand: cases, and 100 random histories."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import polars as pl
from polars.testing import assert_frame_equal

from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.finalisation.asset_body import finalise_scope
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import LogStore, Transaction
from tests.finalisation.test_finalise_scope import LATER, MARCH, SETTINGS, finalised, record, said, stages
from tests.hydration.rows import PROVENANCE, action, event_id, instant, put, row

HISTORIES, STEPS, REPORTS, EVENT_COUNT = 100, 8, 4, 4


def test_what_is_looked_at_again_is_all_that_changed(store: LogStore) -> None:
    """After each step, looking at everything changes no record and no row of a view; nor does it without any record."""
    chance = random.Random(3)  # noqa: S311 - histories, not secrets
    hydrator = Hydrator(FOLDS)
    with store.transaction() as tx:
        put(tx, DETECTED, *(row(DETECTED, n=n) for n in range(HISTORIES * REPORTS)))
        put(tx, EVENTS, *(row(EVENTS, n=n) for n in range(HISTORIES * EVENT_COUNT)))
        put(tx, COHORTED, *_moves(chance, range(HISTORIES), everyone=True))
        finalise_scope(tx, MARCH, SETTINGS, PROVENANCE)
        hydrator.refresh(tx)
    decided = 0
    for step in range(STEPS):
        with store.transaction() as tx:
            before = tx.newest_write()
            concerned = chance.sample(range(HISTORIES), HISTORIES // 2)
            put(tx, USER_EVENT_EDITS, *(_word(chance, history, step) for history in concerned[::2]))
            put(tx, USER_EDITS, *(_move_by_hand(chance, history, step) for history in concerned[::3]))
            put(tx, COHORTED, *_moves(chance, concerned))
            decided += finalise_scope(tx, LATER, SETTINGS, PROVENANCE, since=before).changed
            assert finalise_scope(tx, MARCH, SETTINGS, PROVENANCE).changed == 0
            hydrator.refresh(tx)
            assert hydrator.refresh(tx, from_scratch=True).changed == 0
    assert decided > HISTORIES
    with store.transaction() as tx:
        known = _records(tx)
        tx.connection.execute(f"DELETE FROM {FINALISED.name}")
        finalise_scope(tx, MARCH, SETTINGS, PROVENANCE)
        assert_frame_equal(_records(tx), known)


def test_a_report_moved_by_hand_takes_no_word_about_its_event_along(store: LogStore) -> None:
    with store.transaction() as tx:
        for n in (1, 2):
            stages(tx, n=n, cohorting={"report_group_id": event_id(1)})
        stages(tx, n=3, cohorting={"report_group_id": event_id(8)})
        put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e1", "approve", 1))
        for n in (1, 2):
            said(tx, f"a{n}", "edit", n, field="report_group_id", value=event_id(8))
        for _ in range(2):  # the second time finds records of reports that lie in the other event
            finalised(tx)
            assert [record(tx, n)["report_group_id"] for n in (1, 2, 3)] == [event_id(8)] * 3
            assert [record(tx, n)["final_decision"] for n in (1, 2, 3)] == [None] * 3


def test_a_report_put_back_by_hand_leaves_the_word_where_the_others_went(store: LogStore) -> None:
    with store.transaction() as tx:
        for n in (1, 2):
            stages(tx, n=n, cohorting={"report_group_id": event_id(1)})
            put(tx, COHORTED, row(COHORTED, n=n, tick=2, report_group_id=event_id(8)))
        put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e1", "approve", 1))
        said(tx, "a1", "edit", 1, field="report_group_id", value=event_id(1))
        for _ in range(2):
            finalised(tx)
            assert [record(tx, n)["report_group_id"] for n in (1, 2)] == [event_id(1), event_id(8)]
            assert [record(tx, n)["final_decision"] for n in (1, 2)] == ["approved", "approved"]


def test_a_word_reaches_who_is_by_hand_where_its_reports_went(store: LogStore) -> None:
    with store.transaction() as tx:
        stages(tx, n=1, cohorting={"report_group_id": event_id(1)})
        stages(tx, n=2, cohorting={"report_group_id": event_id(2)})
        stages(tx, n=3, cohorting={"report_group_id": event_id(8)})
        put(tx, USER_EVENT_EDITS, action(USER_EVENT_EDITS, "e1", "approve", 1))
        said(tx, "a2", "edit", 2, field="report_group_id", value=event_id(8))
        finalised(tx)
        assert record(tx, 2)["final_decision"] is None
        put(tx, COHORTED, row(COHORTED, n=1, tick=2, report_group_id=event_id(8)))
        finalised(tx, LATER)
        assert [record(tx, n)["final_decision"] for n in (1, 2, 3)] == ["approved"] * 3


def _records(tx: Transaction) -> pl.DataFrame:
    return tx.live(FINALISED).select(*FINALISED.body).drop(FINALISED.lineage)


def _moves(chance: random.Random, histories: Sequence[int], *, everyone: bool = False) -> list[dict[str, Any]]:
    """Some reports of each history, each put into any event of the same history."""
    return [
        row(COHORTED, n=history * REPORTS + n, report_group_id=_any_event(chance, history))
        for history in histories
        for n in range(REPORTS)
        if everyone or chance.random() < 0.2
    ]


def _word(chance: random.Random, history: int, step: int) -> dict[str, Any]:
    what, undone = chance.choice(("approve", "reject", "edit", "undo")), f"a-{history}-{chance.randrange(step + 1)}"
    about = chance.randrange(EVENT_COUNT) + history * EVENT_COUNT
    return action(
        USER_EVENT_EDITS,
        f"a-{history}-{step}",
        what,
        about,
        field="final_cause" if what == "edit" else None,
        value=f"cause {step}" if what == "edit" else None,
        undoes=undone if what == "undo" else None,
        acted_at=instant(10 + step),
    )


def _move_by_hand(chance: random.Random, history: int, step: int) -> dict[str, Any]:
    report, clears = history * REPORTS + chance.randrange(REPORTS), chance.random() < 0.3
    return action(
        USER_EDITS,
        f"m-{history}-{step}",
        "clear" if clears else "edit",
        report,
        field="report_group_id",
        value=None if clears else _any_event(chance, history),
        acted_at=instant(10 + step),
    )


def _any_event(chance: random.Random, history: int) -> str:
    return event_id(history * EVENT_COUNT + chance.randrange(EVENT_COUNT))
