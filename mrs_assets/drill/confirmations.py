"""What a drill confirms: true sentences about the graph without an input and after it is back, with what was found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from mrs_assets.boundary.reading import InputReader
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.views import MINORITY_REPORTS, VIEWS
from mrs_assets.drill.points import Exercise, Point
from mrs_assets.graph import CLOSING, STAGES
from mrs_assets.in_process import Ran, listed
from mrs_assets.planning.plan import Plan
from mrs_assets.planning.standing import Standing, standing_list
from mrs_assets.slo.objectives import UNSEEN
from mrs_assets.verification.comparison import WITHDRAWN, Difference, difference, log_content, shown_content
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, Transaction
from mrs_resources.model_store import ModelStore

NOBODY = Provenance("drill", "0")


@dataclass(frozen=True)
class Confirmation:
    """One sentence that has to be true.

    Attributes:
        claim: the sentence.
        found: the figures behind it.
        holds: whether it is true.
    """

    claim: str
    found: str
    holds: bool


@dataclass(frozen=True)
class Observed:
    """What the graph says at one instant.

    Attributes:
        logs: content of the stage's logs and of every later one, from the first day that may change.
        views: the hydrated views, as readers see them.
        standing: the standing list.
    """

    logs: Mapping[str, pl.DataFrame]
    views: Mapping[str, pl.DataFrame]
    standing: Sequence[Standing]


def later_logs(point: Point) -> tuple[Contract, ...]:
    """Logs that a point's stage and everything after it write."""
    return (*(log for stage in STAGES[STAGES.index(point.stage) :] for log in stage.writes), FINALISED)


def observed(tx: Transaction, exercise: Exercise, settings: Settings) -> Observed:
    """Look. A record lies on the day of its onset, which may be any."""
    near = Scope(exercise.first_day, EVER.last_day)
    scopes = {log: EVER if log is FINALISED else near for log in later_logs(exercise.point)}
    return Observed(
        {log.name: log_content(tx, log, scope) for log, scope in scopes.items()},
        {view.name: shown_content(tx, view) for view in VIEWS},
        standing_list(tx, settings, STAGES, CLOSING),
    )


def without_it(exercise: Exercise, before: Observed, now: Observed, runs: Sequence[Ran]) -> Iterator[Confirmation]:
    """What has to be true while the input is gone."""
    point, stage = exercise.point, exercise.point.stage
    yield _green(runs)
    yield _told_by_its_check(point, runs)
    yield _every_report_shown(before, now)
    if stage.answers is not None:
        log = stage.writes[0]
        was, rows = (seen.logs[log.name].select(log.key) for seen in (before, now))
        change = difference(log.name, log.key, was, rows)
        yield Confirmation(f"{log.name} answers every report", f"{change.found} rows, {_told(change)}", change.is_none)
    yield from (_exactly_flagged(exercise, log, before, now) for log in stage.writes)
    if stage.answers is not None:
        yield _flagged_in_view(exercise, stage.writes[0], now)
    yield _valid(exercise, now)
    days = {day for item in now.standing if exercise.names(item) for day in item.days}
    named = days.issuperset(exercise.days)
    yield Confirmation("The standing list names it", f"{len(days)} days of {point.reason}", named)


def holds_nothing_guessed(
    tx: Transaction, exercise: Exercise, now: Observed, models: ModelStore, settings: Settings
) -> Confirmation:
    """Where the stage itself failed, its rows say what its fallback says: typed NULLs and nothing else."""
    stage = exercise.point.stage
    assert stage.fallback is not None
    log, said, left_null = stage.writes[0], [], set(stage.writes[0].payload)
    reader = InputReader(models, settings, NOBODY)
    for first, last in exercise.spans:
        whose = None if stage.span == "everything" else exercise.retailer
        fallen = log.conform(stage.fallback(reader.read(tx, stage, Scope(first, last, whose)))[log.name])
        left_null &= {name for name in log.payload if fallen[name].is_null().all()}
        said.append(fallen)
    values = [*log.key, *(name for name in log.payload if name in log.hashed and name != "report_status")]
    rows = now.logs[log.name].filter(exercise.affected).select(values)
    change = difference(log.name, log.key, pl.concat(said).select(values), rows)
    found = f"{change.found} rows, {len(left_null)} columns NULL in all of them, {_told(change)}"
    return Confirmation("Nothing is guessed: values are those of the fallback", found, change.is_none)


def healed(
    exercise: Exercise, before: Observed, now: Observed, plans: Sequence[Plan], runs: Sequence[Ran]
) -> Iterator[Confirmation]:
    """What has to be true once the input is back and the recovery planner had its say."""
    days = {day for plan in plans for day in plan.days_changed}
    steps = sum(len(plan.steps) for plan in plans)
    planned = days.issuperset(exercise.days)
    yield Confirmation("Recovery is planned", f"{len(plans)} plans, {len(days)} days, {steps} runs", planned)
    yield _green(runs)
    yield from as_before(before, now)
    still = [item for item in now.standing if exercise.names(item)]
    told = f"{sum(item.rows for item in still)} rows still degraded"
    yield Confirmation("The standing list does not name it any more", told, not still)
    unseen = [check.passed for ran in runs for check in ran.checks if check.check_name == UNSEEN]
    told = ("passed" if unseen[-1] else "failed") if unseen else "was not run"
    yield Confirmation(f"{UNSEEN} passes", told, bool(unseen) and unseen[-1])


