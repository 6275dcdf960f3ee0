"""Error budgets: what holds for every history, and the rates of the workbook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrs_assets.slo.budgets import DAILY, INTRADAY, budget_of_days, budget_of_time, in_words

NOW = datetime(2024, 6, 29, 12, tzinfo=UTC)
PERIOD = timedelta(days=28)
SHARE = 0.05
INSTANT = pl.Datetime("us", "UTC")

hours_ago = st.integers(min_value=0, max_value=40 * 24)
judgements = st.lists(st.tuples(hours_ago, st.booleans()), max_size=60)
spans = st.lists(st.tuples(st.integers(0, 40 * 24 * 60), st.sampled_from(["met", "breached", "unknown"])), max_size=30)


def judged(entries: list[tuple[int, bool]]) -> pl.DataFrame:
    rows = [{"at": NOW - timedelta(hours=ago), "bad": bad} for ago, bad in entries]
    return pl.DataFrame(rows, schema={"at": INSTANT, "bad": pl.Boolean})


def history(entries: list[tuple[int, str]]) -> pl.DataFrame:
    rows = [{"since": NOW - timedelta(minutes=ago), "state": state} for ago, state in entries]
    return pl.DataFrame(rows, schema={"since": INSTANT, "state": pl.String})


@given(judgements)
def test_what_is_left_is_what_was_not_spent(entries: list[tuple[int, bool]]) -> None:
    budget = budget_of_days(judged(entries), NOW, SHARE, PERIOD)
    inside = [bad for ago, bad in entries if ago < 28 * 24]
    if not inside:
        assert budget.left is None
    else:
        assert budget.left == pytest.approx(max(0, 1 - sum(inside) / len(inside) / SHARE))


@given(judgements, hours_ago)
def test_one_more_bad_day_never_leaves_more(entries: list[tuple[int, bool]], ago: int) -> None:
    before = budget_of_days(judged(entries), NOW, SHARE, PERIOD)
    after = budget_of_days(judged([*entries, (ago, True)]), NOW, SHARE, PERIOD)
    if before.left is not None and after.left is not None:
        assert after.left <= before.left + 1e-12


@given(judgements)
def test_all_good_days_spend_nothing(entries: list[tuple[int, bool]]) -> None:
    budget = budget_of_days(judged([(ago, False) for ago, _ in entries]), NOW, SHARE, PERIOD)
    assert budget.burn == "none"
    assert budget.left in (None, 1.0)


@given(judgements, st.randoms())
def test_the_order_of_days_is_irrelevant(entries: list[tuple[int, bool]], rng: object) -> None:
    mixed = list(entries)
    rng.shuffle(mixed)  # type: ignore[attr-defined]
    assert budget_of_days(judged(entries), NOW, SHARE, PERIOD) == budget_of_days(judged(mixed), NOW, SHARE, PERIOD)


@given(spans)
def test_time_is_spent_minute_by_minute(entries: list[tuple[int, str]]) -> None:
    told = dict(sorted(entries, reverse=True))
    budget = budget_of_time(history(list(told.items())), NOW, SHARE, PERIOD)
    minutes = []
    for ago in range(28 * 24 * 60, 0, -60):
        begun = [since for since in told if since >= ago]
        minutes.append(told[min(begun)] if begun else "unknown")
    known = [state for state in minutes if state != "unknown"]
    if budget.left is not None and len(known) > 200:
        share = known.count("breached") / len(known)
        assert budget.left == pytest.approx(max(0, 1 - share / SHARE), abs=len(told) / len(known) / SHARE + 0.02)


@pytest.mark.parametrize(
    ("breached_since", "well_since", "burn"),
    [
        (61, None, "fast"),  # an hour long, and still
        (30, None, "none"),  # half an hour is 10 × over an hour
        (61, 10, "none"),  # over for longer than the short window of the pager
        (5 * 60, 60, "slow"),  # over as well, but four hours are more than 1 × over three days
        (4 * 24 * 60, 7 * 60, "none"),  # over for longer than every short window
    ],
)
def test_intraday_data_pages_for_an_hour_and_tickets_for_days(
    breached_since: int, well_since: int | None, burn: str
) -> None:
    entries = [(30 * 24 * 60, "met"), (breached_since, "breached")]
    entries += [(well_since, "met")] if well_since is not None else []
    assert budget_of_time(history(entries), NOW, 0.05, PERIOD).burn == burn


def test_one_bad_day_in_a_month_of_one_retailer_is_not_worth_a_pager_once_it_is_over() -> None:
    entries = [(24 * n + 1, n == 3) for n in range(28)]
    budget = budget_of_days(judged(entries), NOW, SHARE, PERIOD)
    assert budget.burn == "none"
    assert budget.left == pytest.approx(1 - (1 / 28) / SHARE)


def test_a_bad_day_now_is_for_the_pager_and_one_of_some_days_for_a_ticket() -> None:
    now = [(24 * n + 1, n == 0) for n in range(28)]
    assert budget_of_days(judged(now), NOW, SHARE, PERIOD).burn == "fast"
    of_twenty = [(24 * n + m % 20, m == 0 and n < 7) for n in range(28) for m in range(1, 21)]
    assert budget_of_days(judged(of_twenty), NOW, SHARE, PERIOD).burn == "none"
    some = [(24 * n + m, m < 3 and n < 7) for n in range(28) for m in range(1, 21)]
    assert budget_of_days(judged(some), NOW, SHARE, PERIOD).burn == "slow"


def test_the_rates_are_those_of_the_workbook() -> None:
    told = [(in_words(w.over), in_words(w.still_over), w.rate, w.burn) for w in INTRADAY]
    assert told == [("1 h", "5 min", 14.4, "fast"), ("6 h", "30 min", 6.0, "fast"), ("3 d", "6 h", 1.0, "slow")]
    for window in DAILY:
        assert window.rate * window.over / PERIOD == pytest.approx(0.5), "half of the budget"
