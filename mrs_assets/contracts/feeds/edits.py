"""The edits feed, optional: analysts' actions on reports and events, as `mrs edit` writes them."""

from mrs_assets.contracts.feed import AdmissionRule, FeedColumn, FeedContract, Target
from mrs_assets.contracts.logs.edits import (
    ACTIONS,
    LEAST_NOTES,
    PATHS,
    REOPEN_REASONS,
    ROLES,
    USER_EDITS,
    USER_EVENT_EDITS,
)

EDITS_FEED = FeedContract(
    name="edits",
    columns=(
        FeedColumn("annotation_id", "uuid", required=True, filled=True),
        FeedColumn("report_id", "id"),
        FeedColumn("report_group_id", "id"),
        FeedColumn("actor", "id", required=True, filled=True),
        FeedColumn("user_role", "choice", required=True, filled=True, choices=ROLES),
        FeedColumn("action", "choice", required=True, filled=True, choices=ACTIONS),
        FeedColumn("field", "text", longest=256),
        FeedColumn("value", "text"),
        FeedColumn("reason", "text"),
        FeedColumn("evidence_url", "text", longest=2_000),
        FeedColumn("based_on_written_at", "instant"),
        FeedColumn("acted_at", "instant", required=True, filled=True),
        FeedColumn("undoes", "uuid"),
        FeedColumn("reopen_reason", "choice", choices=REOPEN_REASONS),
        FeedColumn("path", "choice", choices=PATHS),
    ),
    targets=(Target(USER_EDITS, only_with="report_id"), Target(USER_EVENT_EDITS, only_with="report_group_id")),
    day_of="acted_at",
    days_ahead=1,
    always=True,
    rules=(
        AdmissionRule(
            "no_subject",
            "report_id IS NULL AND report_group_id IS NULL",
            "The edit names neither a report_id nor a report_group_id: say what it is about.",
        ),
        AdmissionRule(
            "two_subjects",
            "report_id IS NOT NULL AND report_group_id IS NOT NULL",
            "The edit names both a report_id and a report_group_id: send two edits.",
        ),
        AdmissionRule("no_field", "action = 'edit' AND field IS NULL", "An `edit` must name the field that it sets."),
        AdmissionRule("nothing_undone", "action = 'undo' AND undoes IS NULL", "An `undo` must name what it undoes."),
        AdmissionRule(
            "too_few_notes",
            f"reopen_reason IS NOT NULL AND (reason IS NULL OR length(trim(reason)) < {LEAST_NOTES})",
            f"A recall by protocol is explained in `reason` with at least {LEAST_NOTES} characters.",
        ),
        AdmissionRule(
            "recall_without_protocol",
            "(reopen_reason IS NULL) <> (path IS NULL) "
            "OR (reopen_reason IS NOT NULL AND action NOT IN ('reopen', 'request_review'))",
            "A recall is a `reopen` or a `request_review` with both a reopen_reason and a path.",
        ),
    ),
)
