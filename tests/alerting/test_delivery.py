"""Delivery to real receivers on this machine: nothing is lost, and what comes twice can be told."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mrs_assets.alert_watch.books import append, history
from mrs_assets.alert_watch.delivering import DELIVERING, deliver
from mrs_assets.alert_watch.raising import raise_alerts
from mrs_assets.alerting.condition import Condition, together
from mrs_assets.alerting.note import Note, open_alerts
from mrs_assets.alerting.rules.missing_inputs import BREAKER_STATES, DEGRADED_ROWS, missing_inputs
from mrs_assets.alerting.rules.service_levels import service_levels
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES, SILENCES
from mrs_assets.contracts.settings import Settings
from mrs_resources.log_store import SYSTEM_RUN
from mrs_resources.notifier import Notifier
from mrs_resources.warehouse import Warehouse
from tests.alerting.faults import MORNING, condition, look
from tests.alerting.receivers import mail_server, webhook
from tests.conftest import SteppingClock

ADDRESS = "MRS_TEST_ADDRESS"
OTHER = "MRS_TEST_OTHER_ADDRESS"


class Desk:
    """A home whose alerts are raised and delivered by hand.

    Attributes:
        printed: what the console channel said.
    """

    def __init__(self, home: Path, clock: SteppingClock, addresses: dict[str, str], **alerts: Any) -> None:
        declared = {"home": home, "retailers": {"acme": {"timezone": "Europe/London"}}, "alerts": alerts}
        self.settings = Settings.model_validate(declared)
        self.warehouse = Warehouse(home, clock)
        self.clock = clock
        self.printed: list[str] = []
        self._addresses = addresses

    def look(self, *conditions: Condition) -> list[Note]:
        with self.warehouse.store.transaction() as tx:
            return raise_alerts(tx, self.settings, lambda _: look(*conditions), DELIVERING)

    def deliver(self, seconds: float = 0.5) -> Counter[tuple[str, str]]:
        return deliver(self.warehouse, self.settings, Notifier(seconds, self._addresses, self.printed.append))

    def later(self, **time: float) -> None:
        self.clock.now += timedelta(**time)

    def rows(self, contract: Any) -> pl.DataFrame:
        with self.warehouse.store.transaction() as tx:
            return tx.live(contract, run_id=SYSTEM_RUN)

    def open(self) -> Sequence[Note]:
        with self.warehouse.store.transaction() as tx:
            return open_alerts(history(tx))

    def silence(self, pattern: str, hours: float) -> None:
        with self.warehouse.store.transaction() as tx:
            row = {"retailer": "*", "business_day": tx.now.date(), "silence_id": f"S-{pattern}-{tx.now}"}
            row |= {"fingerprint": pattern, "since": tx.now, "until": tx.now + timedelta(hours=hours)}
            append(tx, SILENCES, pl.DataFrame([row | {"actor": "ada", "reason": "known"}]), DELIVERING)


ONE_HOOK = {"channels": {"ops": {"url_env": ADDRESS}}}


def test_a_webhook_is_told_once_that_something_began_and_once_that_it_is_over(
    tmp_path: Path, clock: SteppingClock
) -> None:
    with webhook() as hook:
        desk = Desk(tmp_path, clock, {ADDRESS: hook.url}, **ONE_HOOK)
        desk.look(condition("feed"))
        for _ in range(3):
            desk.deliver()
        desk.look()
        desk.later(hours=1)
        desk.look()
        for _ in range(3):
            desk.deliver()
    assert [(one.title, one.status) for one in hook.taken] == [
        ("[warn, open] feed is down", "warning"),
        ("[resolved] feed is down", "success"),
    ]
    assert len({one.message_id for one in hook.taken}) == 2


def test_a_mail_names_its_delivery_and_is_tried_again_under_the_same_name(tmp_path: Path, clock: SteppingClock) -> None:
    with mail_server(refusals=1) as box:
        url = f"mailto://127.0.0.1:{box.port}/ops@example.org?from=mrs@example.org"
        desk = Desk(tmp_path, clock, {ADDRESS: url}, **ONE_HOOK)
        desk.look(condition("feed", "error"))
        assert desk.deliver(5) == {("ops", "failed"): 1}
        desk.later(minutes=1)
        assert desk.deliver(5) == {("ops", "sent"): 1}
    (mail,) = box.mails
    tries = desk.rows(DELIVERIES)
    assert mail["X-MRS-Delivery-Id"] == tries["delivery_id"][0]
    assert mail["X-MRS-Message-Id"] == tries["message_id"][0]
    assert tries["message_id"].n_unique() == 1
    assert tries.sort("attempt")["outcome"].to_list() == ["failed", "sent"]
    assert "[error, open] feed is down" in str(mail["Subject"])


@pytest.mark.parametrize("seed", range(2))
def test_a_webhook_that_fails_at_random_loses_nothing_and_gets_nothing_twice_under_two_names(
    seed: int, tmp_path: Path, clock: SteppingClock
) -> None:
    with webhook(outages=0.5, seed=seed, slow_seconds=0.8) as hook:
        desk = Desk(tmp_path, clock, {ADDRESS: hook.url}, attempts=50, **ONE_HOOK)
        for minute in range(25):
            there = [condition(f"feed{n}") for n in range(6) if n * 3 <= minute]
            desk.look(*there)
            desk.deliver()
            desk.later(minutes=1)
        hook.outages = 0.0
        desk.later(hours=1)
        desk.deliver()
        assert desk.deliver() == {}
    told = desk.rows(ALERTS).filter("tells")
    sent = desk.rows(DELIVERIES).filter(pl.col("outcome") == "sent")
    assert set(told["alert_id"]) == set(sent["alert_id"])
    brought = hook.delivered()
    assert set(sent["delivery_id"]) <= set(brought)
    said = Counter((taken.title, delivery) for delivery, taken in brought.items())
    assert max(said.values()) == 1
    changes = {(row["alert_id"], row["change"]): row["delivery_id"] for row in sent.to_dicts()}
    assert len(set(changes.values())) == sent["delivery_id"].n_unique() == sent.height  # one name per change
    assert len({taken.message_id for taken in hook.taken}) <= desk.rows(DELIVERIES)["message_id"].n_unique()


def test_what_piles_up_behind_a_broken_channel_comes_as_one_digest_and_no_other_channel_waits(
    tmp_path: Path, clock: SteppingClock
) -> None:
    with webhook(outages=1.0, slow_seconds=0.1) as broken, webhook() as sound:
        channels = {"ops": {"url_env": ADDRESS}, "chat": {"url_env": OTHER}}
        desk = Desk(tmp_path, clock, {ADDRESS: broken.url, OTHER: sound.url}, channels=channels, attempts=30)
        for n in range(5):
            desk.look(*(condition(f"feed{m}") for m in range(n + 1)))
            desk.deliver()
            assert len(sound.taken) == n + 1
        broken.outages = 0.0
        broken.taken.clear()
        desk.later(hours=1)
        desk.deliver()
    assert [len(one.delivery_ids) for one in broken.taken] == [1, 4]
    assert broken.taken[1].title == "[warn] 4 alerts: 4 open"


def test_a_pager_gets_one_message_per_alert(tmp_path: Path, clock: SteppingClock) -> None:
    with webhook() as hook:
        desk = Desk(tmp_path, clock, {ADDRESS: hook.url}, channels={"pager": {"url_env": ADDRESS, "digest": False}})
        desk.look(*(condition(f"feed{n}") for n in range(3)))
        desk.deliver()
    assert [len(one.delivery_ids) for one in hook.taken] == [1, 1, 1]


def test_a_channel_that_is_given_up_on_is_an_alert_of_its_own_on_the_console_until_it_takes_one(
    tmp_path: Path, clock: SteppingClock
) -> None:
    with webhook(outages=1.0, slow_seconds=0.1) as hook:
        desk = Desk(tmp_path, clock, {ADDRESS: hook.url}, attempts=3, **ONE_HOOK)
        desk.look(condition("feed"))
        outcomes: Counter[tuple[str, str]] = Counter()
        for _ in range(4):
            outcomes += desk.deliver()
            desk.later(minutes=5)
        assert outcomes == {("ops", "failed"): 2, ("ops", "given_up"): 1, ("console", "sent"): 1}
        assert "The channel ops does not take alerts" in desk.printed[0]
        hook.outages = 0.0
        desk.look(condition("feed", "error"))
        desk.deliver()
        desk.later(hours=1)
        desk.deliver()
    assert [note.fingerprint for note in desk.open()] == ["feed"]
    assert "[resolved] The channel ops does not take alerts" in desk.printed[-1]


def test_a_variable_that_is_not_set_is_told_and_blocks_nobody(tmp_path: Path, clock: SteppingClock) -> None:
    desk = Desk(tmp_path, clock, {}, channels={"ops": {"url_env": ADDRESS}, "console": {}})
    desk.look(condition("feed"))
    assert desk.deliver() == {("ops", "failed"): 1, ("console", "sent"): 1}
    assert ADDRESS in desk.rows(DELIVERIES).filter(channel="ops")["detail"][0]


@pytest.mark.parametrize(
    "address", ["json://127.0.0.1:{port}/services/s3cr3t-t0ken", "nonsense://s3cr3t-t0ken", "s3cr3t-t0ken"]
)
def test_no_address_is_written_or_logged_when_a_channel_fails(
    address: str,
    tmp_path: Path,
    clock: SteppingClock,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with webhook(outages=1.0, slow_seconds=0.1) as hook:
        desk = Desk(tmp_path, clock, {ADDRESS: address.format(port=hook.port)}, attempts=2, **ONE_HOOK)
        desk.look(condition("feed"))
        for _ in range(3):
            desk.deliver()
            desk.later(minutes=30)
    details = desk.rows(DELIVERIES).filter(channel="ops")["detail"]
    assert details.drop_nulls().len() == 2
    everything = caplog.text + "".join(capfd.readouterr()) + "".join(desk.printed) + "".join(details.drop_nulls())
    everything += "".join(str(row) for contract in (ALERTS, DELIVERIES) for row in desk.rows(contract).to_dicts())
    assert "s3cr3t" not in everything
    assert "t0ken" not in (tmp_path / "warehouse" / "mrs.duckdb").read_bytes().decode("latin-1")


def test_a_silence_ends_and_what_is_still_open_is_told_then(tmp_path: Path, clock: SteppingClock) -> None:
    desk = Desk(tmp_path, clock, {})
    desk.silence("feed*", hours=2)
    desk.look(condition("feed1"), condition("sensor"))
    desk.deliver()
    assert [words.splitlines()[0] for words in desk.printed] == ["[warn, open] sensor is down"]
    desk.later(hours=3)
    desk.deliver()
    assert [words.splitlines()[0] for words in desk.printed][1:] == ["[warn, open] feed1 is down"]


def test_what_began_and_ended_within_a_silence_is_never_told(tmp_path: Path, clock: SteppingClock) -> None:
    desk = Desk(tmp_path, clock, {})
    desk.silence("feed", hours=5)
    desk.look(condition("feed"))
    desk.later(hours=1)
    desk.look()
    desk.later(hours=1)
    assert [note.state for note in desk.look()] == ["resolved"]
    desk.later(hours=9)
    desk.deliver()
    assert desk.printed == []


def test_who_heard_that_it_began_hears_that_it_is_over_silence_or_not(tmp_path: Path, clock: SteppingClock) -> None:
    desk = Desk(tmp_path, clock, {})
    desk.look(condition("feed"))
    desk.deliver()
    desk.silence("*", hours=9)
    desk.look()
    desk.later(hours=1)
    desk.look()
    desk.deliver()
    assert [words.splitlines()[0] for words in desk.printed] == ["[warn, open] feed is down", "[resolved] feed is down"]


def test_alerts_go_to_whom_they_concern(tmp_path: Path, clock: SteppingClock) -> None:
    with webhook() as one, webhook() as other:
        channels = {
            "acme": {"url_env": ADDRESS, "retailers": ["acme"], "minimum_severity": "warn"},
            "north": {"url_env": OTHER, "kinds": ["business"], "regions": ["north"], "categories": ["Price"]},
        }
        desk = Desk(tmp_path, clock, {ADDRESS: one.url, OTHER: other.url}, channels=channels)
        event: dict[str, Any] = {"categories": ("Price",), "regions": ("north", "west")}
        desk.look(
            condition("ours", retailers=("acme",)),
            condition("theirs", retailers=("beta",)),
            condition("everybodys"),
            condition("minor", "info"),
            Condition("event:1", "made_up", "business", "warn", "event one", "north", ("beta",), **event),
            Condition(
                "event:2", "made_up", "business", "warn", "event two", "south", ("beta",), ("south",), ("Price",)
            ),
        )
        desk.deliver()
    (digest,), (event_mail,) = one.taken, other.taken
    assert len(digest.delivery_ids) == 2
    assert "ours" in digest.text
    assert "everybodys" in digest.text
    assert event_mail.title == "[warn, open] event one"


def test_telling_of_a_state_is_no_new_state_and_delivering_again_writes_nothing(
    tmp_path: Path, clock: SteppingClock
) -> None:
    desk = Desk(tmp_path, clock, {})
    desk.look(condition("feed"))
    desk.deliver()
    before = desk.rows(DELIVERIES).height
    desk.look(condition("feed"))
    assert desk.deliver() == {}
    assert desk.rows(DELIVERIES).height == before
    assert desk.rows(ALERTS).height == 1


def test_a_dead_feed_that_degrades_six_logs_of_20_days_opens_a_breaker_and_misses_an_objective_is_one_message(
    tmp_path: Path, clock: SteppingClock
) -> None:
    rows = [
        {"log": f"log{n}", "retailer": "acme", "reason": "promotions_down", "days": 20, "rows": 400}
        | {"first_day": MORNING.date(), "last_day": MORNING.date(), "waits_for": "promotions_log", "fallback_of": None}
        for n in range(6)
    ]
    broken = {"breaker": "feed:promotions:acme", "state": "open", "failures": 3, "detail": "no column `sku`"}
    broken |= {"reason": "promotions_down", "retailer": "acme"}
    missed = {"objective": "reports_are_attributed_in_time", "subject": "acme", "state": "breached", "burn": "none"}
    missed |= {"severity": "warn", "value": 0.4, "limit": 0.8, "unit": "share", "window": "7 days"}
    results = pl.DataFrame([missed], schema_overrides={"worst": pl.String}).with_columns(
        pl.lit(None, pl.String).alias("worst"), pl.lit(None, pl.Float64).alias("budget_left")
    )
    with webhook() as hook:
        desk = Desk(tmp_path, clock, {ADDRESS: hook.url}, **ONE_HOOK)
        degraded = pl.DataFrame(rows, schema=DEGRADED_ROWS)
        found = together(
            [
                missing_inputs(pl.DataFrame([broken], schema=BREAKER_STATES), degraded, None),
                service_levels(results, ["acme"], {}, None),
            ]
        )
        for _ in range(3):
            with desk.warehouse.store.transaction() as tx:
                raise_alerts(tx, desk.settings, lambda _: found, DELIVERING)
            desk.deliver()
    (message,) = hook.taken
    assert message.title == "[error, open] feed:promotions:acme keeps failing and is left alone"
    assert "log0, log1, log2, log3, log4, log5" in message.text
    child = next(note for note in desk.open() if note.rule == "service_levels")
    assert child.parent_id == next(note.alert_id for note in desk.open() if note.rule == "missing_inputs")
