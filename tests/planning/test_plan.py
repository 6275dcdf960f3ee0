"""From changed rows to rectangles."""

from __future__ import annotations

from datetime import UTC, date, datetime

from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.plan import Change, Plan, downstream, plan_changes, reach_back

OLDEST, NEWEST = date(2024, 1, 1), date(2024, 6, 30)
WRITTEN = datetime(2024, 7, 1, tzinfo=UTC)


def change(log: str, *days: date, retailer: str = "acme") -> Change:
    return Change(log, retailer, tuple(sorted(days)), 1, WRITTEN)


def plans(*changes: Change, reports_from: date | None = None) -> list[Plan]:
    retailers = {c.retailer for c in changes}
    begin = dict.fromkeys(retailers, reports_from) if reports_from else {}
    ends = (dict.fromkeys(retailers, OLDEST), dict.fromkeys(retailers, NEWEST))
    return plan_changes(list(changes), *ends, begin, STAGES, CLOSING)


def test_corrected_sales_are_replayed_from_their_first_day_to_the_frontier() -> None:
    (plan,) = plans(change("unified_sales_data", date(2024, 5, 3), date(2024, 5, 1)))
    assert (plan.scope.first_day, plan.scope.last_day) == (date(2024, 5, 1), NEWEST)
    assert {SALES_TIMESERIES.name, DETECTED.name, "published_snapshot"} <= set(plan.assets)


def test_a_late_campaign_does_not_touch_what_does_not_read_campaigns() -> None:
    (plan,) = plans(change("campaigns_log", date(2024, 5, 1)))
    assert "minority_reports_proposed_attribution_log" in plan.assets
    assert SALES_TIMESERIES.name not in plan.assets
    assert DETECTED.name not in plan.assets


def test_what_is_known_ahead_reaches_back_as_far_as_a_stage_declares() -> None:
    ahead = reach_back("campaigns_log", STAGES)
    (plan,) = plans(change("campaigns_log", date(2024, 5, 20)))
    assert plan.scope.first_day == date(2024, 5, 20) - ahead


def test_days_before_the_reports_are_only_history() -> None:
    (plan,) = plans(change("unified_sales_data", date(2024, 2, 1)), reports_from=date(2024, 6, 1))
    history, reported = plan.steps
    assert (history.scope.first_day, history.assets) == (date(2024, 2, 1), (SALES_TIMESERIES.name,))
    assert reported.scope.first_day == date(2024, 6, 1)
    assert SALES_TIMESERIES.name not in reported.assets


def test_an_edit_is_finalised_on_its_own_day_and_nothing_is_recomputed() -> None:
    (plan,) = plans(change("user_edits_log", date(2024, 8, 9)))
    assert plan.scope.days == [date(2024, 8, 9)]
    assert set(plan.assets) == {CLOSING.finalisation.name, *CLOSING.state}


def test_each_retailer_has_a_plan_of_its_own() -> None:
    found = plans(
        change("unified_sales_data", date(2024, 5, 1)), change("unified_sales_data", date(2024, 6, 1), retailer="zeta")
    )
    assert [plan.scope.retailer for plan in found] == ["acme", "zeta"]


def test_planning_the_same_changes_again_gives_the_same_plan() -> None:
    once, again = (plans(change("unified_sales_data", date(2024, 5, 1)))[0] for _ in range(2))
    assert once.plan_id == again.plan_id
    assert once.plan_id != plans(change("unified_sales_data", date(2024, 5, 2)))[0].plan_id


def test_context_before_any_sales_waits() -> None:
    early = Change("promotions_log", "acme", (date(2024, 5, 1),), 1, WRITTEN)
    assert plan_changes([early], {}, {}, {}, STAGES, CLOSING) == []


def test_everything_is_downstream_of_sales() -> None:
    written = {contract.name for stage in STAGES for contract in stage.writes}
    assert downstream(["unified_sales_data"], STAGES) == written
