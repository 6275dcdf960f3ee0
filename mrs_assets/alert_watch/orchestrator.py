"""What only the orchestrator's instance knows: newest runs, newest results of checks, ticks of sensors."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import dagster as dg
import polars as pl

from mrs_assets.alerting.condition import ALL, Look
from mrs_assets.alerting.rules.orchestration import CHECKS, RUNS, SENSORS, TICKS, orchestration
from mrs_assets.contracts.alerting import Alerting
from mrs_assets.contracts.logs.slo import SLO_RESULTS
from mrs_assets.planning.run_tags import ADMISSION_TAG, PLAN_TAG, RETAILER_TAG

TOLD_ELSEWHERE = frozenset({"ran_on_all_inputs"})
"""Checks whose failing another rule tells, by cause; so are those of objectives."""

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
RED_FOR = timedelta(days=7)
"""How long a run that failed and was never followed by another of its kind is told."""
RESULTS_READ = 10
TICKS_READ = 50
ERROR_SHOWN = 200


def look_at_orchestrator(
    instance: dg.DagsterInstance,
    checks: Iterable[dg.AssetCheckKey],
    sensors: Collection[str],
    now: datetime,
    policy: Alerting,
) -> Look:
    """What the rules about orchestration find.

    Args:
        instance: what is looked at.
        checks: every check of the graph.
        sensors: sensors whose ticks count; none where no daemon runs, and then nothing is said of any.
        now: the instant of the look; UTC.
        policy: the limits.
    """
    looked = orchestration(_runs(instance, now), _checks(instance, checks), _ticks(instance, sensors), now, policy)
    return looked if sensors else replace(looked, rules=looked.rules - {SENSORS})


def _runs(instance: dg.DagsterInstance, now: datetime) -> pl.DataFrame:
    """The newest finished run of each kind of work that failed lately."""
    red = instance.get_runs(
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - RED_FOR), limit=500
    )
    kinds = {(_work(run), run.tags.get(RETAILER_TAG, ALL), run.job_name) for run in red}
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for work, retailer, job in sorted(kinds):
        tags = {RETAILER_TAG: retailer} if retailer != ALL else {}
        newest = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags, statuses=FINISHED), limit=100)
        own = (run for run in newest if _work(run) == work and run.tags.get(RETAILER_TAG, ALL) == retailer)
        if run := next(own, None):
            rows[work, retailer] = {"work": work, "retailer": retailer, "run_id": run.run_id, "failed": run.is_failure}
    return pl.DataFrame(list(rows.values()), schema=RUNS)


def _work(run: dg.DagsterRun) -> str:
    """What a run is for, whichever job carries it out."""
    if ADMISSION_TAG in run.tags:
        return "admission"
    return "replay" if PLAN_TAG in run.tags else run.job_name.strip("_").lower()


def _checks(instance: dg.DagsterInstance, keys: Iterable[dg.AssetCheckKey]) -> pl.DataFrame:
    """The newest result of each check, per retailer that its runs are about."""

    @cache
    def retailer(run_id: str) -> str:
        run = instance.get_run_by_id(run_id)
        return run.tags.get(RETAILER_TAG, ALL) if run else ALL

    rows: list[dict[str, object]] = []
    for key in sorted(keys, key=str):
        if key.name in TOLD_ELSEWHERE or key.asset_key == dg.AssetKey(SLO_RESULTS.name):
            continue
        newest: dict[str, Any] = {}
        for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=RESULTS_READ):
            if record.status.value != "PLANNED" and record.event is not None:
                newest.setdefault(retailer(record.run_id), record)
        rows += [_result(key, whose, record) for whose, record in sorted(newest.items())]
    return pl.DataFrame(rows, schema=CHECKS)


def _result(key: dg.AssetCheckKey, retailer: str, record: Any) -> dict[str, object]:
    told = record.event.dagster_event.event_specific_data
    plain = {name: value.value for name, value in sorted(told.metadata.items()) if _is_plain(value.value)}
    return {
        "asset": key.asset_key.to_user_string(),
        "check": key.name,
        "retailer": retailer,
        "passed": bool(told.passed),
        "severity": told.severity.value,
        "detail": ", ".join(f"{name}: {json.dumps(value)}" for name, value in plain.items()),
        "run_id": record.run_id,
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


def _ticks(instance: dg.DagsterInstance, names: Collection[str]) -> pl.DataFrame:
    """The running sensors among some: their newest tick, and since when they fail."""
    rows: list[dict[str, object]] = []
    states = instance.all_instigator_state() if names else []
    for state in states:
        if state.name in names and state.is_running:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=TICKS_READ)
            if ticks:
                rows.append({"sensor": state.name, **_failing(ticks)})
    return pl.DataFrame(rows, schema=TICKS).unique("sensor", keep="last", maintain_order=True)


def _failing(ticks: Sequence[Any]) -> dict[str, object]:
    """Of ticks, newest first: when the newest was, and the failures that it ends."""
    done = [tick for tick in ticks if tick.status.value != "STARTED"]
    failed: list[Any] = []
    for tick in done:
        if not tick.is_failure:
            break
        failed.append(tick)
    error = failed[0].error if failed else None
    return {
        "ticked_at": _instant(ticks[0].timestamp),
        "failing_since": _instant(failed[-1].timestamp) if failed else None,
        "failures": len(failed),
        "error": error.message.strip()[:ERROR_SHOWN] if error else None,
    }


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