def as_before(before: Observed, now: Observed) -> Iterator[Confirmation]:
    """Every log and view says what it said, row for row.

    A report that was raised only while the input was gone leaves a record that says that it was withdrawn.
    """
    keys = {log.name: log.key for stage in STAGES for log in stage.writes} | {FINALISED.name: FINALISED.key}
    changes = [difference(name, keys[name], rows, now.logs[name]) for name, rows in before.logs.items()]
    yield Confirmation("Every log says what it said, row for row", _summed(changes, "logs"), _same(changes))
    changes = [difference(view.name, [view.key], before.views[view.name], now.views[view.name]) for view in VIEWS]
    yield Confirmation("Every view shows what it showed, row for row", _summed(changes, "views"), _same(changes))


def _green(runs: Sequence[Ran]) -> Confirmation:
    failed = [failure for ran in runs for failure in ran.failed]
    told = f"{sum(ran.success for ran in runs)} of {len(runs)} runs" + (f"; {failed[0]}" if failed else "")
    return Confirmation("Every run is green", told, all(ran.success for ran in runs))


def _told_by_its_check(point: Point, runs: Sequence[Ran]) -> Confirmation:
    """The check of each log that the stage writes fails as a warning and names the input."""
    logs = {log.name for log in point.stage.writes}
    said = []
    for check in (check for ran in runs for check in ran.checks if check.check_name == "ran_on_all_inputs"):
        if check.asset_key.to_user_string() in logs:
            failures = listed(check, "failures")
            names = point.want in listed(check, "missing_inputs") or any(point.name in text for text in failures)
            said.append((not check.passed and names, check.severity.value))
    good = [severity for named, severity in said if named]
    holds = len(good) == len(said) >= len(logs) and set(good) == {"WARN"}
    told = f"{len(good)} of {len(said)} results, {', '.join(sorted(set(good))) or 'none'}"
    return Confirmation("ran_on_all_inputs fails as a warning and names it", told, holds)


def _every_report_shown(before: Observed, now: Observed) -> Confirmation:
    shown, was = now.views[MINORITY_REPORTS.name], before.views[MINORITY_REPORTS.name]
    gone = was.join(shown, on="report_id", how="anti")
    known = was.filter(WITHDRAWN)["report_id"]
    withdrawn = shown.filter(WITHDRAWN, ~pl.col("report_id").is_in(known.implode())).height
    told = f"{was.height - gone.height} of {was.height}" + (f", {withdrawn} of them withdrawn" if withdrawn else "")
    return Confirmation("Every report is still shown", told, gone.is_empty())


def _exactly_flagged(exercise: Exercise, log: Contract, before: Observed, now: Observed) -> Confirmation:
    rows, has = now.logs[log.name], pl.col("degraded_reasons").list.contains(exercise.point.reason)
    already = rows.join(before.logs[log.name].filter(has), on=log.key, how="semi", nulls_equal=True)
    expected = pl.concat([rows.filter(exercise.affected), already]).unique(log.key)
    change = difference(log.name, log.key, expected.select(log.key), rows.filter(has).select(log.key))
    told = f"{expected.height - change.missing} of {expected.height} rows, {change.unexpected} others"
    some = expected.height > 0 or log is not exercise.point.stage.writes[0]
    return Confirmation(f"{log.name}: exactly its rows say {exercise.point.reason}", told, change.is_none and some)


def _flagged_in_view(exercise: Exercise, log: Contract, now: Observed) -> Confirmation:
    """A report is flagged where its newest row is."""
    newest = now.logs[log.name].sort("report_id", "tick").group_by("report_id").last()
    has = pl.col("degraded_reasons").list.contains(exercise.point.reason) & pl.col("is_degraded")
    concerned = newest.filter(has)["report_id"]
    shown = now.views[MINORITY_REPORTS.name].filter(has, pl.col("report_id").is_in(concerned.implode()))
    status = shown["report_status"].str.contains("_degraded_").sum()
    told = f"{shown.height} of {concerned.len()} reports, {status} by their status"
    return Confirmation("minority_reports flags them", told, shown.height == concerned.len() == status > 0)


def _valid(exercise: Exercise, now: Observed) -> Confirmation:
    """Degraded rows keep the contract, and every view has one row per key."""
    written = [(log, now.logs[log.name].filter(exercise.affected)) for log in later_logs(exercise.point)]
    refused = sum(log.admit(log.conform(rows))[1].height for log, rows in written)
    doubled = sum(now.views[view.name][view.key].is_duplicated().sum() for view in VIEWS)
    rows = sum(rows.height for _, rows in written)
    told = f"{rows} rows, {refused} outside of their contract; {doubled} doubled in views"
    return Confirmation("Every row is valid and typed", told, not refused and not doubled)


def _summed(changes: Sequence[Difference], datasets: str) -> str:
    rows = sum(change.expected for change in changes)
    worst = next((change for change in changes if not change.is_none), None)
    said = f"; {worst.dataset}: {_told(worst)}; {worst.examples[0]}" if worst else ""
    former = sum(change.former for change in changes)
    said += f"; {former} records of what was withdrawn again" if former else ""
    return f"{len(changes)} {datasets}, {rows} rows, {sum(not c.is_none for c in changes)} differ{said}"


def _same(changes: Iterable[Difference]) -> bool:
    return all(change.is_none for change in changes)


def _told(change: Difference) -> str:
    return f"{change.missing} missing, {change.unexpected} unexpected, {change.changed} changed"
