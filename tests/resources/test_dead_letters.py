"""Dead letters: what identifies one, and every way in which it comes to rest. None is ever deleted."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.dead_letters import DEAD_LETTERS_RESOLVED
from mrs_resources.dead_letters import dismiss, letters
from mrs_resources.kernel import Provenance
from tests.feeds.door import HEADER, Door, csv

COMMAS = f'{HEADER}\ns,a,2024-03-01,"12,5",\ns,b,2024-03-01,7,\n'


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def all_letters(door: Door) -> pl.DataFrame:
    with door.store.transaction() as tx:
        return letters(tx)


def units(door: Door) -> dict[str, Decimal | None]:
    return dict(door.live().select("sku", "units").rows())


def test_a_letter_is_known_by_what_it_says_and_where_it_stood(door: Door) -> None:
    file_hash = door.send(COMMAS).arrival.file_hash
    raw = '{"store_id":"s","sku":"a","ts":"2024-03-01","units":"12,5","revenue":null}'
    parts = ["unified_sales_data", f"sales/acme/{file_hash[:12]}", "1", "not_a_number", raw]
    digest = hashlib.sha256("|".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
    (letter,) = all_letters(door).to_dicts()
    assert letter["letter_id"] == f"DL-{digest[:20]}"
    assert (letter["raw_payload"], letter["state"]) == (raw, "open")
    with door.store.transaction() as tx:
        tx.start_run("run-0002", datetime(1970, 1, 1, tzinfo=UTC), Provenance("test", "1"))
    door.admit()
    assert all_letters(door)["letter_id"].to_list() == [letter["letter_id"]], "the same in every namespace"


def test_rows_that_todays_settings_can_read_come_in_and_their_letters_rest(door: Door) -> None:
    door.send(csv([("s", "z", "2024-03-01", 3, 1)]))
    door.send(COMMAS)
    refused = door.letters()
    door.configure(decimal_sign=",")
    (again,) = door.retry()
    assert (again.received, again.accepted, again.duplicate, again.dead_lettered, again.resolved) == (2, 1, 1, 0, 1)
    assert units(door) == {"a": Decimal("12.5"), "b": Decimal(7), "z": Decimal(3)}, "nothing else is touched"
    assert door.letters().equals(refused), "no letter is deleted"
    (letter,) = all_letters(door).to_dicts()
    assert (letter["state"], letter["resolved_by"]) == ("readmitted", "ann")
    account = door.live(ARRIVALS).filter(pl.col("file_hash") == again.arrival.file_hash).row(0, named=True)
    assert (account["rows_received"], account["rows_accepted"], account["rows_duplicate"]) == (2, 1, 1)
    before = door.written()
    assert door.retry() == []
    assert door.admit() == []
    assert door.written() == before


def test_a_retry_that_changes_nothing_writes_nothing(door: Door) -> None:
    door.send(COMMAS)
    before = door.written()
    assert [again.decision for again in door.retry()] == ["identical"]
    assert door.written() == before
    assert door.states() == {"not_a_number 1": "open"}


def test_only_the_files_asked_for_are_read_again(door: Door) -> None:
    first = door.send(COMMAS)
    door.send(f"{HEADER}\ns,c,soon,1,1\n")
    assert door.retry(retailer="nobody") == []
    assert [again.arrival.file_hash for again in door.retry(code="not_a_number")] == [first.arrival.file_hash]
    begin = first.arrival.file_hash[:8].upper()
    assert [again.arrival.file_hash for again in door.retry(file=begin)] == [first.arrival.file_hash]
    assert len(door.retry(retailer="acme")) == 2


def test_a_file_rejected_for_its_columns_is_read_once_they_are_named(door: Door) -> None:
    rejected = door.send("Laden,Artikel,Tag,Stück\ns,a,2024-03-01,4\n")
    assert door.states() == {"missing_columns None": "open"}
    door.configure(columns={"store_id": "Laden", "sku": "Artikel", "ts": "Tag", "units": "Stück"})
    (again,) = door.retry(file=rejected.arrival.file_hash[:12])
    assert (again.decision, again.accepted, again.resolved) == ("new", 1, 1)
    assert units(door) == {"a": Decimal(4)}
    assert door.states() == {"missing_columns None": "readmitted"}


def test_a_file_over_its_error_budget_comes_in_once_it_reads_well(door: Door) -> None:
    content = csv([(f"s{n}", "a", "2024-03-01", f'"{n},5"', "") for n in range(1_000)])
    assert door.send(content).decision == "rejected"
    assert [again.decision for again in door.retry()] == ["rejected"]
    door.configure(decimal_sign=",")
    (again,) = door.retry(code="over_error_budget")
    assert (again.accepted, again.dead_lettered) == (1_000, 0)
    assert door.states() == {"over_error_budget None": "readmitted"}


def test_settings_that_would_reject_an_admitted_file_leave_it_and_its_account_alone(door: Door) -> None:
    content = csv([(f"s{n}", "a", "2024-03-01", "many" if n < 10 else n, "") for n in range(1_000)])
    door.send(content)
    before = door.written()
    door.configure(error_budget=0.001)
    (again,) = door.retry()
    assert again.decision == "rejected"
    assert door.written() == before
    assert door.live(ARRIVALS)["decision"].to_list() == ["new"]


@pytest.mark.parametrize(
    "newer",
    [[("s", "a", "2024-03-01", 9, "")], [("s", "a", "2024-03-01", 3, ""), ("s", "b", "2024-03-01", 7, "")]],
    ids=["says something else", "repeats what was known before"],
)
def test_a_file_read_again_does_not_overrule_a_newer_one(door: Door, newer: list[tuple[object, ...]]) -> None:
    door.send(csv([("s", "a", "2024-03-01", 3, "")]))
    door.send(COMMAS)
    door.send(csv(newer))
    known = units(door)
    door.configure(decimal_sign=",")
    (again,) = door.retry()
    assert units(door) == known
    assert (again.accepted, again.duplicate, again.received) == (0, 2, 2)
    assert door.states() == {"not_a_number 1": "fixed"}


def test_a_retry_leaves_what_a_build_from_scratch_would(door: Door, tmp_path: Path) -> None:
    files = [
        csv([("s", "a", "2024-03-01", 3, ""), ("s", "d", "2024-03-01", 4, "")]),
        COMMAS,
        f'{HEADER}\ns,c,2024-03-01,"1,5",\ns,d,2024-03-01,8,\ns,b,2024-03-01,2,\n',
        csv([("s", "c", "2024-03-01", 6, "")]),
    ]
    for content in files:
        door.send(content)
    door.configure(decimal_sign=",")
    door.retry()
    fresh = Door(tmp_path / "fresh", decimal_sign=",")
    for content in files:
        fresh.send(content)
    assert units(door) == units(fresh)


def test_a_row_refused_for_another_reason_waits_under_that_one_and_back_again(door: Door) -> None:
    door.send("store_id,sku,Day,Other,units\ns,a,2024-03-01,soon,many\n")
    assert door.states() == {"not_a_number 1": "open"}
    door.configure(columns={"ts": "Other"})
    assert [again.resolved for again in door.retry()] == [1]
    assert door.states() == {"not_a_number 1": "replaced", "bad_timestamp 1": "open"}
    door.configure(columns={"ts": "Day"})
    assert [again.resolved for again in door.retry()] == [1]
    assert door.states() == {"not_a_number 1": "open", "bad_timestamp 1": "replaced"}


def test_a_row_that_answers_a_letter_resolves_it_when_it_comes_in(door: Door) -> None:
    door.send(COMMAS)
    (letter,) = all_letters(door)["letter_id"]
    header = f"{HEADER},answers_letter,answered_by"
    door.send(f"{header}\ns,a,2024-03-01,worse,,{letter},bob\n")
    assert "open" in door.states()["not_a_number 1"]
    door.send(f"{header}\ns,a,2024-03-01,12.5,,{letter},bob\n")
    assert units(door)["a"] == Decimal("12.5")
    resolved = all_letters(door).filter(pl.col("letter_id") == letter).row(0, named=True)
    assert (resolved["state"], resolved["resolved_by"]) == ("fixed", "bob")


def test_a_retailer_cannot_answer_for_another(tmp_path: Path) -> None:
    door = Door(tmp_path)
    door.send(COMMAS)
    (letter,) = all_letters(door)["letter_id"]
    both = {"acme": door.settings.retailers["acme"], "other": door.settings.retailers["acme"]}
    door.settings = door.settings.model_copy(update={"retailers": both})
    folder = door.archive.inbox / "sales" / "other"
    folder.mkdir(parents=True)
    (folder / "x").write_text(f"{HEADER},answers_letter\ns,a,2024-03-01,1,,{letter}\n")
    (admitted,) = door.admit()
    assert (admitted.accepted, admitted.resolved) == (1, 0)
    assert all_letters(door)["state"].to_list() == ["open"]


def test_what_a_person_dismissed_stays_so_in_a_new_namespace_until_it_comes_in(door: Door) -> None:
    door.send(COMMAS)
    with door.store.transaction() as tx:
        dismiss(tx, letters(tx), "ann", "a test till", Provenance("test", "1"))
    assert door.states() == {"not_a_number 1": "dismissed"}
    assert door.retry() == [], "nobody waits for it"
    with door.store.transaction() as tx:
        tx.start_run("run-0002", datetime(1970, 1, 1, tzinfo=UTC), Provenance("test", "1"))
    door.admit()
    assert door.states() == {"not_a_number 1": "dismissed"}
    door.configure(decimal_sign=",")
    door.send(COMMAS)
    assert door.states() == {"not_a_number 1": "readmitted"}
    with door.store.transaction() as tx:
        assert tx.history(DEAD_LETTERS_RESOLVED, run_id="system")["resolution"].to_list() == ["dismissed"]
        assert tx.history(DEAD_LETTERS_RESOLVED)["resolution"].to_list() == ["readmitted"]
