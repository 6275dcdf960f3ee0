"""`mrs tick`: in one process and without daemon, all that the sensors would start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from mrs_assets.alert_watch.look import look_after_alerts
from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import CLOSING, LOOKED_AT, PUBLISHED, RECALLING, STAGES, feed_logs
from mrs_assets.in_process import GraphRunner, Ran, listed
from mrs_assets.planning.intake import AdmissionRequest, admission_requests, announce, replay_plans
from mrs_assets.planning.plan import Plan
from mrs_assets.planning.recovery import recovery
from mrs_assets.planning.run_tags import admission_tags
from mrs_assets.recall_watch.run import is_due
from mrs_resources.warehouse import Warehouse

Told = Callable[[str], None]
"""Is told, in words, what happens."""


@dataclass
class TickResult:
    """What one tick did.

    Attributes:
        admitted: admission requests carried out.
        plans: plans carried out.
        held: plans that wait for approval.
        appended: rows appended, per log.
        failed: assets that failed, with their error.
        degraded: log → inputs that were missing.
    """

    admitted: list[AdmissionRequest] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    held: list[Plan] = field(default_factory=list)
    appended: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    degraded: dict[str, tuple[str, ...]] = field(default_factory=dict)


class Ticker:
    """Runs what waits, in this process.

    Attributes:
        warehouse: where.
    """

    def __init__(
        self, definitions: dg.Definitions, warehouse: Warehouse, settings: Settings, instance: dg.DagsterInstance
    ) -> None:
        self.warehouse = warehouse
        self._settings = settings
        self._instance = instance
        self._runner = GraphRunner(definitions, warehouse, settings, instance)

    def tick(self, tell: Told) -> TickResult:
        """Admit what arrived, replay what it touches, mend what can be mended, publish, recall, deliver alerts.

        Recall comes last, and only where the rest left the main path healthy and idle.

        What fails is reported in the result; the next tick takes it up again.
        """
        result = self._work(tell)
        self._recall(result, tell)
        self._look_after_alerts(tell)
        return result

    def _work(self, tell: Told) -> TickResult:
        result = TickResult()
        for request in admission_requests(self.warehouse, self._settings):
            tell(_admission_in_words(request))
            if self._run(feed_logs(request.feeds), admission_tags(request), result):
                result.admitted.append(request)
        plans = replay_plans(self.warehouse, self._settings, FEED_LOGS, STAGES, CLOSING)
        self._carry_out(plans, result, tell)
        unanswered = {plan.scope.retailer for plan in plans if plan not in result.plans}
        mended = recovery(self.warehouse, self._settings, STAGES, CLOSING, unanswered)
        self._carry_out(mended.plans, result, tell)
        if mended.carried_over:
            tell(f"{mended.carried_over} degraded days wait for the next tick")
        # Files that changed no fact have accounts to publish; a process that died may have left all but that done.
        unpublished = result.admitted or (not plans and not mended.plans and not self.warehouse.publisher.is_current())
        if not result.plans:
            before = result.appended.total()
            self._run(CLOSING.state if unpublished else LOOKED_AT, {}, result)
            if not unpublished and result.appended.total() > before:
                self._run((PUBLISHED,), {}, result)
        return result

    def _recall(self, result: TickResult, tell: Told) -> None:
        due, why = is_due(self.warehouse, self._settings)
        if due:
            tell(f"recall: {why}")
            self._run(RECALLING, {}, result)
        elif "wait" in why:
            tell(f"recall: {why}")

    def _look_after_alerts(self, tell: Told) -> None:
        done = look_after_alerts(
            self._instance, self.warehouse, self._settings, by="mrs tick", checks=self._runner.checks, write=tell
        )
        failed = [f"{channel} ({outcome})" for channel, outcome in sorted(done) if outcome != "sent"]
        if failed:
            tell(f"alerts not delivered over {', '.join(failed)}; `mrs alerts` shows them")

    def _carry_out(self, plans: Sequence[Plan], result: TickResult, tell: Told) -> None:
        for plan in plans:
            tell(plan_in_words(plan))
            if plan.is_held:
                announce(self.warehouse, plan, self._settings, STAGES)
                result.held.append(plan)
                continue
            done = self._runner.carry_out(plan)
            for ran in done:
                _add(result, ran)
            if all(ran.success for ran in done):
                result.plans.append(plan)

    def _run(self, assets: Sequence[str], tags: Mapping[str, str], result: TickResult) -> bool:
        ran = self._runner.run(assets, tags)
        _add(result, ran)
        return ran.success


def _add(result: TickResult, ran: Ran) -> None:
    result.appended.update(ran.appended)
    result.failed.extend(ran.failed)
    for check in ran.checks:
        if missing := listed(check, "missing_inputs"):
            result.degraded[check.asset_key.to_user_string()] = missing


def plan_in_words(plan: Plan) -> str:
    """One line that says what a plan recomputes and why."""
    days = len(plan.scope.days)
    span = f"{plan.scope.first_day}" if days == 1 else f"{plan.scope.first_day} to {plan.scope.last_day}, {days} days"
    puts = ""
    if plan.touched is not None and plan.touched.reports:
        puts = f"; puts {plan.touched.reports} reports in question"
    held = f"; held until `mrs plan approve {plan.plan_id}`" if plan.is_held else ""
    return f"{plan.purpose} {plan.scope.retailer}: {span}; {plan.because}{puts}{held}"


def _admission_in_words(request: AdmissionRequest) -> str:
    names = ", ".join(arrival.file_name for arrival in request.arrivals[:3])
    more = len(request.arrivals) - 3
    return f"admit {request.scope.retailer}: {names}{f' and {more} more' if more > 0 else ''}"
