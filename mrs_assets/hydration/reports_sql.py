"""The SQL of `minority_reports`, generated from the view's declaration and the precedence table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mrs_assets.contracts.columns import SQL_TYPES
from mrs_assets.contracts.views import MINORITY_REPORTS, FieldGroup
from mrs_assets.hydration.newest import LogRow, newest_row_sql
from mrs_assets.hydration.precedence import DEGRADES, MACHINE, PRECEDENCE, REPORT_LOGS, D, F, Source

MACHINE_LOGS = tuple(row for row in REPORT_LOGS if row.alias in ("d", "e", "c", "p", "h"))
_MACHINE_DEGRADES = {row.alias: "TRUE" for row in MACHINE_LOGS}
REVIEWED_LOGS = tuple(row for row in REPORT_LOGS if row in MACHINE_LOGS or row.alias in ("rc", "rp"))

_NOTHING_BUT_ITS_STAGE = r"regexp_replace({0}, '_degraded.*$', '')"


def reports_sql(*, limited_to: str | None = None) -> str:
    """`minority_reports` at `$as_of` (NULL: now) in namespace `$run_id`.

    Args:
        limited_to: a query of the `report_id`s wanted; None for every report.
    """
    everyone = f"SELECT report_id FROM {D.alias}_newest UNION SELECT report_id FROM {F.alias}_newest"
    return _fold(REPORT_LOGS, PRECEDENCE, DEGRADES, everyone, limited_to)


def machine_sql(*, limited_to: str, withdrawn_too: bool = False) -> str:
    """The same columns as the stages alone would have them: no verdict, no recall, no finalised record.

    Args:
        limited_to: a query of the `report_id`s wanted.
        withdrawn_too: read retracted rows too: the last known state of reports that are no longer true.
    """
    table = {group: tuple(s for s in sources if s.name in MACHINE) for group, sources in PRECEDENCE.items()}
    everyone = f"SELECT report_id FROM {D.alias}_newest"
    return _fold(MACHINE_LOGS, table, _MACHINE_DEGRADES, everyone, limited_to, withdrawn_too=withdrawn_too)


def reviewed_sql(*, limited_to: str) -> str:
    """The same with what re-reviews concluded laid over: what the machine says in all, and what people see of it."""
    everyone = f"SELECT report_id FROM {D.alias}_newest"
    return _fold(REVIEWED_LOGS, _reviewed(), DEGRADES, everyone, limited_to)


def machine_at_sql(asked: str, *, withdrawn_too: bool = False) -> str:
    """What the stages and re-reviews said, once per question: `report_id` holds the question's `word`.

    Args:
        asked: a query of (word, subject, seen_at, tick_to); see `newest_row_sql`.
        withdrawn_too: as for `machine_sql`.
    """
    everyone = f"SELECT report_id FROM {D.alias}_newest"
    return _fold(REVIEWED_LOGS, _reviewed(), DEGRADES, everyone, None, withdrawn_too=withdrawn_too, asked=asked)


def _reviewed() -> Mapping[str, tuple[Source, ...]]:
    return {
        group: tuple(s for s in sources if s.name in (*MACHINE, "rereview") and s.row in REVIEWED_LOGS)
        for group, sources in PRECEDENCE.items()
    }


def _fold(
    logs: Iterable[LogRow],
    precedence: Mapping[str, tuple[Source, ...]],
    degrades: Mapping[str, str],
    everyone: str,
    limited_to: str | None,
    *,
    withdrawn_too: bool = False,
    asked: str | None = None,
) -> str:
    logs = tuple(logs)
    parts = [f"asked AS ({asked})"] if asked else []
    for row in logs:
        parts += newest_row_sql(row, limited_to=limited_to, withdrawn_too=withdrawn_too, asked=asked is not None)
    columns = [column for group in MINORITY_REPORTS.groups for column in _group_columns(group, precedence[group.name])]
    sources = [_source_column(group.name, precedence[group.name]) for group in MINORITY_REPORTS.groups]
    joins = "".join(f"\n  LEFT JOIN {row.alias} USING (report_id)" for row in logs)
    merged = ",\n    ".join([*columns, *sources, *_state_columns(logs, degrades)])
    parts += [
        f"everyone AS ({everyone})",
        f"merged AS (\n  SELECT\n    {merged}\n  FROM everyone{joins}\n)",
    ]
    ctes = ",\n".join(parts)
    return f"WITH {ctes}\nSELECT {', '.join(_told(name) for name in MINORITY_REPORTS.schema)}\nFROM merged"


def _group_columns(group: FieldGroup, sources: tuple[Source, ...]) -> list[str]:
    columns = []
    for field in group.fields:
        if field.name == MINORITY_REPORTS.key:
            columns.append("everyone.report_id")
            continue
        values = [(source.speaks, _value(source, field.name)) for source in sources]
        cases = " ".join(f"WHEN {speaks} THEN {value}" for speaks, value in values)
        typed = f"CAST(NULL AS {SQL_TYPES[field.dtype]})"
        columns.append((f"CASE {cases} ELSE {typed} END" if cases else typed) + f' AS "{field.name}"')
    return columns


def _value(source: Source, column: str) -> str:
    if column in source.columns:
        return source.columns[column].format(source.row.alias)
    return f'{source.row.alias}."{column}"' if column in source.row.contract.schema else "NULL"


def _source_column(group: str, sources: tuple[Source, ...]) -> str:
    cases = " ".join(f"WHEN {source.speaks} THEN '{source.name}'" for source in sources)
    return (f"CASE {cases} END" if cases else "CAST(NULL AS VARCHAR)") + f' AS "source_used_{group}"'


def _state_columns(logs: tuple[LogRow, ...], degrades: Mapping[str, str]) -> list[str]:
    counted = [(row.alias, degrades[row.alias]) for row in logs if degrades[row.alias] != "FALSE"]
    degraded = " OR ".join(f"({condition} AND coalesce({alias}.is_degraded, FALSE))" for alias, condition in counted)
    reasons = ", ".join(f"CASE WHEN {condition} THEN {alias}.degraded_reasons END" for alias, condition in counted)
    written = ", ".join(f"{row.alias}.written_at" for row in logs)
    return [
        f"({degraded}) AS is_degraded",
        f"CASE WHEN {degraded} THEN list_sort(list_distinct(flatten([{reasons}]))) "
        "ELSE CAST([] AS VARCHAR[]) END AS degraded_reasons",
        f"greatest({written}) AS known_at",
    ]


def _told(column: str) -> str:
    """The report's status names the stage that spoke last and the first reason of all that it rests on."""
    if column != "report_status":
        return f'"{column}"'
    stage = _NOTHING_BUT_ITS_STAGE.format("report_status")
    return (
        f"{stage} || CASE WHEN is_degraded AND {stage} <> 'superseded' AND len(degraded_reasons) > 0 "
        "THEN '_degraded_' || degraded_reasons[1] ELSE '' END AS report_status"
    )
