"""Which stores feel rows of other stores: those with an answer to which these matter, as the answers say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

import polars as pl

from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Inputs, Others, Stage
from mrs_assets.planning.reach import Days, joined
from mrs_resources.log_store import Transaction

HELD_AT_ONCE = timedelta(days=28)
"""Days of which what other stores show is held at once."""


def concerned(
    tx: Transaction, stage: Stage, others: Others, days: pl.DataFrame, retailer: str | None, settings: Settings
) -> pl.DataFrame:
    """Of the days on which rows of other stores are felt, the stores that feel them.

    Args:
        tx: the open transaction.
        stage: whose answers.
        others: what an input of it declares of them.
        days: store_id (NULL: all), day, written_at.
        retailer: whose; None: everybody's.
        settings: everything configured.

    Returns:
        The same columns. Where the declaration does not tell stores apart, store_id is NULL still.
    """
    if days.is_empty():
        return days
    spans = joined((day, day) for day in days["day"])
    if others.told_by is not None:
        answers = _that_compare(tx, stage, others.told_by, Scope(spans[0][0], spans[-1][1], retailer))
    elif others.outdated is not None:
        found = [_outdated(tx, stage, others.outdated, scope, settings) for scope in _scopes(spans, retailer)]
        answers = pl.concat(found)
    else:
        return days
    whose = answers.select("store_id", day="business_day").unique()
    return days.drop("store_id").join(whose, on="day").select(days.columns)


def _that_compare(tx: Transaction, stage: Stage, told_by: str, scope: Scope) -> pl.DataFrame:
    answers = tx.live(stage.writes[0], scope, columns=["store_id", "business_day", told_by], in_order=False)
    return answers.filter(pl.col(told_by).fill_null(value=True))


def _outdated(
    tx: Transaction,
    stage: Stage,
    outdated: Callable[[Inputs, pl.DataFrame], pl.DataFrame],
    scope: Scope,
    settings: Settings,
) -> pl.DataFrame:
    log = stage.writes[0]
    answers = tx.live(log, scope, columns=list(log.body), in_order=False)
    if answers.is_empty():
        return answers
    seen = {
        name: tx.live(need.contract, need.of_others.around(scope), columns=need.columns(of_others=True), in_order=False)
        for name, need in stage.needs.items()
        if need.others is not None
    }
    return outdated(Inputs(scope, settings, seen), answers)


def _scopes(spans: Iterable[Days], retailer: str | None) -> Iterator[Scope]:
    for first, last in spans:
        for n in range((last - first) // HELD_AT_ONCE + 1):
            begin = first + n * HELD_AT_ONCE
            yield Scope(begin, min(begin + HELD_AT_ONCE - timedelta(days=1), last), retailer)
