"""The rules of the three-way comparison, on words and beliefs alone."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrs_assets.contracts.logs.edits import ACTIONS, USER_EDITS
from mrs_assets.contracts.logs.finalised import REVIEW_STATES
from mrs_assets.finalisation.editable import REPORT_FIELDS
from mrs_assets.finalisation.rebase import Belief, Outcome, as_json, conflicts, review_state, three_way
from mrs_assets.finalisation.verdict import fold
from tests.hydration.rows import action, event_id, instant, report_id

VALUES = {
    "final_cause": ("A", "B", "C"),
    "final_cause_category": ("Weather", "Price"),
    "window_start": (instant(0).isoformat(), instant(2).isoformat()),
    "window_end": (instant(5).isoformat(), instant(6).isoformat()),
    "report_group_id": (event_id(1), event_id(2)),
    "cluster_name": ("spike", "dip"),
}

_row = st.builds(
    lambda n, cause, category, start, end, tick, direction, impact, group, cluster: {
        "report_id": report_id(n),
        "proposed_cause": cause,
        "proposed_cause_category": category,
        "confidence_score": 0.5,
        "window_start": instant(start),
        "window_end": end and instant(end),
        "tick": instant(tick),
        "direction": direction,
        "impact_estimate": impact,
        "impact_unit": "money",
        "report_group_id": group and event_id(group),
        "cluster_name": cluster,
    },
    st.integers(1, 2),
    st.sampled_from([None, "unknown", "A", "B", "C"]),
    st.sampled_from([None, "Weather", "Price"]),
    st.integers(0, 2),
    st.sampled_from([None, 5, 6]),
    st.integers(7, 9),
    st.sampled_from(["up", "down"]),
    st.sampled_from([None, -100, 100, 150, 400]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, "spike", "dip"]),
)
_word = st.tuples(
    st.sampled_from([a for a in ACTIONS if a != "undo"]),
    st.sampled_from(list(VALUES)),
    st.integers(0, 2),
    st.integers(0, 4),
    st.sampled_from(["analyst", "manager", "system"]),
    st.none() | _row,
)

Drawn = list[tuple[str, str, int, int, str, dict[str, Any] | None]]


def _said(drawn: Drawn, now: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Belief]]:
    actions, beliefs = [], {}
    for place, (what, field, pick, day, role, saw) in enumerate(drawn):
        value = VALUES[field][pick % len(VALUES[field])] if what == "edit" else "A" if what == "approve" else None
        given_ = {"field": field if what in ("edit", "clear") else None, "value": value, "user_role": role}
        actions.append(action(USER_EDITS, f"a{place}", what, acted_at=instant(day), **given_))
        beliefs[f"a{place}"] = Belief(instant(day) + timedelta(seconds=place), report_id(1), saw, saw and now)
    return actions, beliefs


@pytest.mark.parametrize(
    ("saw", "decided", "now", "outcome"),
    [
        ("A", "B", "A", "carried"),
        ("A", "B", None, "carried"),
        ("A", "B", "B", "agrees"),
        ("A", "A", "A", "agrees"),
        ("A", "B", "C", "conflict"),
        ("A", "A", "B", "conflict"),
        (None, "B", "C", "conflict"),
        (None, "B", None, "carried"),
    ],
)
def test_three_ways(saw: str | None, decided: str | None, now: str | None, outcome: Outcome) -> None:
    assert three_way(saw, decided, now) == outcome


@given(st.lists(_word, max_size=8), _row, st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_irrelevant_and_every_side_is_of_a_word_in_force(
    drawn: Drawn, now: dict[str, Any], chance: random.Random
) -> None:
    actions, beliefs = _said(drawn, now)
    verdict = fold(actions, REPORT_FIELDS)
    sides = conflicts(actions, verdict, beliefs, now)
    shuffled = chance.sample(actions, len(actions))
    assert as_json(conflicts(shuffled, fold(shuffled, REPORT_FIELDS), beliefs, now)) == as_json(sides)
    in_force = {*verdict.held_by.values(), verdict.decided_by}
    for side in sides:
        assert side.action["annotation_id"] in in_force
        assert side.action["user_role"] != "system"
        assert side.now != side.decided
    state = review_state(verdict, sides, beliefs, now)
    assert state in (None, *REVIEW_STATES)
    assert state is not None or not sides
    assert sides or state == verdict.review_state
    assert sides == [] or json.loads(as_json(sides) or "")[0].keys() == {
        *("annotation_id", "actor", "action", "field", "saw", "decided", "now", "acted_at")
    }


@given(st.lists(_word, max_size=8), _row)
def test_who_saw_what_is_true_now_is_never_contradicted(drawn: Drawn, now: dict[str, Any]) -> None:
    now = now | {"report_id": report_id(1)}
    seen_now: Drawn = [(what, field, pick, day, role, now) for what, field, pick, day, role, _ in drawn]
    actions, beliefs = _said([word for word in seen_now if word[0] != "approve"], now)
    assert conflicts(actions, fold(actions, REPORT_FIELDS), beliefs, now) == []


@given(st.lists(_word, max_size=6), _row)
def test_where_nothing_is_known_of_what_was_seen_only_a_named_approval_is_compared(
    drawn: Drawn, now: dict[str, Any]
) -> None:
    actions, _ = _said(drawn, now)
    verdict = fold(actions, REPORT_FIELDS)
    sides = conflicts(actions, verdict, {}, now)
    assert all((side.action["action"], side.field, side.decided) == ("approve", "final_cause", "A") for side in sides)
