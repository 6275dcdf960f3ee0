"""Takes away, breaks or kills what is not critical: every report comes out and says what it missed.

Every kind of failure is tried on the real graph for one stage, and for the others by what their assets call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import combinations

import dagster as dg
import polars as pl
import pytest

from mrs_assets.boundary.stage_run import StageRunner
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.resilience import Fault, FaultAction
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import ContextFeed, Settings
from mrs_assets.contracts.stage import Stage
from mrs_assets.definitions import build_definitions
from mrs_assets.graph import STAGES
from mrs_assets.in_process import QUIET, listed
from mrs_assets.partitions import range_tags
from mrs_resources.kernel import Provenance
from tests.conftest import SteppingClock
from tests.histories import in_memory
from tests.histories.driver import DirectRunner, Home
from tests.stories.test_one_anomaly import spike
from tests.world import FIRST_DAY, REPORTS_FROM, World, daily_sales, settings_for

DAYS = 124
LAST_DAY = FIRST_DAY + timedelta(days=DAYS - 1)
ISOLATED = [stage for stage in STAGES if not stage.critical]
ON_THE_GRAPH = ((ISOLATED[0], "raise"), (ISOLATED[1], "kill"), (ISOLATED[1], "drop"), (ISOLATED[2], "corrupt"))
EVERY_LOG = (*(log for stage in STAGES for log in stage.writes), FINALISED)
CLOSING_LOGS = (FINALISED.name, "minority_events", "minority_reports")
LOGS = (DETECTED, CLUSTERED, ATTRIBUTED, COHORTED, FINALISED)


def world_with(tmp: pytest.TempPathFactory) -> World:
    """Reports, with every optional feed there."""
    home = tmp.mktemp("degraded")
    feeds = {name: ContextFeed() for name in ("promotions", "campaigns", "contextual_events", "stores")}
    limits = {"isolation": {"seconds": 60, "memory_mb": 3072}, "retries": {"first_pause_seconds": 0, "attempts": 2}}
    settings = settings_for(home).model_copy(update={"feeds": feeds, "environment": "staging"})
    settings = Settings.model_validate(settings.model_dump() | limits)
    in_memory.begin(home)
    clock = SteppingClock()
    world = World(home, settings, clock)
    first, last = FIRST_DAY + timedelta(days=117), FIRST_DAY + timedelta(days=121)
    span = {"start_day": [first], "end_day": [last]}
    world.send(daily_sales(DAYS, change=spike))
    world.send(
        pl.DataFrame({"promotion_id": ["p1"], "store_id": ["s2"], "sku": ["eggs"], **span}), "p.json", feed="promotions"
    )
    world.send(pl.DataFrame({"campaign_id": ["c1"], "skus": [["eggs"]], **span}), "c.json", feed="campaigns")
    signal = {"event_id": ["e1"], "signal_type": ["social"], "title": ["Egg clip"], "skus": [["eggs"]]}
    when = {"starts_at": [f"{first}T00:00:00Z"], "ends_at": [f"{last}T00:00:00Z"]}
    world.send(pl.DataFrame({**signal, **when}), "e.json", feed="contextual_events")
    world.send(
        pl.DataFrame({"store_id": ["s1", "s2", "s3"], "region": ["north", "north", "south"]}), "s.json", feed="stores"
    )
    assert Home(settings, clock).tick().failed == []
    return world


@dataclass(frozen=True)
class Told:
    """What the checks of a stage tell.

    Attributes:
        all_there: nothing was missing and nothing failed.
        missing: wants that were not there.
        matched: every answer belongs to what was asked.
        unanswered: rows asked about without an answer.
        all_passed: these checks and every other.
    """

    all_there: bool
    missing: tuple[str, ...]
    matched: bool
    unanswered: int
    all_passed: bool


@dataclass
class Healthy:
    """A world and what its logs said while nothing was wrong."""

    world: World
    rows: dict[str, pl.DataFrame]

    def run(self, stage: Stage, *faults: Fault) -> set[str]:
        """Run one stage alone, with faults on purpose; the wants that it missed."""
        settings = self.world.settings.model_copy(update={"faults": faults})
        runner = StageRunner(self.world.warehouse.store, self.world.warehouse.models, settings)
        return set(runner.run(stage, Scope(REPORTS_FROM, LAST_DAY, "acme"), Provenance("test", "1")).missing)

    def try_out(self, stage: Stage, fault: Fault) -> Told:
        """One fault, on the graph if it is tried there."""
        on_the_graph = (stage, fault.action) in ON_THE_GRAPH
        return self.materialise(stage, fault) if on_the_graph else self.compute(stage, fault)

    def compute(self, stage: Stage, *faults: Fault) -> Told:
        """Compute a stage and all after it as the assets do, with faults on purpose, each tried once."""
        retries = self.world.settings.retries.model_copy(update={"attempts": 1})
        settings = self.world.settings.model_copy(update={"faults": faults, "retries": retries})
        warehouse, scope = self.world.warehouse, Scope(REPORTS_FROM, LAST_DAY, "acme")
        run = StageRunner(warehouse.store, warehouse.models, settings).run(stage, scope, Provenance("test", "1"))
        rest = [contract.name for later in STAGES[STAGES.index(stage) + 1 :] for contract in later.writes]
        ran = DirectRunner(warehouse, settings, lambda _: None).run((*rest, *CLOSING_LOGS), range_tags(scope))
        assert ran.success, ran.failed
        refused = sum(result.rejected for results in run.appended.values() for result in results)
        all_there, matched = not run.missing and not run.failures, not run.unexpected and not run.unanswered
        passed = all_there and matched and not refused
        return Told(all_there, tuple(sorted(run.missing)), matched, run.unanswered, passed)

    def materialise(self, stage: Stage, *faults: Fault) -> Told:
        """The same on the graph, where every fault is tried twice and the checks tell."""
        settings = self.world.settings.model_copy(update={"faults": faults})
        names = [contract.name for each in STAGES[STAGES.index(stage) :] for contract in each.writes]
        job = build_definitions(settings, self.world.warehouse).resolve_implicit_global_asset_job_def()
        with dg.DagsterInstance.ephemeral() as instance:
            run = job.execute_in_process(
                instance=instance,
                asset_selection=[dg.AssetKey(name) for name in (*names, *CLOSING_LOGS)],
                tags=range_tags(Scope(REPORTS_FROM, LAST_DAY, "acme")),
                raise_on_error=False,
                run_config=QUIET,
            )
        assert run.success, "a failure that is not critical made the run red"
        log = stage.writes[0].name
        checks = {c.check_name: c for c in run.get_asset_check_evaluations() if c.asset_key.path == [log]}
        inputs, answers = checks["ran_on_all_inputs"], checks.get("answers_what_was_asked")
        return Told(
            inputs.passed,
            listed(inputs, "missing_inputs"),
            answers is None or answers.passed,
            int(str(answers.metadata["unanswered"].value)) if answers else 0,
            all(check.passed for check in checks.values()),
        )


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Healthy]:
    with in_memory.warehouses_in_memory():
        world = world_with(tmp_path_factory)
        yield Healthy(world, {log.name: world.content(log) for log in EVERY_LOG})


@pytest.fixture(autouse=True)
def time_passes(healthy: Healthy) -> None:
    """Long enough for every breaker to let one try."""
    assert isinstance(healthy.world.clock, SteppingClock)
    healthy.world.clock.now += timedelta(hours=5)


def keys(world: World, log: Contract) -> set[tuple[object, ...]]:
    return set(world.live(log).select(log.key).rows())


def assert_every_report_is_there(healthy: Healthy) -> None:
    for log in LOGS:
        assert keys(healthy.world, log) == set(healthy.rows[log.name].select(log.key).rows()), log.name
    shown = healthy.world.query("SELECT report_id FROM minority_reports WHERE source_used_identity = 'detected'")
    assert set(shown["report_id"]) == set(healthy.rows[DETECTED.name]["report_id"])


def assert_untouched_before(healthy: Healthy, stage: Stage) -> None:
    for log in (log for early in STAGES[: STAGES.index(stage)] for log in early.writes):
        assert healthy.world.content(log).equals(healthy.rows[log.name]), f"{log.name} was flagged without cause"


def assert_flagged(frame: pl.DataFrame, reason: str) -> None:
    frame = frame.filter(pl.col("business_day") >= REPORTS_FROM)
    assert frame.height > 0
    assert frame["is_degraded"].all()
    assert frame["degraded_reasons"].list.contains(reason).all()


def assert_healed(healthy: Healthy, stage: Stage, *, on_the_graph: bool = False) -> None:
    healthy.world.clock.now += timedelta(hours=5)  # type: ignore[attr-defined]
    assert (healthy.materialise if on_the_graph else healthy.compute)(stage).all_passed
    for log in EVERY_LOG:
        assert healthy.world.content(log).equals(healthy.rows[log.name]), log.name


@pytest.mark.parametrize("action", ["raise", "kill", "exhaust", "delay"])
@pytest.mark.parametrize("stage", ISOLATED, ids=lambda s: s.name)
def test_an_isolated_stage_that_fails_leaves_every_report_and_heals(
    stage: Stage, action: str, healthy: Healthy, monkeypatch: pytest.MonkeyPatch
) -> None:
    if action == "delay":  # longer than the stage may take
        limits = healthy.world.settings.isolation.model_copy(update={"seconds": 2.0})
        monkeypatch.setattr(healthy.world, "settings", healthy.world.settings.model_copy(update={"isolation": limits}))
    told = healthy.try_out(stage, Fault(point=stage.name, action=action, seconds=600))  # type: ignore[arg-type]
    assert not told.all_there
    assert_every_report_is_there(healthy)
    rows = healthy.world.live(stage.writes[0])
    assert_flagged(rows, stage.down)
    assert rows["report_status"].str.contains("_degraded_").all()
    nulls = {"cluster_id", "confidence_score", "report_group_id"} & set(rows.columns)
    assert all(rows[name].is_null().all() for name in nulls)
    assert_flagged(healthy.world.live(FINALISED), stage.down)
    assert_untouched_before(healthy, stage)
    monkeypatch.undo()
    assert_healed(healthy, stage, on_the_graph=(stage, action) in ON_THE_GRAPH)


@pytest.mark.parametrize("stage", ISOLATED, ids=lambda s: s.name)
def test_an_answer_out_of_order_leaves_every_report_with_a_row_and_heals(stage: Stage, healthy: Healthy) -> None:
    told = healthy.try_out(stage, Fault(point=stage.name, action="corrupt"))
    assert not told.matched
    assert told.unanswered > 0
    assert_every_report_is_there(healthy)
    log = stage.writes[0]
    identity = [name for name in ("report_id", "tick", "store_id", "sku") if name in log.body]
    asked = set(healthy.world.live(DETECTED).select(identity).rows())
    assert set(healthy.world.live(log).select(identity).rows()) == asked
    assert_healed(healthy, stage)


@pytest.mark.parametrize("stage", [s for s in STAGES if s.wants], ids=lambda s: s.name)
def test_a_want_that_is_taken_away_flags_the_rows_that_wanted_it(stage: Stage, healthy: Healthy) -> None:
    wants = list(stage.wants)
    told = healthy.try_out(stage, Fault(point=f"{stage.name}.{wants[0]}", action="drop"))
    assert told.missing == (wants[0],)
    assert_every_report_is_there(healthy)
    assert_flagged(healthy.world.live(stage.writes[0]), stage.wants[wants[0]].reason)
    assert_flagged(healthy.world.live(FINALISED), stage.wants[wants[0]].reason)
    for want in wants:
        actions: list[FaultAction] = (
            ["drop"] if stage.wants[want].model else ["drop", "raise"]
        )  # no model is registered
        for action in actions:
            assert healthy.run(stage, Fault(point=f"{stage.name}.{want}", action=action)) == {want}
            assert_flagged(healthy.world.live(stage.writes[0]), stage.wants[want].reason)
            assert_untouched_before(healthy, stage)
    assert_healed(healthy, stage)


@pytest.mark.parametrize("stage", [s for s in STAGES if len(s.wants) > 1], ids=lambda s: s.name)
def test_all_pairs_of_wants_absent(stage: Stage, healthy: Healthy) -> None:
    for pair in combinations(sorted(stage.wants), 2):
        assert healthy.run(stage, *(Fault(point=f"{stage.name}.{want}", action="drop") for want in pair)) == set(pair)
        log = stage.writes[0]
        assert keys(healthy.world, log) == set(healthy.rows[log.name].select(log.key).rows())
        for want in pair:
            assert_flagged(healthy.world.live(log), stage.wants[want].reason)
    assert_healed(healthy, stage)


def test_faults_are_refused_in_production(healthy: Healthy) -> None:
    said = healthy.world.settings.model_dump() | {"environment": "production"}
    with pytest.raises(ValueError, match="staging"):
        Settings.model_validate(said | {"faults": [{"point": "x", "action": "drop"}]})
