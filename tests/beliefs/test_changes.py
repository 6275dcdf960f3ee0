"""Two states are told apart field by field, whatever their values; what is told leads from one to the other."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from mrs_assets.beliefs.changes import as_text, changes

STATES = st.dictionaries(
    st.sampled_from(["a", "b", "c", "'; DROP"]),
    st.tuples(
        st.none() | st.integers(-3, 3), st.none() | st.text(max_size=3), st.none() | st.lists(st.sampled_from("xy"))
    ),
    max_size=4,
)
SCHEMA = {"key": pl.String, "n": pl.Int64, "text": pl.String, "many": pl.List(pl.String)}
FIELDS = ["n", "text", "many"]


def frame(state: dict[str, tuple[object, ...]]) -> pl.DataFrame:
    return pl.DataFrame([(key, *values) for key, values in state.items()], schema=SCHEMA, orient="row")


@settings(deadline=None)
@given(STATES, STATES)
def test_what_is_told_leads_from_one_state_to_the_other(
    earlier: dict[str, tuple[object, ...]], later: dict[str, tuple[object, ...]]
) -> None:
    before, after = (
        {
            (key, name): as_text(value)
            for key, values in state.items()
            for name, value in zip(FIELDS, values, strict=True)
        }
        for state in (earlier, later)
    )
    told = list(changes(["key"], FIELDS, frame(earlier), frame(later)))
    for change in told:
        assert before.get((change.key[0], change.field)) == change.before != change.after
        before[change.key[0], change.field] = change.after
        there = (change.key[0] in earlier, change.key[0] in later)
        assert there == {"changed": (True, True), "appeared": (False, True), "vanished": (True, False)}[change.kind]
    assert {k: v for k, v in before.items() if v is not None} == {k: v for k, v in after.items() if v is not None}
    assert [change.key for change in told] == sorted(change.key for change in told)


def test_values_are_told_without_loss() -> None:
    values = [None, True, Decimal("1.10"), 0.1, date(2024, 2, 29), datetime(2024, 5, 1, 8, tzinfo=UTC), ["a", "ä"]]
    told = [None, "true", "1.10", "0.1", "2024-02-29", "2024-05-01T08:00:00Z", '["a", "ä"]']
    assert [as_text(value) for value in values] == told
