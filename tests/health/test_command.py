"""`mrs health` as an operator types it, on a healthy, a degraded and a broken system."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from prometheus_client.parser import text_string_to_metric_families

import mrs_assets.cli.health as command
from mrs_assets.cli.health import health
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import UserMistake
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.settings import Settings, load_settings
from mrs_resources.breaker import note_failure
from mrs_resources.heartbeat import beat
from mrs_resources.log_store import LogStore
from mrs_resources.staging import DEAD_LETTER
from tests.cli.test_commands import mrs
from tests.conftest import SteppingClock
from tests.health.written import DAY, NOON, alert, delivery, level, minutes, publish, result
from tests.hydration.rows import ALL_DAYS, PROVENANCE, frame, put, row

FEEDS = '[retailers.acme]\ntimezone = "Europe/London"\n[slo]\ndead_letter_share = 0.5\n'


class System:
    """One home with a heartbeat, whose logs a test writes before it looks."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "feeds.toml").write_text(FEEDS)
        self.folder, self.home = folder, folder / ".mrs"
        self.home.mkdir()
        self.settings: Settings = load_settings({}, folder)
        self.now = NOON + minutes(5)
        self.store = LogStore(self.home, SteppingClock(NOON))
        monkeypatch.setattr(command, "utc_now", lambda: self.now)
        beat(self.home, NOON, "mrs tick", (), (), self.settings.alerts, {})

    def write(self, contract: Contract, *rows: dict[str, Any]) -> None:
        with self.store.transaction() as tx:
            put(tx, contract, *rows)

    def look(self, *arguments: str) -> tuple[int, str, str]:
        publish(self.store, self.home, self.settings)
        return mrs(self.folder, "health", *arguments)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    """Healthy: one objective, met; one row, whole, shown twelve minutes after its file came."""
    made = System(tmp_path, monkeypatch)
    made.write(ATTRIBUTED, row(ATTRIBUTED))
    made.write(SLO, level(ATTRIBUTED.name, hydrated_at=NOON + minutes(12)))
    made.write(SLO_RESULTS, result("detection_is_fresh", "acme"))
    return made


def test_a_healthy_system_says_so_and_needs_nobody(system: System) -> None:
    code, out, err = system.look("--check")
    assert code == 0, err
    assert "The one objective is met; nothing is degraded." in out
    assert "12 min" in out, "the lag of the log"
    for absent in ("What keeps failing", "Open alerts", "breached, burning"):
        assert absent not in out, "what is not there takes no room"


def test_a_degraded_system_is_amber_and_wakes_nobody(system: System) -> None:
    system.write(ATTRIBUTED, row(ATTRIBUTED, is_degraded=True, degraded_reasons=["context_down"]))
    system.write(SLO_RESULTS, result("detection_is_fresh", "acme", state="breached", severity="warn", value=90.0))
    code, out, err = system.look("--check")
    assert code == 0, err
    assert "1 of 1 objective is breached (detection_is_fresh for acme)" in out
    assert "context_down" in out
    assert "≤ 30 min" in out


def test_an_objective_that_burns_its_budget_is_listed_while_it_is_met(system: System) -> None:
    system.write(SLO_RESULTS, result("detection_is_fresh", "acme", burn="fast", budget_left=0.3))
    _, out, _ = system.look()
    assert "breached, burning or not known: 1 of 1" in out
    assert "30 %" in out
    assert "fast" in out


def test_what_keeps_failing_is_shown_with_its_reason(system: System) -> None:
    with system.store.transaction() as tx:
        note_failure(tx, "feed:promotions:acme", OSError("no [bold]route"), PROVENANCE)
    code, out, _ = system.look("--check")
    assert code == 0, "one failure leaves nothing alone yet"
    assert "What keeps failing" in out
    assert "feed:promotions:acme" in out
    assert "OSError: no [bold]route" in out


def break_a_red_objective(system: System) -> None:
    system.write(SLO_RESULTS, result("every_key_counts_once", "acme", state="breached"))


def open_a_breaker(system: System) -> None:
    for _ in range(3):
        with system.store.transaction() as tx:
            note_failure(tx, "stage:minority_reports_clustered_log", OSError("gone"), PROVENANCE)


