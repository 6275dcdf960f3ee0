"""Compares what two states say, dataset by dataset and row by row: content, not who wrote it and when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.catalogue import COMPUTED, LOGS
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.model_registry import MODEL_REGISTRY
from mrs_assets.contracts.logs.proposed_clusters import PROPOSED_CLUSTERS
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.views import VIEWS, View
from mrs_assets.finalisation.rebase import NEEDS_REVIEW
from mrs_assets.hydration.folds import FOLDS
from mrs_resources.hydrator import Hydrator
from mrs_resources.log_store import EVER, LogStore, Transaction

_DECIDED = (MODEL_REGISTRY, PROPOSED_CLUSTERS)
COMPARED = tuple(log for log in COMPUTED if log not in _DECIDED)
"""Logs whose live rows follow from the files that arrived and from the models in force."""

EXAMPLES = 3
"""Differing rows that a difference puts into words."""

_NOT_CONTENT = {"known_at", "group_supersedes", *(name for log in LOGS for name in log.lineage)}
"""Columns of views that tell when something became known and what was said before: history, as lineage is of logs."""

_THERE = "there:"

WITHDRAWN = pl.col("resolution_reason").is_in([CORRECTED, "superseded"]).fill_null(value=False)
"""Which records are of a report or event that was once believed in and is no longer true, or is another one now."""

_WITH_FORMER_BELIEFS = frozenset({ENDED.name, EVENTS.name, FINALISED.name, *(view.name for view in VIEWS)})


@dataclass(frozen=True)
class Difference:
    """How the rows found differ from those expected, in one dataset.

    Attributes:
        dataset: name of the log or view.
        expected, found: rows on either side.
        missing: keys that were expected and not found.
        unexpected: keys that were found and not expected.
        changed: keys on both sides whose rows are not the same.
        examples: the first of these, by key, in words.
        former: records of what was withdrawn that only one side has or that differ; counted nowhere else. They keep
            what was believed for a while, so that they tell the history of a state and not what it says now.
        apart: further differences that are counted nowhere else, as (reason, keys), sorted.
    """

    dataset: str
    expected: int
    found: int
    missing: int = 0
    unexpected: int = 0
    changed: int = 0
    examples: tuple[str, ...] = ()
    former: int = 0
    apart: tuple[tuple[str, int], ...] = ()

    @property
    def is_none(self) -> bool:
        """Whether both sides say the same."""
        return not (self.missing or self.unexpected or self.changed)

    @property
    def coverage(self) -> float:
        """Share of all keys, of either side, that both sides have; 1 where there are none."""
        shared = self.expected - self.missing
        return shared / every if (every := shared + self.missing + self.unexpected) else 1.0


@dataclass(frozen=True)
class SetApart:
    """Differences that are no error, counted on their own.

    Attributes:
        reason: why, in a short word.
        where: values of some of the dataset's columns: the rows concerned.
        columns: those in which such a row may differ; None: all of it may, and it may be on one side only. In others it
            may where another rule says so.
    """

    reason: str
    where: pl.DataFrame
    columns: frozenset[str] | None = None


def difference(
    dataset: str,
    key: Sequence[str],
    expected: pl.DataFrame,
    found: pl.DataFrame,
    set_apart: Sequence[SetApart] = (),
) -> Difference:
    """Compare two frames of the same columns, of which `key` identifies a row; NULL equals NULL."""
    if dataset in _WITH_FORMER_BELIEFS and "resolution_reason" in expected.columns:
        before, after = expected.filter(WITHDRAWN), found.filter(WITHDRAWN)
        former = _difference(dataset, key, before, after)
        now = _difference(dataset, key, expected.filter(~WITHDRAWN), found.filter(~WITHDRAWN), set_apart)
        return replace(now, former=former.missing + former.unexpected + former.changed)
    return _difference(dataset, key, expected, found, set_apart)


def _difference(
    dataset: str,
    key: Sequence[str],
    expected: pl.DataFrame,
    found: pl.DataFrame,
    set_apart: Sequence[SetApart] = (),
) -> Difference:
    keys = list(key)
    values = [name for name in expected.columns if name not in keys]
    missing = expected.join(found, on=keys, how="anti", nulls_equal=True)
    unexpected = found.join(expected, on=keys, how="anti", nulls_equal=True)
    beside = found.rename({name: _THERE + name for name in values})
    both = expected.join(beside, on=keys, how="inner", nulls_equal=True)
    changed = both.filter(_differs(values))
    counts: Counter[str] = Counter()
    for rule in set_apart:
        excused = {_THERE + name: pl.col(name) for name in values if name in (rule.columns or values)}
        concerned = _concerned(changed, rule).with_columns(**excused)
        left = concerned.filter(_differs(values))
        counts[rule.reason] += concerned.height - left.height
        changed = pl.concat([_concerned(changed, rule, how="anti"), left])
        if rule.columns is None:
            counts[rule.reason] += _concerned(missing, rule).height + _concerned(unexpected, rule).height
            missing, unexpected = (_concerned(rows, rule, how="anti") for rows in (missing, unexpected))
    told = [
        *(f"{_named(row, keys)} is missing" for row in missing.sort(keys).head(EXAMPLES).to_dicts()),
        *(f"{_named(row, keys)} was not expected" for row in unexpected.sort(keys).head(EXAMPLES).to_dicts()),
        *(f"{_named(row, keys)}: {_moved(row, values)}" for row in changed.sort(keys).head(EXAMPLES).to_dicts()),
    ]
    differ = (missing.height, unexpected.height, changed.height)
    kept_apart = tuple(sorted((+counts).items()))
    return Difference(dataset, expected.height, found.height, *differ, examples=tuple(told), apart=kept_apart)


def _concerned(rows: pl.DataFrame, rule: SetApart, how: Literal["semi", "anti"] = "semi") -> pl.DataFrame:
    return rows.join(rule.where, on=rule.where.columns, how=how)


def _differs(values: Sequence[str]) -> pl.Expr:
    """Whether any of the columns is not the same on both sides."""
    return pl.any_horizontal(pl.lit(value=False), *map(_is_other, values))


def log_content(tx: Transaction, log: Contract, scope: Scope = EVER, run_id: str | None = None) -> pl.DataFrame:
    """Live rows of a log without what says who wrote them and when."""
    columns = dict.fromkeys(["retailer", "business_day", *log.hashed])
    return _without_reviews(tx.live(log, scope, run_id=run_id).select(list(columns)))


def view_content(tx: Transaction, view: View) -> pl.DataFrame:
    """A view of the transaction's namespace, computed from the logs, without what says when it became known."""
    rows = _without_reviews(Hydrator(FOLDS).as_of(tx, view, None))
    return rows.select(name for name in rows.columns if name not in _NOT_CONTENT)


