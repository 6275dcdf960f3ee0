from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrs_assets.contracts.logs.edits import ACTIONS, USER_EDITS
from mrs_assets.contracts.logs.finalised import FINAL_DECISIONS
from mrs_assets.finalisation.editable import REPORT_FIELDS
from mrs_assets.finalisation.verdict import Verdict, combined, fold
from tests.hydration.rows import action, event_id, instant


def said(annotation_id: str, what: str, day: int = 0, **values: Any) -> dict[str, Any]:
    filled = {"field": None, "value": None} | values
    return action(USER_EDITS, annotation_id, what, acted_at=instant(day), **filled)


def verdict(*actions: dict[str, Any]) -> Verdict:
    return fold(actions, REPORT_FIELDS)


_any_action = st.builds(
    lambda what, field, value, day, role: {"what": what, "field": field, "value": value, "day": day, "user_role": role},
    st.sampled_from([a for a in ACTIONS if a != "undo"]),
    st.sampled_from([*REPORT_FIELDS, "nonsense", None]),
    st.sampled_from(["Rain", "Weather", "", None, event_id(3), "2024-05-01T08:00:00+01:00", "yesterday"]),
    st.integers(0, 3),
    st.sampled_from(["analyst", "manager", "system"]),
)


@given(st.lists(_any_action, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_irrelevant(actions: list[dict[str, Any]], chance: random.Random) -> None:
    rows = [said(f"a{i}", a.pop("what"), a.pop("day"), **a) for i, a in enumerate(map(dict, actions))]
    shuffled = chance.sample(rows, len(rows))
    assert verdict(*rows) == verdict(*shuffled)
    assert verdict(*rows).decision in (None, *FINAL_DECISIONS)


@given(st.lists(_any_action, min_size=1, max_size=8))
def test_a_policy_never_changes_what_people_decided(actions: list[dict[str, Any]]) -> None:
    rows = [said(f"a{i}", a.pop("what"), a.pop("day"), **a) for i, a in enumerate(map(dict, actions))]
    people = verdict(*(row for row in rows if row["user_role"] != "system"))
    everyone = verdict(*rows)
    if people.spoke:
        assert (everyone.decision, everyone.decided_by) == (people.decision, people.decided_by)
    assert {**everyone.fields, **people.fields} == everyone.fields


def test_the_last_word_decides() -> None:
    approve, reject = said("a1", "approve", 1), said("a2", "reject", 2)
    assert verdict(reject, approve).decision == "rejected"
    assert verdict(reject, approve).decided_at == instant(2)
    same_moment = [said("b", "approve", 1), said("a", "reject", 1)]
    assert verdict(*same_moment).decided_by == "b"


def test_an_edit_decides_until_it_is_cleared() -> None:
    edit = said("a1", "edit", 1, field="final_cause", value=" Rain ")
    assert verdict(edit).decision == "edited"
    assert verdict(edit).fields == {"final_cause": "Rain"}
    cleared = verdict(edit, said("a2", "clear", 2, field="final_cause"))
    assert (cleared.decision, cleared.fields, cleared.issues) == (None, {}, frozenset())
    assert verdict(said("a2", "clear", 2, field="final_cause")).issues == {"nothing_to_clear"}


def test_moving_the_window_is_not_a_verdict() -> None:
    moved = verdict(said("a1", "edit", field="window_start", value="2024-05-01T08:00:00+01:00"))
    assert moved.fields == {"window_start": datetime(2024, 5, 1, 7, tzinfo=UTC)}
    assert (moved.decision, moved.spoke) == (None, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window_start", "2024-05-01T08:00:00"),
        ("window_end", "soon"),
        ("final_cause", "   "),
        ("final_cause", "x" * 257),
        ("final_cause_category", "Aliens"),
        ("report_group_id", "ME-1"),
        ("cluster_name", None),
    ],
)
def test_an_unusable_value_is_shown_and_not_applied(field: str, value: str | None) -> None:
    outcome = verdict(said("a1", "edit", field=field, value=value))
    assert (outcome.fields, outcome.issues, outcome.decision) == ({}, {f"unusable_{field}"}, None)


def test_an_unusable_edit_leaves_the_one_before_in_place() -> None:
    good, bad = (said(f"a{n}", "edit", n, field="final_cause", value=v) for n, v in enumerate(("Rain", "")))
    assert verdict(good, bad).fields == {"final_cause": "Rain"}


def test_review_states() -> None:
    assert verdict(said("a1", "request_review")).review_state == "requested"
    assert verdict(said("a1", "request_review"), said("a2", "approve", 1)).review_state is None
    reopened = verdict(said("a1", "approve"), said("a2", "reopen", 1), said("a3", "add_evidence", 2))
    assert (reopened.review_state, reopened.decision, reopened.evidence_count) == ("reopened", None, 1)
    assert verdict(said("a1", "defer")).decision == "deferred"


def test_a_word_about_the_report_goes_before_a_word_about_its_event() -> None:
    about_event = verdict(said("e1", "edit", 5, field="final_cause", value="Rain"), said("e2", "reject", 6))
    about_report = verdict(said("r1", "edit", 1, field="final_cause", value="Till fault"))
    both = combined(about_report, about_event)
    assert (both.decision, both.fields["final_cause"]) == ("edited", "Till fault")
    assert combined(Verdict(), about_event).decision == "rejected"
    reopened = combined(verdict(said("r1", "reopen", 1)), about_event)
    assert (reopened.decision, reopened.review_state) == (None, "reopened")
