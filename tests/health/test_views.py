"""The health views say what the logs hold, from rows written as the system writes them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES, SILENCES
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.rereview import REATTRIBUTED
from mrs_assets.contracts.logs.slo import SLO, SLO_RESULTS
from mrs_assets.contracts.settings import Settings
from mrs_assets.health.finality_sql import HEALTH_FINALITY
from mrs_assets.health.judged_sql import HEALTH_ALERTS, HEALTH_OBJECTIVES, HEALTH_PLANS
from mrs_assets.health.logs_sql import HEALTH_DAYS, HEALTH_DEGRADED, HEALTH_LOGS
from mrs_assets.health.reading import HEALTH_VIEWS, Health
from mrs_resources.breaker import note_failure
from mrs_resources.log_store import SYSTEM_RUN, LogStore
from mrs_resources.staging import DEAD_LETTER
from tests.health.written import DAY, NOON, alert, delivery, health_of, level, minutes, read, result, silence
from tests.hydration.rows import ALL_DAYS, PROVENANCE, put, row
from tests.world import settings_for


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_for(tmp_path)


def wrote(store: LogStore, *writes: tuple[Contract, list[dict[str, Any]]]) -> None:
    with store.transaction() as tx:
        for contract, rows in writes:
            put(tx, contract, *rows)


def of_log(health: Health, log: str, retailer: str | None = None) -> dict[str, Any]:
    found = health[HEALTH_LOGS].filter((pl.col("log") == log) & pl.col("retailer").eq_missing(pl.lit(retailer)))
    return found.row(0, named=True)


def test_an_empty_home_has_every_view_and_knows_nothing(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    health = health_of(store, tmp_path, settings)
    assert {view.name: health[view].height for view in HEALTH_VIEWS if view is not HEALTH_FINALITY} == dict.fromkeys(
        [view.name for view in HEALTH_VIEWS if view is not HEALTH_FINALITY], 0
    )
    finality = health[HEALTH_FINALITY].row(0, named=True)
    assert (finality["retailer"], finality["days"], finality["settled_after_days"]) == ("acme", 0, None)
    assert finality["days_restated"] is None, "nobody knows, which is not none"
    for view in HEALTH_VIEWS:
        assert health[view].schema == view.schema


def test_every_view_is_a_table_of_the_snapshot(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    wrote(store, (SLO_RESULTS, [result()]))
    health_of(store, tmp_path, settings)
    with duckdb.connect(str(tmp_path / "published" / "mrs.duckdb"), read_only=True) as connection:
        for view in HEALTH_VIEWS:
            found = connection.sql(f"SELECT * FROM {view.name}").columns
            assert found == list(view.columns)
        assert connection.sql("SELECT objective FROM health_objectives").fetchall() == [("sales_arrive_on_time",)]


def test_lag_is_from_receipt_to_view_and_a_partition_that_waits_counts_with_its_age(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    name = ATTRIBUTED.name
    shown = [level(name, day=n, hydrated_at=NOON + minutes(10 * n)) for n in (1, 2, 3)]
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED)]), (SLO, [*shown, level(name, day=4)]))
    seen = of_log(health_of(store, tmp_path, settings, NOON + minutes(100)), name)
    assert (seen["partitions"], seen["partitions_waiting"]) == (4, 1)
    assert seen["lag_p50_minutes"] == pytest.approx(25)
    assert seen["lag_p95_minutes"] == pytest.approx(30 + 0.85 * 70), "between 30 and the age of 100 minutes"
    with_time = read(tmp_path, settings, NOON + minutes(200))
    assert of_log(with_time, name)["lag_p95_minutes"] == pytest.approx(30 + 0.85 * 170), "it ages while it waits"


def test_a_partition_without_a_known_receipt_has_no_lag_and_does_not_wait(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    name = ATTRIBUTED.name
    unknown = level(name, available_at=None, rows_live=0)
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED)]), (SLO, [unknown]))
    seen = of_log(health_of(store, tmp_path, settings), name)
    assert (seen["lag_p50_minutes"], seen["lag_p95_minutes"], seen["partitions_waiting"]) == (None, None, 0)
    assert seen["degraded_share"] is None, "no row is neither degraded nor whole"


def test_what_the_ledger_does_not_measure_is_null_and_not_zero(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED)]))
    seen = of_log(health_of(store, tmp_path, settings), ATTRIBUTED.name)
    assert (seen["rows"], seen["dead_letters"]) == (1, 0)
    for unknown in ("partitions", "rows_live", "degraded_share", "lag_p95_minutes", "rows_by_status"):
        assert seen[unknown] is None


def test_rows_are_summed_by_status_for_each_retailer_and_for_all(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    name = ATTRIBUTED.name
    told = [
        level(name, 1, rows_live=4, rows_degraded=1, rows_by_status='{"attributed": 3, "attributed_degraded_x": 1}'),
        level(name, 2, rows_live=4, rows_by_status='{"attributed": 4}'),
        level(name, 1, retailer="bolt", rows_live=2, rows_by_status='{"attributed": 2}'),
    ]
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED), row(ATTRIBUTED, 2, retailer="bolt")]), (SLO, told))
    health = health_of(store, tmp_path, settings)
    whole, acme = of_log(health, name), of_log(health, name, "acme")
    assert json.loads(whole["rows_by_status"]) == {"attributed": 9, "attributed_degraded_x": 1}
    assert json.loads(acme["rows_by_status"]) == {"attributed": 7, "attributed_degraded_x": 1}
    assert (whole["rows_live"], whole["degraded_share"]) == (10, pytest.approx(0.1))
    assert acme["degraded_share"] == pytest.approx(1 / 8)
    days = health[HEALTH_DAYS].select("retailer", "business_day", "degraded_share").rows()
    assert days == [
        ("acme", DAY + timedelta(1), 0.25),
        ("acme", DAY + timedelta(2), 0),
        ("bolt", DAY + timedelta(1), 0),
    ]


def test_a_status_that_is_no_json_spoils_nothing_else(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    name = ATTRIBUTED.name
    told = [level(name, 1, rows_by_status="{torn"), level(name, 2, rows_by_status='{"attributed": 2}')]
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED)]), (SLO, told))
    assert json.loads(of_log(health_of(store, tmp_path, settings), name)["rows_by_status"]) == {"attributed": 2}


def test_open_dead_letters_are_counted_apart_from_all_there_ever_were(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    letter = dict.fromkeys(DEAD_LETTER.names()) | {
        "retailer": "acme",
        "raw_payload": "x",
        "error_code": "e",
        "error": "e",
    }
    frame = pl.DataFrame([letter | {"source_row": n} for n in range(3)], schema=DEAD_LETTER)
    with store.transaction() as tx:
        rows = ATTRIBUTED.conform(pl.DataFrame([row(ATTRIBUTED)]))
        tx.append(ATTRIBUTED, rows, ALL_DAYS, PROVENANCE, dead_letters=frame)
    seen = of_log(health_of(store, tmp_path, settings), ATTRIBUTED.name, "acme")
    assert (seen["dead_letters"], seen["dead_letters_ever"], seen["dead_letter_share"]) == (3, 3, 0.75)


def test_what_is_degraded_is_named_with_its_reason_until_it_heals(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    hurt = {"is_degraded": True, "degraded_reasons": ["context_down", "promotions_down"]}
    whole: dict[str, Any] = {"is_degraded": False, "degraded_reasons": []}
    rows = [row(ATTRIBUTED, 1, **hurt), row(ATTRIBUTED, 2, tick=3, **hurt), row(ATTRIBUTED, 3, **whole)]
    wrote(store, (ATTRIBUTED, rows))
    seen = health_of(store, tmp_path, settings)[HEALTH_DEGRADED]
    assert seen.select("log", "retailer", "reason", "rows", "days").rows() == [
        (ATTRIBUTED.name, "acme", reason, 2, 2) for reason in ("context_down", "promotions_down")
    ]
    half = {"is_degraded": True, "degraded_reasons": ["context_down"]}
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED, 1, **half), row(ATTRIBUTED, 2, tick=3, **whole)]))
    healed = health_of(store, tmp_path, settings)[HEALTH_DEGRADED]
    assert healed.select("reason", "rows", "days").rows() == [("context_down", 1, 1)]


def test_a_round_of_recall_is_not_waited_for_to_heal(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    hurt = {"is_degraded": True, "degraded_reasons": ["context_down"]}
    wrote(store, (REATTRIBUTED, [row(REATTRIBUTED, 1, round=1, **hurt)]))
    assert health_of(store, tmp_path, settings)[HEALTH_DEGRADED].is_empty()


def test_objectives_show_their_newest_judgement(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    wrote(store, (SLO_RESULTS, [result(), result("detection_is_fresh", "acme", value=None, state="unknown")]))
    wrote(store, (SLO_RESULTS, [result(state="breached", value=45.0, budget_left=0.2)]))
    seen = health_of(store, tmp_path, settings)[HEALTH_OBJECTIVES]
    assert seen.select("objective", "subject", "state", "value", "budget_left").rows() == [
        ("detection_is_fresh", "acme", "unknown", None, None),
        ("sales_arrive_on_time", "*", "breached", 45.0, 0.2),
    ]


def test_alerts_are_listed_while_open_and_while_somebody_was_not_told(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    changes = [alert(1), alert(2), alert(2, 2, state="resolved"), alert(3), alert(3, 2, state="resolved"), alert(4)]
    tries = [
        delivery(1, "failed"),
        delivery(1, "sent", attempt=2),
        delivery(2, "sent"),
        delivery(2, "sent", change=2),
        delivery(3, "sent"),
        delivery(3, "given_up", change=2),
        delivery(4, "sent", channel="mail"),
        delivery(4, "failed", channel="pager"),
    ]
    wrote(store, (ALERTS, changes), (DELIVERIES, tries))
    seen = health_of(store, tmp_path, settings)[HEALTH_ALERTS].select("title", "state", "undelivered_to")
    assert seen.rows() == [
        ("Alert 1", "open", []),
        ("Alert 3", "resolved", ["pager"]),
        ("Alert 4", "open", ["pager"]),
    ]


def test_an_alert_that_somebody_silenced_says_until_when(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    silences = [silence("slo:*:acme", 4), silence("slo:*", 6), silence("missing:*", 8)]
    names = ("slo:sales_arrive_on_time:acme", "slo:detection_is_fresh:bolts", "channel:pager")
    alerts = [alert(n, fingerprint=name) for n, name in enumerate(names, start=1)]
    wrote(store, (ALERTS, alerts), (SILENCES, silences))
    seen = health_of(store, tmp_path, settings)[HEALTH_ALERTS]
    assert seen["silent_until"].to_list() == [NOON + timedelta(hours=6), NOON + timedelta(hours=6), None]


def test_a_plan_waits_until_a_later_or_equal_one_of_its_retailer_is_done(
    store: LogStore, tmp_path: Path, settings: Settings
) -> None:
    def plan(name: str, state: str, hour: int, retailer: str = "acme") -> dict[str, Any]:
        own = {"retailer": retailer, "business_day": DAY, "plan_id": name, "first_day": DAY, "last_day": DAY}
        lists = {"days_changed": [], "triggers": [], "assets": [], "steps": [], "stores_changed": 0}
        return own | lists | {"purpose": "replay", "state": state, "inputs_written_at": NOON + timedelta(hours=hour)}

    wrote(
        store,
        (REPLAY_PLANS, [plan("old", "planned", 1), plan("done", "done", 2), plan("new", "held", 3)]),
        (REPLAY_PLANS, [plan("bolts", "planned", 1, "bolt")]),
    )
    seen = health_of(store, tmp_path, settings)[HEALTH_PLANS]
    assert set(seen.select("plan_id", "state").rows()) == {("new", "held"), ("bolts", "planned")}


def test_what_keeps_failing_is_folded_from_its_outcomes(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    for _ in range(3):
        with store.transaction() as tx:
            note_failure(tx, "feed:promotions:acme", OSError("no route"), PROVENANCE)
            retry_after = tx.now
    (seen,) = health_of(store, tmp_path, settings, retry_after + minutes(1)).failing
    assert (seen.name, seen.state, seen.failures, seen.detail) == (
        "feed:promotions:acme",
        "open",
        3,
        "OSError: no route",
    )
    (later,) = read(tmp_path, settings, retry_after + minutes(6)).failing
    assert later.state == "half_open"


def test_rows_of_another_namespace_are_not_counted(store: LogStore, tmp_path: Path, settings: Settings) -> None:
    wrote(store, (ATTRIBUTED, [row(ATTRIBUTED)]), (SLO, [level(ATTRIBUTED.name)]))
    with store.transaction() as tx:
        tx.start_run("run-0002", NOON, PROVENANCE)
    health = health_of(store, tmp_path, settings)
    assert health.run_id == "run-0002" != SYSTEM_RUN
    assert health[HEALTH_LOGS].is_empty()