def shown_content(tx: Transaction, view: View) -> pl.DataFrame:
    """A view as its table shows it, which is the namespace in force, in the columns of `view_content`."""
    rows = _without_reviews(Hydrator(FOLDS).current(tx, view))
    return rows.select(name for name in rows.columns if name not in _NOT_CONTENT)


def _without_reviews(rows: pl.DataFrame) -> pl.DataFrame:
    """Without what compares words with former beliefs and identities: a state without that history cannot know it."""
    if "review_sides" not in rows.columns:
        return rows
    issues = pl.col("edit_issues").list
    return rows.with_columns(issues.filter(~pl.element().str.starts_with(NEEDS_REVIEW))).drop(
        "review_sides", "edited_as"
    )


def differences(
    expected: LogStore,
    expected_run: str,
    found: LogStore,
    found_run: str,
    set_apart: Mapping[str, Sequence[SetApart]] | None = None,
) -> Iterator[Difference]:
    """Compare the live state of a run in one warehouse with that of a run in another, one dataset at a time.

    A view is taken from its table where the run is the one in force, so that what readers see is what is compared.

    Args:
        expected: the warehouse that is right by definition.
        expected_run: its namespace.
        found: the warehouse that is to be like it.
        found_run: its namespace.
        set_apart: dataset → differences that are no error.
    """
    apart = set_apart or {}
    for log in COMPARED:
        with expected.looking() as tx:
            right = log_content(tx, log, run_id=expected_run)
        with found.looking() as tx:
            told = log_content(tx, log, run_id=found_run)
        yield difference(log.name, log.key, right, told, apart.get(log.name, ()))
    for view in VIEWS:
        right, told = _view_of(expected, view, expected_run), _view_of(found, view, found_run)
        yield difference(view.name, [view.key], right, told, apart.get(view.name, ()))


def _view_of(store: LogStore, view: View, run_id: str) -> pl.DataFrame:
    with store.looking() as tx:
        if tx.run_id == run_id:
            return shown_content(tx, view)
        tx.run_id = run_id
        return view_content(tx, view)


def _is_other(name: str) -> pl.Expr:
    """Whether a column is not the same on both sides; what needs review hides what a person asked for before."""
    here, there, hides = pl.col(name), pl.col(_THERE + name), pl.lit(NEEDS_REVIEW)
    if name != "review_state":
        return here.ne_missing(there)
    return here.ne_missing(there) & here.ne_missing(hides) & there.ne_missing(hides)


def _named(row: dict[str, object], keys: Sequence[str]) -> str:
    return " ".join(str(row[name]) for name in keys)


def _moved(row: dict[str, object], values: Sequence[str]) -> str:
    moved = [name for name in values if row[name] != row[_THERE + name]]
    return ", ".join(f"{name} {row[name]!r} → {row[_THERE + name]!r}" for name in moved[:EXAMPLES])
