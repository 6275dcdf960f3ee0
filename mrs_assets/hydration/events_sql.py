"""The SQL of `minority_events`: the cohort stage's newest word, the members as they are now, and what people said."""

from __future__ import annotations

from mrs_assets.contracts.logs.attributed import CAUSE_CATEGORIES
from mrs_assets.contracts.logs.edits import USER_EVENT_EDITS
from mrs_assets.contracts.logs.events import EVENTS
from mrs_assets.contracts.views import MINORITY_EVENTS
from mrs_assets.hydration.moves_sql import event_heard_sql, event_moves_sql, event_reach_sql
from mrs_assets.hydration.newest import LogRow, listed, newest_row_sql
from mrs_assets.hydration.reports_sql import reports_sql
from mrs_assets.hydration.standing_sql import heard_sql, standing_sql

V = LogRow("v", EVENTS, "report_group_id", ("tick",))
GONE = LogRow("gone", EVENTS, "report_group_id", ("tick",))
U = LogRow("u", USER_EVENT_EDITS, "annotation_id")

_CATEGORIES = ", ".join("'" + category.replace("'", "''") + "'" for category in CAUSE_CATEGORIES)
_DECIDES = (
    "action IN ('approve', 'reject', 'defer', 'reopen') "
    "OR (action = 'edit' AND field IN ('final_cause', 'final_cause_category'))"
)
_WHEN_SAID = "row(user_role <> 'system', acted_at, annotation_id)"
_VALID_VALUE = {
    "final_cause": "length(trim(value)) BETWEEN 1 AND 256",
    "final_cause_category": f"value IN ({_CATEGORIES})",
    "cohort_name": "length(trim(value)) BETWEEN 1 AND 256",
}
"""Fields of an event that an `edit` may set → SQL condition of a usable value."""

_WITHDRAWN = "n.live = 0 AND NOT s.is_formed AND (v.withdrawn OR n.total > 0)"
"""No report is in it, neither as people see it nor as the cohort stage does, from whom a person may have moved all."""

_CAUSE = "coalesce(s.cause, s.approved_cause)"

_COLUMNS = {
    "event_status": f"CASE WHEN s.current IS NOT NULL OR {_WITHDRAWN} THEN 'ended' ELSE v.event_status END",
    "resolution_reason": "CASE WHEN s.current IS NOT NULL THEN 'superseded' "
    f"WHEN {_WITHDRAWN} THEN 'data correction' ELSE v.resolution_reason END",
    "cohort_name": "coalesce(s.name, v.cohort_name)",
    "live_report_count": "n.live",
    "active_report_count": "n.active",
    "superseded_by": "s.current",
    "final_decision": "s.decision",
    "final_cause": f"CASE WHEN {_CAUSE} IS NOT NULL THEN {_CAUSE} WHEN s.decision = 'rejected' THEN NULL "
    "ELSE v.leading_cause END",
    "final_cause_category": "CASE WHEN s.category IS NOT NULL THEN s.category WHEN s.decision = 'rejected' "
    f"AND {_CAUSE} IS NULL THEN NULL WHEN coalesce({_CAUSE}, v.leading_cause) = v.leading_cause "
    "THEN v.leading_cause_category END",
    "final_confidence": "CASE WHEN s.cause IS NULL AND s.decision IS DISTINCT FROM 'rejected' "
    "AND coalesce(s.approved_cause, v.leading_cause) = v.leading_cause THEN v.leading_cause_confidence END",
    "finalized_at": "s.decided_at",
    "annotation_id": "s.decided_by",
    "review_state": "s.review_state",
    "evidence_count": "coalesce(s.evidence_count, 0)",
    "is_degraded": "v.is_degraded",
    "degraded_reasons": "v.degraded_reasons",
    "known_at": "greatest(v.written_at, n.known_at, s.known_at)",
    "source_used_status": f"CASE WHEN s.current IS NULL AND {_WITHDRAWN} THEN 'finalised' ELSE 'cohort' END",
    "source_used_name": "CASE WHEN s.name IS NOT NULL THEN 'ui' WHEN v.cohort_name IS NOT NULL THEN 'cohort' END",
    "source_used_leading": "CASE WHEN v.leading_cause IS NOT NULL THEN 'cohort' END",
    "source_used_members": "'cohort'",
    "source_used_final": f"CASE WHEN {_CAUSE} IS NOT NULL OR s.category IS NOT NULL OR s.decision = 'rejected' "
    "THEN 'ui' WHEN v.leading_cause IS NOT NULL THEN 'cohort' END",
    "source_used_review": "CASE WHEN s.review_state IS NOT NULL OR s.evidence_count > 0 THEN 'ui' END",
}
"""Columns that are not simply the cohort stage's newest word. Aliases: v event, n members, s what was said."""


