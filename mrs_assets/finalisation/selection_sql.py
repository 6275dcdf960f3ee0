"""The statements that finalisation reads with: which reports, their folded state, and the actions that stand.

Parameters: `$run_id`; `$as_of`, an instant or NULL for now; `$report_ids`; the scope's `$first_day`, `$last_day`,
`$retailer` and `$stores`, where NULL means all.
"""

from __future__ import annotations

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.cohorted import COHORTED
from mrs_assets.contracts.logs.detected import DETECTED
from mrs_assets.contracts.logs.edits import USER_EDITS, USER_EVENT_EDITS
from mrs_assets.contracts.logs.ended import CORRECTED, ENDED
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.hydration.events_sql import U
from mrs_assets.hydration.moves_sql import event_heard_sql, event_moves_sql, event_reach_sql, report_moves_sql
from mrs_assets.hydration.newest import LogRow, newest_row_sql
from mrs_assets.hydration.precedence import REPORT_LOGS, F
from mrs_assets.hydration.reports_sql import MACHINE_LOGS, machine_at_sql, machine_sql, reports_sql, reviewed_sql
from mrs_assets.hydration.standing_sql import heard_sql, standing_sql

READS = (*(row.contract for row in REPORT_LOGS), EVENTS, USER_EDITS, USER_EVENT_EDITS)
"""Every log that the statements name."""

_T = LogRow("t", USER_EDITS, "annotation_id")
_GIVEN = "SELECT unnest($report_ids)"


def any_row(contract: Contract) -> str:
    """A row where the log has one at all."""
    return f"SELECT 1 FROM {contract.name} WHERE run_id = $run_id LIMIT 1"


def _in_scope(log: LogRow) -> str:
    stores = " AND ($stores IS NULL OR list_contains(CAST($stores AS VARCHAR[]), store_id))"
    return (
        f"SELECT DISTINCT report_id FROM {log.contract.name} WHERE run_id = $run_id "
        "AND business_day BETWEEN $first_day AND $last_day AND ($retailer IS NULL OR retailer = $retailer)"
        + (stores if "store_id" in log.contract.body else "")
    )


IN_SCOPE = " UNION ".join(_in_scope(log) for log in MACHINE_LOGS)
"""Reports with any row, live or retracted, on the scope's days."""

CHANGED = " UNION ".join(
    f"SELECT DISTINCT report_id FROM {log.contract.name} WHERE run_id = $run_id AND written_at > $since"
    for log in MACHINE_LOGS
)
"""Reports of which the stages wrote a row after `$since`."""

CLOSED_REPORTS = (
    f"WITH told AS (SELECT report_id, version, is_retracted, resolution_reason FROM {ENDED.name} "
    f"WHERE run_id = $run_id AND report_id IN ({_GIVEN})) SELECT report_id FROM told GROUP BY report_id "
    f"HAVING arg_max(NOT is_retracted AND resolution_reason = '{CORRECTED}', version)"
)
"""Of the given reports those that are closed because corrected data took them away."""

_CONCERNED = (
    f"SELECT report_group_id FROM {EVENTS.name} WHERE run_id = $run_id AND CASE WHEN CAST($since AS TIMESTAMPTZ) "
    "IS NULL THEN business_day BETWEEN $first_day AND $last_day ELSE written_at > $since END"
)

EVENTS_TO_CLOSE = (
    f"WITH told AS (SELECT * FROM {EVENTS.name} WHERE run_id = $run_id AND report_group_id IN ({_CONCERNED})), "
    "newest AS (SELECT report_group_id, tick, max(version) AS version FROM told GROUP BY ALL), "
    "rows_now AS (SELECT t.* FROM told t JOIN newest n USING (report_group_id, tick, version)) "
    "SELECT * FROM rows_now WHERE report_group_id IN (SELECT report_group_id FROM rows_now GROUP BY ALL "
    f"HAVING count(*) FILTER (NOT is_retracted AND resolution_reason IS DISTINCT FROM '{CORRECTED}') = 0 "
    f"OR count(*) FILTER (NOT is_retracted AND resolution_reason = '{CORRECTED}') > 0)"
)
"""The newest rows, retracted ones too, of events that no live row speaks of, or that are closed for that reason."""

_WRITTEN = f"SELECT report_id, max(written_at) AS written_at FROM {FINALISED.name} WHERE run_id = $run_id GROUP BY ALL"

NEWLY_COHORTED = (
    f"WITH written AS ({_WRITTEN}) SELECT DISTINCT h.report_id FROM {COHORTED.name} h JOIN written w USING (report_id) "
    "WHERE h.run_id = $run_id AND h.business_day BETWEEN $first_day AND $last_day AND h.written_at > w.written_at"
)
"""Reports of any retailer whose event said something newer than their record on the scope's days."""

_REPORT_MOVES = report_moves_sql(f"SELECT report_id FROM {USER_EDITS.name} WHERE run_id = $run_id")

_WORDS = heard_sql(_T, "report_id", "run_id = $run_id AND ($retailer IS NULL OR retailer = $retailer)")

NEWLY_EDITED = (
    f"WITH RECURSIVE {', '.join([*_REPORT_MOVES, *_WORDS])}, written AS ({_WRITTEN}) "
    "SELECT DISTINCT m.current AS report_id FROM t_heard h JOIN report_moves m ON m.former = h.subject "
    "LEFT JOIN written w ON w.report_id = m.current WHERE w.written_at IS NULL OR h.written_at > w.written_at"
)
"""Reports with an action that is newer than their record."""

