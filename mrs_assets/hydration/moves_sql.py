"""SQL that follows identities: which event holds the reports of a former one, which report replaced a former one."""

from __future__ import annotations

from dataclasses import replace

from mrs_assets.hydration.newest import IN_FORCE, newest_row_sql
from mrs_assets.hydration.precedence import D, H

_PLACED = replace(H, alias="placed")
"""Where the cohort stage last put a report."""


def event_moves_sql(wanted: str) -> list[str]:
    """Common table expressions that end in `event_moves` (former, current).

    An event without live members is followed to the event that most of the reports once in it belong to now; of
    equals, the greater identity. Members are those that the cohort stage put there: what a person moves by hand takes
    nobody along, and where words go does not hang on records that were made from them. Reads `reports` (report_id,
    source_used_identity).

    Args:
        wanted: a query of the `report_group_id`s to follow.
    """
    return [
        f"ever AS MATERIALIZED (SELECT report_id, report_group_id FROM {H.contract.name} "
        f"WHERE {IN_FORCE} AND report_group_id IN ({wanted}))",
        *newest_row_sql(_PLACED, limited_to="SELECT report_id FROM ever"),
        "live_members AS (SELECT report_id, p.report_group_id FROM placed p JOIN reports r USING (report_id) "
        "WHERE r.source_used_identity = 'detected' AND p.report_group_id IS NOT NULL)",
        "moved AS (SELECT e.report_group_id AS former, m.report_group_id AS current, "
        "count(DISTINCT report_id) AS reports FROM ever e JOIN live_members m USING (report_id) "
        "WHERE e.report_group_id NOT IN (SELECT report_group_id FROM live_members) GROUP BY ALL)",
        "event_moves AS (SELECT former, arg_max(current, row(reports, current)) AS current FROM moved GROUP BY former)",
    ]


def event_reach_sql(actions: str) -> list[str]:
    """Common table expression `<actions>_reach` (annotation_id, subject): the events that an action is about.

    That is the event named, and where its reports moved on, the event that most of them belong to now as well.
    Reads `event_moves`.

    Args:
        actions: the live rows of the events' edits log.
    """
    return [
        f"{actions}_reach AS (SELECT annotation_id, report_group_id AS subject FROM {actions} UNION ALL "
        f"SELECT a.annotation_id, m.current FROM {actions} a JOIN event_moves m ON m.former = a.report_group_id)"
    ]


def report_moves_sql(edited: str) -> list[str]:
    """Common table expressions that end in `report_moves` (former, current): each report and all that replaced it.

    A detection row names in `supersedes` the report that it replaced when corrected data moved the onset.

    Args:
        edited: a query of the `report_id`s to follow.
    """
    return [
        f"replacements AS (SELECT DISTINCT report_id, supersedes FROM {D.contract.name} "
        f"WHERE {IN_FORCE} AND supersedes IS NOT NULL AND NOT is_retracted)",
        f"report_moves AS (SELECT DISTINCT report_id AS former, report_id AS current FROM ({edited}) UNION "
        "SELECT m.former, r.report_id FROM report_moves m JOIN replacements r ON r.supersedes = m.current)",
    ]


def event_heard_sql(actions: str) -> str:
    """Common table expression `heard` (subject, written_at): the newest word on each event and on its former ones.

    Reads `<actions>_heard` and `event_moves`.
    """
    return (
        "heard AS (SELECT coalesce(m.current, h.subject) AS subject, max(h.written_at) AS written_at "
        f"FROM {actions}_heard h LEFT JOIN event_moves m ON m.former = h.subject GROUP BY ALL UNION "
        f"SELECT h.subject, h.written_at FROM {actions}_heard h SEMI JOIN event_moves m ON m.former = h.subject)"
    )