def leave_a_plan(system: System) -> None:
    days = {"first_day": DAY, "last_day": DAY, "days_changed": [], "stores_changed": 0}
    lists: dict[str, Any] = {"triggers": [], "assets": [], "steps": []}
    plan = {"retailer": "acme", "business_day": DAY, "plan_id": "p-left", "purpose": "replay", "state": "planned"}
    system.write(REPLAY_PLANS, plan | days | lists | {"inputs_written_at": NOON})


def refuse_rows(system: System, number: int = 2) -> None:
    letter = dict.fromkeys(DEAD_LETTER.names()) | {"retailer": "acme", "raw_payload": "x", "error_code": "e"}
    letters = pl.DataFrame([letter | {"error": "e", "source_row": n} for n in range(number)], schema=DEAD_LETTER)
    with system.store.transaction() as tx:
        tx.append(ATTRIBUTED, frame(ATTRIBUTED, row(ATTRIBUTED)), ALL_DAYS, PROVENANCE, dead_letters=letters)


def fail_to_tell(system: System) -> None:
    system.write(ALERTS, alert(1))
    system.write(DELIVERIES, delivery(1, "failed"))


def lose_the_heartbeat(system: System) -> None:
    system.now = NOON + timedelta(minutes=system.settings.alerts.heartbeat_minutes + 1)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (break_a_red_objective, "every_key_counts_once is breached for acme"),
        (open_a_breaker, "stage:minority_reports_clustered_log is left alone until"),
        (leave_a_plan, "p-left was planned and is not done"),
        (refuse_rows, "2 dead letters, 66.7 % of its rows"),
        (fail_to_tell, "did not reach pager: refused"),
        (lose_the_heartbeat, "nobody has looked after alerts since 2024-06-01 12:00 UTC"),
    ],
)
def test_what_needs_somebody_ends_in_exit_code_1(trouble: Callable[[System], None], said: str, system: System) -> None:
    trouble(system)
    code, _, err = system.look("--check")
    assert code == 1
    assert said in err.replace("\n", " ")
    assert mrs(system.folder, "health")[0] == 0, "without --check it only tells"


def test_the_limit_of_dead_letters_is_the_configured_one(system: System) -> None:
    refuse_rows(system, 1)
    assert system.look("--check")[0] == 0, "half of the rows, as [slo] allows"
    (system.folder / "feeds.toml").write_text(FEEDS.replace("0.5", "0.49"))
    assert mrs(system.folder, "health", "--check")[0] == 1


def test_a_partition_that_waits_ages_while_nothing_is_published(system: System) -> None:
    system.write(SLO, level(ATTRIBUTED.name, day=1))
    system.now = NOON + minutes(40)
    system.look()
    (before,) = [r for r in json.loads(mrs(system.folder, "health", "--json")[1]) if r["log"] == ATTRIBUTED.name]
    system.now = NOON + minutes(400)
    (after,) = [r for r in json.loads(mrs(system.folder, "health", "--json")[1]) if r["log"] == ATTRIBUTED.name]
    assert before["lag_p95_minutes"] == pytest.approx(12 + 0.95 * 28)
    assert after["lag_p95_minutes"] == pytest.approx(12 + 0.95 * 388)


def test_json_is_one_array_of_logs_with_the_fields_that_were_always_there(system: System) -> None:
    code, out, _ = system.look("--json")
    (told,) = [entry for entry in json.loads(out) if entry["log"] == ATTRIBUTED.name]
    assert code == 0
    assert set(told) >= {"log", "last_written_at", "rows", "degraded", "retracted", "dead_letters", "dead_letter_share"}
    assert told["rows"] == 1
    assert datetime.fromisoformat(str(told["last_written_at"])).tzinfo == UTC
    assert mrs(system.folder, "health", "--format", "json")[1] == out


def test_metrics_are_printed_alone_and_parse(system: System) -> None:
    _, out, _ = system.look("--format", "prometheus")
    names = {family.name for family in text_string_to_metric_families(out)}
    assert names >= {"mrs_partition_lag_seconds", "mrs_objective_met", "mrs_rows_dead_lettered"}


def test_nothing_published_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "feeds.toml").write_text(FEEDS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserMistake, match="Nothing has been published yet"):
        health()