_EDITED_EVENTS = f"SELECT report_group_id FROM {USER_EVENT_EDITS.name} WHERE run_id = $run_id"
_PLACED = f"SELECT report_id, report_group_id FROM {COHORTED.name} WHERE run_id = $run_id"
_BEEN = f"{_PLACED} UNION ALL SELECT report_id, report_group_id FROM {FINALISED.name} WHERE run_id = $run_id"
"""Every event that a report was ever in, be it by hand."""

_EVER_MEMBERS = f"SELECT report_id FROM ({_BEEN}) WHERE report_group_id IN ({_EDITED_EVENTS})"
_THEIR_EVENTS = f"SELECT report_group_id FROM ({_PLACED}) WHERE report_id IN ({_EVER_MEMBERS})"
_EVER_BESIDE = f"{_EVER_MEMBERS} UNION SELECT report_id FROM ({_BEEN}) WHERE report_group_id IN ({_THEIR_EVENTS})"
"""Members of the edited events, and of every event that one of them was ever in: the words may be about it now."""


def _event_parts(limited_to: str) -> list[str]:
    folded = reports_sql(limited_to=limited_to)
    return [
        f"reports AS (SELECT report_id, report_group_id, source_used_identity FROM ({folded}))",
        *event_moves_sql(_EDITED_EVENTS),
        *standing_sql(U),
        *event_reach_sql(U.alias),
    ]


IN_NEWLY_EDITED_EVENTS = (
    f"WITH RECURSIVE {', '.join([*_event_parts(_EVER_BESIDE), *heard_sql(U, 'report_group_id')])}, "
    f"written AS ({_WRITTEN}), {event_heard_sql(U.alias)} "
    "SELECT DISTINCT r.report_id FROM reports r JOIN heard h ON h.subject = r.report_group_id "
    "LEFT JOIN written w ON w.report_id = r.report_id WHERE w.written_at IS NULL OR h.written_at > w.written_at"
)
"""Reports whose event has an action that is newer than their record."""

BESIDE_MOVED_EVENTS = (
    f"WITH placed AS (SELECT DISTINCT * FROM ({_PLACED})), been AS (SELECT DISTINCT * FROM ({_BEEN})), "
    f"ever AS (SELECT report_group_id AS former, report_id FROM placed WHERE former IN ({_EDITED_EVENTS})), "
    "elsewhere AS (SELECT DISTINCT former, report_group_id FROM ever JOIN placed USING (report_id) "
    "WHERE report_group_id <> former), "
    f"told AS (SELECT report_id, written_at FROM {COHORTED.name} WHERE run_id = $run_id UNION ALL "
    f"SELECT report_id, written_at FROM {DETECTED.name} WHERE run_id = $run_id), "
    "moved AS (SELECT former, max(written_at) AS written_at FROM ever JOIN told USING (report_id) GROUP BY former), "
    f"written AS ({_WRITTEN}) "
    "SELECT DISTINCT report_id FROM elsewhere JOIN moved m USING (former) JOIN been USING (report_group_id) "
    "JOIN written w USING (report_id) WHERE m.written_at > w.written_at"
)
"""Reports of events that share members with an edited one, of which a member was told of after their record was made.

Where the edited event's reports go decides whose words its own are; and who was beside them need not have moved.
"""

EVENT_EDITS = (
    f"WITH RECURSIVE {', '.join(_event_parts(_EVER_MEMBERS))} "
    "SELECT u.* REPLACE (r.subject AS report_group_id) FROM u_standing u JOIN u_reach r USING (annotation_id)"
)
"""Standing actions on events, addressed to the event that the former one's reports belong to now, and to itself."""

REPORT_EDITS = (
    f"WITH RECURSIVE {', '.join([*_REPORT_MOVES, *standing_sql(_T)])} "
    "SELECT t.* REPLACE (m.current AS report_id), t.report_id AS made_on FROM t_standing t "
    f"JOIN report_moves m ON m.former = t.report_id WHERE m.current IN ({_GIVEN})"
)
"""Standing actions on the given reports and on those that they replaced; `made_on` is the report that one names."""

SPOKEN_FOR = (
    f"WITH RECURSIVE {', '.join([*_REPORT_MOVES, *newest_row_sql(_T)])} "
    "SELECT DISTINCT m.current AS report_id FROM t JOIN report_moves m ON m.former = t.report_id "
    f"WHERE t.user_role <> 'system' AND m.current IN ({_GIVEN})"
)
"""The given reports that a person has acted on in any way."""

MACHINE = machine_sql(limited_to=_GIVEN)
"""What the stages say of the given reports."""

REVIEWED = reviewed_sql(limited_to=_GIVEN)
"""What the stages and re-reviews say of the given reports."""

MACHINE_LAST_KNOWN = machine_sql(limited_to=_GIVEN, withdrawn_too=True)
"""What the stages last said of the given reports, true or not."""

_ASKED = (
    "SELECT unnest(CAST($words AS VARCHAR[])) AS word, unnest(CAST($subjects AS VARCHAR[])) AS subject, "
    "unnest(CAST($seen_at AS TIMESTAMPTZ[])) AS seen_at, unnest(CAST($tick_to AS TIMESTAMPTZ[])) AS tick_to"
)

MACHINE_AT = machine_at_sql(_ASKED)
"""What the stages and re-reviews said, as of an instant or a tick of its own for each of `$words`."""

MACHINE_LAST_KNOWN_AT = machine_at_sql(_ASKED, withdrawn_too=True)
"""The same, of reports that were no longer true by then."""

FINALISED_RECORDS = f"WITH {', '.join(newest_row_sql(F, limited_to=_GIVEN))} SELECT * FROM f"
"""The live records of the given reports."""

VERSIONS = (
    f"SELECT report_id, max(version) AS version FROM {FINALISED.name} "
    f"WHERE run_id = $run_id AND report_id IN ({_GIVEN}) GROUP BY ALL"
)
"""The newest version of the given reports' records."""
