"""The fold of a breaker, its sharing through the log, and which errors are tried again."""

from __future__ import annotations

import errno
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.resilience import Breakers, Retries
from mrs_resources.breaker import Outcome, breaker, fold, note_failure, note_probe, note_success
from mrs_resources.isolation import StageKilled, StageTimedOut
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import SYSTEM_RUN, LogStore
from mrs_resources.retrying import is_transient, with_retries
from tests.conftest import SteppingClock

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
POLICY = Breakers(failures=3, pause_minutes=5, longest_pause_minutes=15)
WHO = Provenance("test", "1")


def failed(*minutes: float) -> list[Outcome]:
    return [Outcome("failed", NOON + timedelta(minutes=m), "gone") for m in minutes]


def state(outcomes: list[Outcome], minute: float) -> str:
    return fold("feed:x", outcomes, NOON + timedelta(minutes=minute), POLICY).state


def test_it_opens_after_failures_in_a_row_and_lets_one_try_after_a_pause() -> None:
    assert state([], 0) == "closed"
    assert state(failed(0, 1), 2) == "closed"
    assert state(failed(0, 1, 2), 3) == "open"
    assert state(failed(0, 1, 2), 7) == "half_open"


def test_the_pause_doubles_up_to_the_longest() -> None:
    four, six = failed(0, 1, 2, 7), failed(0, 1, 2, 7, 17, 32)
    assert (state(four, 16.9), state(four, 17)) == ("open", "half_open")
    assert (state(six, 46.9), state(six, 47)) == ("open", "half_open")


def test_a_success_closes_it_and_starts_the_count_again() -> None:
    healed = [*failed(0, 1, 2), Outcome("succeeded", NOON + timedelta(minutes=8))]
    assert state(healed, 9) == "closed"
    assert state([*healed, *failed(9, 10)], 11) == "closed"


def test_a_probe_under_way_keeps_it_open_for_others_and_not_for_ever() -> None:
    probing = [*failed(0, 1, 2), Outcome("probing", NOON + timedelta(minutes=8))]
    assert (state(probing, 9), state(probing, 13)) == ("open", "half_open")


def test_every_process_sees_the_same_state_and_health_writes_nothing(
    store: LogStore, clock: SteppingClock, tmp_path: Path
) -> None:
    with store.transaction() as tx:
        note_success(tx, breaker(tx, "stage:s", POLICY), WHO)
        assert tx.live(BREAKERS, run_id=SYSTEM_RUN).is_empty()
    for _ in range(3):
        with store.transaction() as tx:
            note_failure(tx, "stage:s", StageTimedOut("too slow"), WHO)
    other = LogStore(tmp_path, clock)
    with other.transaction() as tx:
        seen = breaker(tx, "stage:s", POLICY)
        assert (seen.state, seen.failures, seen.detail) == ("open", 3, "StageTimedOut: too slow")
        assert breaker(tx, "stage:other", POLICY).state == "closed"
    clock.now += timedelta(minutes=6)
    with store.transaction() as tx:
        note_probe(tx, "stage:s", WHO)
    with other.transaction() as tx:
        seen = breaker(tx, "stage:s", POLICY)
        assert seen.state == "open"
        note_success(tx, seen, WHO)
        assert breaker(tx, "stage:s", POLICY).state == "closed"


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (OSError(errno.ENOSPC, "full"), True),
        (ConnectionResetError(errno.ECONNRESET, "reset"), True),
        (StageKilled("-9"), True),
        (StageTimedOut("slow"), False),
        (FileNotFoundError(errno.ENOENT, "none"), False),
        (ValueError("no"), False),
    ],
)
def test_only_errors_that_may_pass_are_tried_again(error: Exception, transient: bool) -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise error

    pauses: list[float] = []
    with pytest.raises(type(error)):
        with_retries(work, Retries(attempts=3), sleep=pauses.append)
    assert is_transient(error) is transient
    assert len(tries) == (3 if transient else 1)
    assert len(pauses) == len(tries) - 1


def test_no_try_begins_after_the_budget() -> None:
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        raise StageKilled("-9")

    with pytest.raises(StageKilled):
        with_retries(work, Retries(attempts=9, first_pause_seconds=5, budget_seconds=1), sleep=lambda _: None)
    assert len(tries) == 1
