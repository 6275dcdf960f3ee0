"""When something is news, when it is over, and when it is neither."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.alerting.condition import Condition, Look
from mrs_assets.alerting.fold import changes
from mrs_assets.alerting.note import by_alert, open_alerts
from mrs_assets.contracts.alerting import Alerting
from tests.alerting.faults import MORNING, Told, condition, fault_day

HOLD = Alerting().hold_down_minutes
LONGEST = Alerting().longest_hold_down_minutes


def test_an_alert_opens_once_and_is_over_once() -> None:
    told = Told()
    for minute in range(0, 60, 5):
        told.look(minute, condition("feed"))
    for minute in range(60, 120, 5):
        told.look(minute)
    assert [(note.state, note.noted_at.minute, note.noted_at.hour) for note in told.told] == [
        ("open", 0, 6),
        ("resolved", 30, 7),
    ]
    assert len({note.alert_id for note in told.notes}) == 1
    assert open_alerts(told.notes) == []


def test_coming_back_within_the_hold_down_is_no_news() -> None:
    told = Told()
    told.look(0, condition("feed"))
    told.look(5)
    told.look(5 + HOLD - 1, condition("feed"))
    told.look(5 + HOLD, condition("feed"))
    assert [note.state for note in told.told] == ["open"]
    assert [note.alert_id for note in open_alerts(told.notes)] == [told.notes[0].alert_id]


def test_what_comes_and_goes_slowly_is_held_longer_each_time() -> None:
    told = Told()
    for minute in range(0, 1440, 5):
        on = minute // 35 % 2 == 0
        told.look(minute, *([condition("feed")] if on else []))
    assert Counter(note.state for note in told.told) == {"open": 2, "resolved": 1}


def test_being_worse_is_told_at_once_and_being_as_bad_again_is_not() -> None:
    told = Told()
    for minute, severity in enumerate(["warn", "error", "warn", "error", "page", "error", "page"]):
        told.look(minute, condition("feed", severity))  # type: ignore[arg-type]
    assert [note.severity for note in told.told] == ["warn", "error", "page"]


def test_growth_is_told_by_the_step_and_no_more_often_than_the_hold_down() -> None:
    told = Told()
    for minute in range(100):
        told.look(minute, condition("event", size=100.0 + 2 * minute))
    assert [note.size for note in told.told] == [100, 160, 240]


def test_a_new_version_with_the_same_conclusion_is_no_news_and_another_conclusion_is() -> None:
    told = Told()
    told.look(0, condition("event", size=100, conclusion="Promotion", body="first"))
    told.look(60, condition("event", size=104, conclusion="Promotion", body="computed again"))
    assert [note.body for note in told.fresh] == ["computed again"]
    told.look(120, condition("event", size=104, conclusion="Competitor stockout", body="computed again"))
    assert [note.conclusion for note in told.told] == ["Promotion", "Competitor stockout"]


def test_an_open_page_is_told_again_after_a_while_and_a_warning_is_not() -> None:
    told = Told()
    for minute in range(0, 1440, 5):
        told.look(minute, condition("sensor", "page"), condition("feed", "warn"))
    counts = Counter(note.fingerprint for note in told.told)
    assert counts == {"sensor": 6, "feed": 1}


def test_a_child_is_kept_and_not_told_while_its_parent_is_open_and_told_when_it_outlives_it() -> None:
    told = Told()
    parent, child = condition("feed"), condition("coverage", parents=("feed",))
    told.look(0, parent, child)
    assert [note.fingerprint for note in told.told] == ["feed"]
    for minute in range(10, 60, 10):
        told.look(minute, child)
    assert [(note.fingerprint, note.state) for note in told.told] == [
        ("feed", "open"),
        ("coverage", "updated"),
        ("feed", "resolved"),
    ]


def test_a_child_that_ends_with_its_parent_is_never_told() -> None:
    told = Told()
    told.look(0, condition("feed"), condition("coverage", parents=("feed",)))
    told.look(10)
    told.look(10 + HOLD)
    assert {note.fingerprint for note in told.told} == {"feed"}
    assert open_alerts(told.notes) == []


def test_a_child_that_was_told_before_its_parent_came_is_told_to_be_over() -> None:
    told = Told()
    told.look(0, condition("coverage", parents=("feed",)))
    told.look(5, condition("coverage", parents=("feed",)), condition("feed", "error"))
    told.look(10)
    told.look(10 + HOLD)
    assert Counter((note.fingerprint, note.state) for note in told.told) == {
        ("coverage", "open"): 1,
        ("feed", "open"): 1,
        ("coverage", "resolved"): 1,
        ("feed", "resolved"): 1,
    }


def test_what_nobody_can_judge_is_neither_there_nor_gone() -> None:
    told = Told()
    told.look(0, condition("coverage"))
    for minute in (10, 100, 200):
        assert told.look(minute, unknown=frozenset({"coverage"})) == []


def test_a_known_ending_needs_no_hold_down() -> None:
    told = Told()
    told.look(0, condition("event"))
    told.look(5, endings={"event": "data correction"})
    assert [(note.state, note.body) for note in told.told][1:] == [("resolved", "data correction")]


def test_a_rule_that_did_not_look_ends_nothing() -> None:
    told = Told()
    told.look(0, condition("feed"))
    another = Look(frozenset({"another"}))
    for minutes in (60, 600):
        assert changes(told.notes, another, MORNING + timedelta(minutes=minutes), told.policy) == []


CONDITIONS = st.lists(
    st.builds(
        lambda n, severity, size, conclusion, parent: condition(
            f"c{n}",
            severity,
            size=size,
            conclusion=conclusion,
            parents=(f"c{parent}",) if parent is not None and parent < n else (),
        ),
        st.integers(0, 4),
        st.sampled_from(["info", "warn", "error", "page"]),
        st.floats(0, 1000),
        st.sampled_from([None, "a", "b"]),
        st.none() | st.integers(0, 3),
    ),
    max_size=6,
)
LOOKS = st.lists(st.tuples(st.floats(0.1, 300), CONDITIONS), min_size=1, max_size=25)


@settings(max_examples=150, deadline=None)
@given(LOOKS)
def test_any_history_ends_with_everything_resolved_and_tells_only_changes(
    looks: list[tuple[float, list[Condition]]],
) -> None:
    told, minute = Told(), 0.0
    for pause, found in looks:
        minute += pause
        told.look(minute, *found)
        assert told.look(minute, *found) == []  # the same look again: nothing
    for _ in range(3):
        minute += LONGEST
        told.look(minute)
    assert open_alerts(told.notes) == []
    for notes in by_alert(told.notes).values():
        assert [note.change for note in notes] == list(range(1, len(notes) + 1))
        assert [note.state for note in notes].count("resolved") == 1
        spoken = [note for note in notes if note.tells]
        if spoken:
            assert spoken[-1].state == "resolved"  # who heard that it began hears that it is over
        for before, after in pairwise(spoken):
            silent = (after.noted_at - before.noted_at).total_seconds() / 60
            repeated = after.severity == "page" and silent >= told.policy.repeat_minutes
            differs = any(
                getattr(before, name) != getattr(after, name) for name in ("state", "severity", "size", "conclusion")
            )
            assert differs or repeated


@pytest.mark.parametrize("seed", range(20))
def test_grouping_tells_a_small_part_of_a_bad_day(seed: int) -> None:
    told, raw = Told(), 0
    seen: set[tuple[str, int]] = set()
    for minute, found in fault_day(seed):
        fresh = {(one.fingerprint, n) for n, one in enumerate(found)} - seen
        raw += len(fresh)
        seen = {(one.fingerprint, n) for n, one in enumerate(found)}
        told.look(minute, *found)
    assert told.told
    assert len(told.told) <= 0.3 * raw
