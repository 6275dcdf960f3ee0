"""What only the orchestrator knows, asked of real instances: red runs, failed checks, sensors that do not look."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from mrs_assets.alert_watch.orchestrator import look_at_orchestrator
from mrs_assets.alerting.condition import Condition
from mrs_assets.alerting.rules.orchestration import CHECKS, RUNS, TICKS, orchestration
from mrs_assets.alerting.rules.service_levels import EXPLAINED_BY
from mrs_assets.contracts.alerting import Alerting
from mrs_assets.definitions import build_definitions
from mrs_assets.planning.run_tags import PLAN_TAG, RETAILER_TAG
from mrs_assets.slo.objectives import OBJECTIVES
from mrs_resources.heartbeat import worries
from mrs_resources.warehouse import Warehouse
from tests.world import settings_for

CHECK = dg.AssetCheckKey(dg.AssetKey("counted"), "adds_up")


class Counted:
    """An asset with a check, both of which do as they are told."""

    def __init__(self) -> None:
        self.fails = False
        self.adds_up = True
        self.instance = dg.DagsterInstance.ephemeral()

        @dg.asset(check_specs=[dg.AssetCheckSpec("adds_up", asset="counted")])
        def counted() -> Any:
            if self.fails:
                raise ValueError("the door is shut")
            yield dg.MaterializeResult()
            yield dg.AssetCheckResult(passed=self.adds_up, metadata={"unexpected_index": 3})

        self._asset = counted

    def run(self, **tags: str) -> None:
        names = {"plan": PLAN_TAG, "retailer": RETAILER_TAG}
        told = {names[name]: value for name, value in tags.items()}
        dg.materialize([self._asset], instance=self.instance, tags=told, raise_on_error=False)

    def found(self) -> dict[str, Condition]:
        now, policy = datetime.now(UTC), Alerting(ui_url="http://mrs.example")
        look = look_at_orchestrator(self.instance, [CHECK], (), now, policy)
        assert "sensors" not in look.rules
        return {condition.fingerprint: condition for condition in look.conditions}


def test_a_red_run_is_told_until_one_of_the_same_work_and_retailer_is_green() -> None:
    counted = Counted()
    counted.fails = True
    counted.run(plan="p1", retailer="acme")
    counted.run(plan="p2", retailer="beta")
    assert {"run:replay:acme", "run:replay:beta"} <= set(counted.found())
    assert counted.found()["run:replay:acme"].retailers == ("acme",)
    assert counted.found()["run:replay:acme"].link.startswith("http://mrs.example/runs/")  # type: ignore[union-attr]
    counted.fails = False
    counted.run(retailer="acme")  # other work of the same retailer
    assert "run:replay:acme" in counted.found()
    counted.run(plan="p3", retailer="acme")
    assert set(counted.found()) == {"run:replay:beta"}


def test_a_failed_check_is_one_condition_per_retailer_until_it_holds_for_that_one() -> None:
    counted = Counted()
    counted.adds_up = False
    counted.run(retailer="acme")
    counted.adds_up = True
    counted.run(retailer="beta")
    (found,) = counted.found().values()
    assert found.fingerprint == "check:counted:adds_up:acme"
    assert "unexpected_index: 3" in found.body
    counted.run(retailer="acme")
    assert counted.found() == {}


@pytest.mark.parametrize(
    ("last_tick", "failing_since", "expected"),
    [(0.5, None, None), (0.5, 2, None), (0.5, 6, "fails"), (14, None, "is silent"), (9, 9, "fails")],
)
def test_a_sensor_that_fails_or_is_silent_is_a_page_well_within_a_quarter_of_an_hour(
    last_tick: float, failing_since: float | None, expected: str | None
) -> None:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    row = {"sensor": "retail_feed", "ticked_at": now - timedelta(minutes=last_tick), "failures": 4, "error": "no disk"}
    row["failing_since"] = None if failing_since is None else now - timedelta(minutes=failing_since)
    look = orchestration(RUNS.to_frame(), CHECKS.to_frame(), pl.DataFrame([row], schema=TICKS), now, Alerting())
    assert [condition.title for condition in look.conditions] == (
        [f"The sensor retail_feed {expected}"] if expected else []
    )
    assert all(condition.severity == "page" for condition in look.conditions)


def test_every_objective_that_is_said_to_be_explained_is_one() -> None:
    assert set(EXPLAINED_BY) <= {objective.name for objective in OBJECTIVES}


def test_the_sensor_looks_delivers_and_leaves_a_heartbeat(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path)
    definitions = build_definitions(settings_for(tmp_path), warehouse)
    sensor = next(sensor for sensor in definitions.sensors or () if sensor.name == "alerts")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_sensor_context(instance=instance, resources={"warehouse": warehouse})
        said = sensor(context)
    assert isinstance(said, dg.SkipReason)
    assert worries(tmp_path, datetime.now(UTC), Alerting()) == []
