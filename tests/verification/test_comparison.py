"""Two states are compared by what they say: keys with NULLs in them, values of any type, former beliefs apart."""

from __future__ import annotations

import polars as pl

from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.views import MINORITY_REPORTS
from mrs_assets.verification.comparison import SetApart, difference
from tests.examples import example_rows


def test_every_kind_of_difference_is_counted_and_put_into_words() -> None:
    rows = example_rows(PROMOTIONS, 4).with_columns(store_id=pl.lit(None, dtype=pl.String))
    assert difference("p", PROMOTIONS.key, rows, rows.reverse()).is_none
    other = rows.head(3).with_columns(
        degraded_reasons=pl.when(pl.col("promotion_id") == rows["promotion_id"][1])
        .then(pl.lit(["MRCL_down"]))
        .otherwise("degraded_reasons")
    )
    found = pl.concat([other, example_rows(PROMOTIONS, 5).tail(1)])
    change = difference("p", PROMOTIONS.key, rows, found)
    assert (change.missing, change.unexpected, change.changed) == (1, 1, 1)
    assert change.coverage == 3 / 5
    assert [("missing" in word, "not expected" in word, "MRCL_down" in word) for word in change.examples] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_nothing_against_nothing_is_equal() -> None:
    none = PROMOTIONS.empty()
    change = difference("p", PROMOTIONS.key, none, none)
    assert (change.is_none, change.coverage) == (True, 1.0)


def test_a_report_that_is_withdrawn_is_missing_and_what_was_withdrawn_on_both_sides_is_history() -> None:
    reports = pl.DataFrame(
        {
            "report_id": ["a", "b", "c"],
            "resolution_reason": [None, "recovered", "data correction"],
            "severity": [1, 2, 3],
        }
    )
    name, key = MINORITY_REPORTS.name, [MINORITY_REPORTS.key]
    aged = reports.with_columns(severity=pl.when(report_id="c").then(9).otherwise("severity"))
    change = difference(name, key, reports, aged)
    assert (change.is_none, change.former) == (True, 1)
    withdrawn = reports.with_columns(
        resolution_reason=pl.when(report_id="a").then(pl.lit("data correction")).otherwise("resolution_reason")
    )
    assert difference(name, key, reports, withdrawn).missing == 1
    assert difference(name, key, withdrawn, reports).unexpected == 1


def test_what_two_rules_set_apart_between_them_is_no_difference() -> None:
    expected = pl.DataFrame({"report_id": ["a", "b", "c"], "cause": ["x", "x", "x"], "shape": ["p", "p", "p"]})
    found = expected.with_columns(cause=pl.lit("y"), shape=pl.Series(["q", "q", "p"]))
    by_words = SetApart("words", pl.DataFrame({"report_id": ["a", "b"]}), frozenset({"cause"}))
    by_recall = SetApart("recall", pl.DataFrame({"report_id": ["a", "c"]}), frozenset({"shape"}))
    told = difference("minority_reports", ["report_id"], expected, found, [by_words, by_recall])
    assert (told.changed, told.apart) == (2, (("recall", 1),))
    assert told.examples == ("b: shape 'p' → 'q'", "c: cause 'x' → 'y'")
