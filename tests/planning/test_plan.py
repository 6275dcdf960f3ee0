"""From changed rows to rectangles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from mrs_assets.attribution.stage import ATTRIBUTION_STAGE
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.planning.plan import Change, Known, Plan, plan_changes
from mrs_assets.series.stage import SERIES_STAGE

OLDEST, NEWEST = date(2024, 1, 1), date(2024, 6, 30)
WRITTEN = datetime(2024, 7, 1, tzinfo=UTC)


def change(log: str, *days: date, retailer: str = "acme") -> Change:
    return Change(log, retailer, tuple(sorted(days)), 1, WRITTEN)


def plans(*changes: Change, reports_from: date | None = None) -> list[Plan]:
    known = Known(OLDEST, NEWEST, (OLDEST, NEWEST), reports_from)
    return plan_changes(list(changes), {c.retailer: known for c in changes}, STAGES, CLOSING)


def days_of(plan: Plan, log: str) -> list[tuple[date, date]]:
    return [(step.scope.first_day, step.scope.last_day) for step in plan.steps if log in step.assets]


def test_corrected_sales_are_felt_as_far_as_each_stage_looks_back_and_by_reports_to_the_end() -> None:
    (plan,) = plans(change("unified_sales_data", date(2024, 1, 3), date(2024, 1, 1)))
    remembered = timedelta(days=SERIES_STAGE.needs["unified"].days_before)
    assert days_of(plan, SALES_TIMESERIES.name) == [(date(2024, 1, 1), date(2024, 1, 3) + remembered)]
    assert days_of(plan, DETECTED.name) == [(date(2024, 1, 1), NEWEST)]
    assert "published_snapshot" in plan.assets


def test_days_that_were_never_computed_are() -> None:
    known = Known(OLDEST, NEWEST, (OLDEST, NEWEST - timedelta(days=3)))
    (plan,) = plan_changes([change("unified_sales_data", NEWEST)], {"acme": known}, STAGES, CLOSING)
    assert days_of(plan, SALES_TIMESERIES.name) == [(NEWEST - timedelta(days=2), NEWEST)]


def test_a_late_campaign_does_not_touch_what_does_not_read_campaigns() -> None:
    (plan,) = plans(change("campaigns_log", date(2024, 5, 1)))
    assert "minority_reports_proposed_attribution_log" in plan.assets
    assert SALES_TIMESERIES.name not in plan.assets
    assert DETECTED.name not in plan.assets


def test_what_is_known_ahead_reaches_back_as_far_as_a_stage_declares() -> None:
    campaigns = ATTRIBUTION_STAGE.wants["campaigns"].log
    assert campaigns is not None
    (plan,) = plans(change("campaigns_log", date(2024, 5, 20)))
    assert days_of(plan, ATTRIBUTED.name)[0][0] == date(2024, 5, 20) - timedelta(days=campaigns.days_after)


def test_days_before_the_reports_are_only_history() -> None:
    (plan,) = plans(change("unified_sales_data", date(2024, 2, 1)), reports_from=date(2024, 6, 1))
    assert plan.steps[0].assets == (SALES_TIMESERIES.name,)
    assert plan.steps[0].scope.first_day == date(2024, 2, 1)
    assert days_of(plan, DETECTED.name) == [(date(2024, 6, 1), NEWEST)]


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
    later = replace(change("unified_sales_data", date(2024, 5, 1)), written_at=WRITTEN + timedelta(seconds=1))
    assert once.plan_id != plans(later)[0].plan_id


def test_context_before_any_sales_waits() -> None:
    early = Change("promotions_log", "acme", (date(2024, 5, 1),), 1, WRITTEN)
    assert plan_changes([early], {}, STAGES, CLOSING) == []


def test_everything_is_downstream_of_sales() -> None:
    (plan,) = plans(change("unified_sales_data", NEWEST))
    assert {contract.name for stage in STAGES for contract in stage.writes} < set(plan.assets)
