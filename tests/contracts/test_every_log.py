"""Conformance: what holds for every log there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import ContractBroken
from mrs_assets.contracts.logs.catalogue import LOGS, find
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, LogStore
from tests.examples import example_rows

EACH_LOG = pytest.mark.parametrize("contract", LOGS, ids=lambda c: c.name)
WRITER = Provenance("test", "1")
SOME = replace(EVER, complete=False)


@EACH_LOG
def test_every_column_is_described(contract: Contract) -> None:
    undescribed = [column for column in contract.schema if len(contract.describe(column)) < 5]
    assert undescribed == []
    assert contract.title.endswith(".")


@EACH_LOG
def test_rows_come_back_as_they_were_offered(contract: Contract, store: LogStore) -> None:
    offered = example_rows(contract)
    with store.transaction() as tx:
        result = tx.append(contract, offered, SOME, WRITER)
        kept = tx.live(contract)
    assert (result.appended, result.rejected) == (3, 0)
    assert dict(kept.schema) == dict(contract.schema)
    assert_frame_equal(kept.select(contract.body.names()), offered, check_row_order=False)


@EACH_LOG
def test_offering_again_appends_nothing(contract: Contract, store: LogStore) -> None:
    with store.transaction() as tx:
        tx.append(contract, example_rows(contract), SOME, WRITER)
    with store.transaction() as tx:
        again = tx.append(contract, example_rows(contract).reverse(), SOME, WRITER)
        assert (again.changed, again.unchanged) == (0, 3)
        assert tx.history(contract).height == 3


@EACH_LOG
def test_a_row_that_breaks_the_contract_is_dead_lettered(contract: Contract, store: LogStore) -> None:
    required = next(c for c in (*contract.key, *contract.payload) if not contract.nullable(c))
    broken = example_rows(contract).with_columns(
        pl.when(pl.int_range(pl.len()) == 1).then(None).otherwise(pl.col(required)).alias(required)
    )
    with store.transaction() as tx:
        result = tx.append(contract, broken, SOME, WRITER)
        letters = tx.query(f"SELECT * FROM {contract.name}_errors")
    assert (result.appended, result.rejected) == (2, 1)
    assert letters["error_code"].to_list() == [f"{required}_not_nullable"]
    assert '"business_day": "2024-03-02"' in letters["raw_payload"][0]


@EACH_LOG
def test_an_absent_payload_column_becomes_typed_null_and_an_unknown_one_is_refused(contract: Contract) -> None:
    rows = example_rows(contract)
    optional = [c for c in contract.payload if contract.nullable(c)]
    conformed = contract.conform(rows.drop(optional))
    assert dict(conformed.schema) == dict(contract.body)
    assert all(conformed[c].null_count() == 3 for c in optional)
    with pytest.raises(ContractBroken):
        contract.conform(rows.with_columns(surprise=pl.lit(1)))


@EACH_LOG
def test_a_log_is_found_by_name_and_by_code(contract: Contract) -> None:
    assert find(contract.name.upper()) is contract
    if contract.code:
        assert find(contract.code.lower()) is contract


@EACH_LOG
def test_a_column_gained_later_is_added_to_an_older_table(contract: Contract, store: LogStore, tmp_path: Path) -> None:
    optional = next((c for c in contract.payload if contract.nullable(c)), None)
    with store.transaction() as tx:
        tx.append(contract, example_rows(contract), SOME, WRITER)
        dropped = optional or "model_version"
        tx.connection.execute(f'ALTER TABLE {contract.name} DROP COLUMN "{dropped}"')
    corrected = example_rows(contract, variant=1)
    with LogStore(tmp_path).transaction() as tx:
        assert tx.live(contract)[dropped].null_count() == 3
        tx.append(contract, corrected, SOME, WRITER)
        kept = tx.live(contract)
        tx.append(contract, corrected.head(0), EVER, WRITER)
        retracted = tx.history(contract).filter("is_retracted")
    names = contract.body.names()
    assert_frame_equal(kept.select(names), corrected, check_row_order=False)
    assert_frame_equal(retracted.select(names), corrected, check_row_order=False)