def events_sql(*, reports: str | None = None, limited_to: str | None = None) -> str:
    """`minority_events` at `$as_of` (NULL: now) in namespace `$run_id`.

    Args:
        reports: a table that holds `minority_reports` of the same instant; None to compute it from the logs.
        limited_to: a query of the `report_group_id`s wanted; None for every event.
    """
    source = reports or f"({reports_sql()})"
    edited = f"SELECT report_group_id FROM {USER_EVENT_EDITS.name} WHERE run_id = $run_id"
    followed = f"{limited_to or 'SELECT report_group_id FROM happened'} UNION {edited}"
    gone = "SELECT report_group_id FROM v_keys EXCEPT SELECT report_group_id FROM v_newest"
    stored = listed(list(EVENTS.schema))
    parts = [
        f"reports AS (SELECT report_id, report_group_id, source_used_identity, event_status, known_at FROM {source})",
        *newest_row_sql(V, limited_to=limited_to),
        *newest_row_sql(GONE, limited_to=gone, withdrawn_too=True),
        f"happened AS (SELECT {stored}, FALSE AS withdrawn FROM v UNION ALL SELECT {stored}, TRUE FROM gone)",
        *event_moves_sql(followed),
        *standing_sql(U),
        *event_reach_sql(U.alias),
        *_said(),
        "members AS (SELECT h.report_group_id, count(r.report_id) AS total, "
        "count(r.report_id) FILTER (r.source_used_identity = 'detected') AS live, "
        "count(r.report_id) FILTER (r.source_used_identity = 'detected' AND r.event_status = 'active') AS active, "
        "max(r.known_at) AS known_at FROM happened h LEFT JOIN reports r ON r.report_group_id = h.report_group_id "
        "GROUP BY h.report_group_id)",
        "stories AS (SELECT h.report_group_id, m.current, s.* EXCLUDE (report_group_id), "
        "h.report_group_id IN (SELECT report_group_id FROM live_members) AS is_formed FROM happened h "
        "LEFT JOIN event_moves m ON m.former = h.report_group_id "
        "LEFT JOIN said s ON s.report_group_id = h.report_group_id)",
    ]
    ctes = ",\n".join(parts)
    told = ",\n  ".join(f'{_expression(name)} AS "{name}"' for name in MINORITY_EVENTS.schema)
    return (
        f"WITH RECURSIVE {ctes}\nSELECT\n  {told}\nFROM happened v JOIN members n USING (report_group_id) "
        "JOIN stories s USING (report_group_id)"
    )


def _expression(column: str) -> str:
    if column in _COLUMNS:
        return _COLUMNS[column]
    return "'cohort'" if column.startswith("source_used_") else f'v."{column}"'


def _said() -> list[str]:
    """Expressions that end in `said`: per event, what the standing actions on it and on former events come to."""
    valid = " OR ".join(f"(field = '{field}' AND {condition})" for field, condition in _VALID_VALUE.items())
    set_now = {field: f"max(trim(value)) FILTER (action = 'edit' AND field = '{field}')" for field in _VALID_VALUE}
    return [
        "addressed AS (SELECT r.subject, u.* FROM u_standing u JOIN u_reach r USING (annotation_id))",
        "last_set AS (SELECT subject, field, "
        f"arg_max(annotation_id, {_WHEN_SAID}) AS annotation_id FROM addressed "
        f"WHERE action = 'clear' OR (action = 'edit' AND ({valid})) GROUP BY subject, field)",
        "in_effect AS (SELECT a.* FROM addressed a WHERE a.action NOT IN ('edit', 'clear') UNION ALL "
        "SELECT a.* FROM addressed a SEMI JOIN last_set l ON l.subject = a.subject AND l.field = a.field "
        "AND l.annotation_id = a.annotation_id WHERE a.action = 'edit')",
        "verdicts AS (SELECT subject, "
        "arg_max(struct_pack(act := action, role := user_role, id := annotation_id, at := acted_at, "
        f"seen := CASE WHEN action = 'approve' THEN value END), {_WHEN_SAID}) "
        f"FILTER ({_DECIDES}) AS w, "
        f"arg_max(action, {_WHEN_SAID}) FILTER (action = 'request_review' OR {_DECIDES}) AS state, "
        f"{set_now['final_cause']} AS cause, {set_now['final_cause_category']} AS category, "
        f"{set_now['cohort_name']} AS name, "
        "count(*) FILTER (action = 'add_evidence') AS evidence_count FROM in_effect GROUP BY subject)",
        *heard_sql(U, "report_group_id"),
        event_heard_sql(U.alias),
        "said AS (SELECT h.subject AS report_group_id, h.written_at AS known_at, "
        "CASE w.act WHEN 'approve' THEN CASE WHEN w.role = 'system' THEN 'auto_approved' ELSE 'approved' END "
        "WHEN 'reject' THEN 'rejected' WHEN 'defer' THEN 'deferred' WHEN 'edit' THEN 'edited' END AS decision, "
        "CASE WHEN w.act <> 'reopen' THEN w.id END AS decided_by, "
        "CASE WHEN w.act <> 'reopen' THEN w.at END AS decided_at, nullif(trim(w.seen), '') AS approved_cause, "
        "CASE state WHEN 'request_review' THEN 'requested' WHEN 'defer' THEN 'deferred' WHEN 'reopen' THEN 'reopened' "
        "END AS review_state, cause, category, name, evidence_count FROM heard h LEFT JOIN verdicts USING (subject))",
    ]
