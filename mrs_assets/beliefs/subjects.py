"""Which rows supply a field of a report or an event, and so where the search for the cause of its change begins.

The precedence table says which log's newest row supplies each field group, on either side. Only the logs that supply
the field, then or now, are looked at, and of them only those whose newest row for the subject is another one.

A consolidated record (`finalised`, `ui`) is made of the other logs and of edits. What only a person can set, or sets
now, is explained by those edits of the subject that can set the field; should there be none, by what moved the subject
to where an edit already was. Anything else of it is explained by the logs that it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from mrs_assets.beliefs.causes import Cause, Causes, Series, edit_cause
from mrs_assets.beliefs.changes import Change
from mrs_assets.beliefs.evidence import Believed, Stamp
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.views import MINORITY_EVENTS, MINORITY_REPORTS, View
from mrs_assets.hydration.events_sql import V
from mrs_assets.hydration.newest import LogRow
from mrs_assets.hydration.precedence import MACHINE, PRECEDENCE, REPORT_LOGS, D, E, F
from mrs_assets.hydration.reports_sql import MACHINE_LOGS

VERDICT = frozenset({"final_decision", "finalized_at", "annotation_id", "review_state", "evidence_count"})
"""Fields that only people and policies set."""

JOINT = frozenset({"edit_issues", "final_cause", "final_cause_category", "final_confidence"})
"""Fields of a consolidated record that people and the machine make together."""

_DECISIVE = VERDICT | JOINT | {"report_status", "source_used_final", "source_used_review"}

_DEGRADED = ("is_degraded", "degraded_reasons")
F_SPEAKS = "finalised"
_LOGS = {row.alias: row for row in REPORT_LOGS}
_ALIAS = re.compile(r"\b([a-z]{1,2})\.")


def _groups(view: View) -> dict[str, str]:
    fields = {f.name: group.name for group in view.groups for f in group.fields}
    return fields | {f"source_used_{group.name}": group.name for group in view.groups}


_REPORT_GROUPS, _EVENT_GROUPS = _groups(MINORITY_REPORTS), _groups(MINORITY_EVENTS)


class Reports:
    """`minority_reports` as believed on either side.

    Attributes:
        places: report → its series.
    """

    def __init__(self, earlier: pl.DataFrame, later: pl.DataFrame) -> None:
        self.places: dict[str, Series] = {}
        self._members: dict[str, set[str]] = {}
        columns = ("report_id", "report_group_id", "retailer", "store_id", "sku")
        for report, group, retailer, store, sku in pl.concat([earlier.select(columns), later.select(columns)]).rows():
            self.places[report] = (retailer, store, sku)
            if group is not None:
                self._members.setdefault(group, set()).add(report)

    def of_event(self, *events: str | None) -> frozenset[Series]:
        """Series of the reports that belong to any of the events on either side."""
        return frozenset(self.places[report] for event in events if event for report in self._members.get(event, ()))


class Subjects:
    """Finds the causes of changes in the views."""

    def __init__(self, causes: Causes, reports: Reports, changed: Sequence[Change]) -> None:
        self._causes = causes
        self._reports = reports
        self._changed = sorted({change.key[0] for change in changed})
        self._newest: dict[str, tuple[dict[str, Believed], dict[str, Believed]]] = {}
        self._known: dict[tuple[str, str], frozenset[Cause]] = {}

    def of_report(self, change: Change) -> set[Cause]:
        """Causes of one changed field of `minority_reports`."""
        report, name = str(change.key[0]), change.field
        if name in _DEGRADED:
            found = self._of_logs(report, change, (*_LOGS,))
            return {cause for cause in found if cause.kind in ("recovery", "outage")} or found
        group = _REPORT_GROUPS[name]
        told = [str(row[f"source_used_{group}"]) for row in (change.earlier, change.later) if row]
        sources = [source for source in PRECEDENCE[group] if source.name in told]
        aliases = {alias for source in sources for alias in (source.row.alias, *_named(source.columns.values()))}
        if name == "report_status":  # names the reason of any log that the report rests on
            aliases |= {*_LOGS}
        if F.alias not in aliases:
            return self._of_logs(report, change, sorted(aliases))
        made_of = {s.row.alias for s in PRECEDENCE[group] if s.name in MACHINE} | {D.alias, E.alias}
        machine = self._of_logs(report, change, sorted((aliases | made_of) - {F.alias}))
        own, edits = self._of_code(report), self._edits(change, _REPORT_GROUPS)
        if any(row["source_used_identity"] == F_SPEAKS for row in (change.earlier, change.later) if row):
            told = [source for source in told if source != F_SPEAKS]  # it speaks because the report was withdrawn
        return own | self._judged(change, told, edits, machine)

    def of_event(self, change: Change) -> set[Cause]:
        """Causes of one changed field of `minority_events`."""
        event, group = str(change.key[0]), _EVENT_GROUPS.get(change.field)
        told = [str(row.get(f"source_used_{group}")) for row in (change.earlier, change.later) if row]
        machine = self._of_event_rows(event, change)
        if change.field in _DEGRADED:
            return {cause for cause in machine if cause.kind in ("recovery", "outage")} or machine
        return self._judged(change, told, self._edits(change, _EVENT_GROUPS), machine)

    def of_record(self, change: Change) -> set[Cause]:
        """Causes of one changed field of a consolidated record."""
        report = str(change.key[0])
        machine = self._of_logs(report, change, [row.alias for row in MACHINE_LOGS])
        if change.field in _DEGRADED:
            return {cause for cause in machine if cause.kind in ("recovery", "outage")} or machine
        return self._of_code(report) | self._judged(change, (), self._edits(change, _REPORT_GROUPS), machine)

    def _judged(self, change: Change, told: Sequence[str], edits: set[Cause], machine: set[Cause]) -> set[Cause]:
        name = change.field
        began_or_ceased = name.startswith("source_used_") and F_SPEAKS in told
        if name in VERDICT or "ui" in told or began_or_ceased:
            return edits or machine
        reopened = name == "report_status" and "reopened" in f"{change.before} {change.after}"
        return edits | machine if name in JOINT or reopened else machine or edits

    def _edits(self, change: Change, groups: Mapping[str, str]) -> set[Cause]:
        """Actions on the subject, or on its event on either side, that can set the field."""
        subjects = {str(change.key[0])}
        subjects |= {str(row["report_group_id"]) for row in (change.earlier, change.later) if row}
        said = [row for subject in subjects for row in self._causes.evidence.edits.get(subject, ())]
        return {edit_cause(row) for row in said if _can_set(row, change.field, groups)}

    def _of_logs(self, report: str, change: Change, aliases: Iterable[str]) -> set[Cause]:
        return {cause for alias in aliases if alias != F.alias for cause in self._of_log(report, change, alias)}

    def _of_log(self, report: str, change: Change, alias: str) -> frozenset[Cause]:
        if (report, alias) not in self._known:
            row = _LOGS[alias]
            before, after = (side.get(report) for side in self._sides(row))
            found: set[Cause] = set()
            if (before and before.identity) != (after and after.identity):
                found = self._causes.of_row(row.contract, _stamp(before), _stamp(after))
                days = [seen.day for seen in (before, after) if seen] + [change.row["first_detected_from"].date()]
                places = frozenset({self._reports.places[report]})
                if row.contract is COHORTED:
                    groups = [r["report_group_id"] for r in (change.earlier, change.later) if r]
                    places |= self._reports.of_event(*groups)
                found |= self._causes.of_inputs(row.contract, places, min(days), max(days))
            self._known[report, alias] = frozenset(found)
        return self._known[report, alias]

    def _of_code(self, report: str) -> set[Cause]:
        before, after = (side.get(report) for side in self._sides(F))
        if (before and before.identity) == (after and after.identity):
            return set()
        told = self._causes.of_row(F.contract, _stamp(before), _stamp(after))
        return {cause for cause in told if cause.kind == "code"}

    def _of_event_rows(self, event: str, change: Change) -> set[Cause]:
        if (event, V.alias) not in self._known:
            before, after = (side.get(event) for side in self._sides(V))
            found = self._causes.of_row(EVENTS, _stamp(before), _stamp(after))
            days: list[date] = [seen.day for seen in (before, after) if seen] + [change.row["window_start"].date()]
            found |= self._causes.of_inputs(EVENTS, self._reports.of_event(event), min(days), max(days))
            self._known[event, V.alias] = frozenset(found)
        return {*self._known[event, V.alias]}

    def _sides(self, row: LogRow) -> tuple[dict[str, Believed], dict[str, Believed]]:
        """Newest rows of all changed subjects in a log, on either side."""
        if row.alias not in self._newest:
            evidence = self._causes.evidence
            before, after = (evidence.newest(row, self._changed, at) for at in (evidence.since, evidence.until))
            self._newest[row.alias] = (before, after)
        return self._newest[row.alias]


def _can_set(action: Mapping[str, Any], name: str, groups: Mapping[str, str]) -> bool:
    """Whether an action can change a field."""
    if action["action"] == "undo":
        return True
    if action["action"] == "add_evidence" or name == "evidence_count":
        return action["action"] == "add_evidence" and name in ("evidence_count", "source_used_review")
    if action["action"] not in ("edit", "clear"):
        return name in _DECISIVE
    group = groups.get(action["field"])
    return name == "edit_issues" or groups.get(name) == group or (group == "final" and name in _DECISIVE)


def _stamp(seen: Believed | None) -> Stamp | None:
    return seen.stamp if seen else None


def _named(expressions: Iterable[str]) -> set[str]:
    """Aliases of the logs that SQL expressions name."""
    return {alias for text in expressions for alias in _ALIAS.findall(text) if alias in _LOGS}


def place_of(row: dict[str, Any], reports: Reports) -> frozenset[Series]:
    """The series that a log's row is about, as far as it says; of an event, those of its reports."""
    if row.get("store_id") and row.get("sku"):
        return frozenset({(row["retailer"], row["store_id"], row["sku"])})
    if row.get("report_id") in reports.places:
        return frozenset({reports.places[row["report_id"]]}) | reports.of_event(row.get("report_group_id"))
    return reports.of_event(row.get("report_group_id"))
