"""`user_edits_log` and `user_minority_events_edits_log`: analysts' actions."""

from mrs_assets.contracts.columns import Instant, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

ACTIONS = ("approve", "reject", "edit", "add_evidence", "request_review", "defer", "reopen", "clear", "undo")
ROLES = ("analyst", "manager", "system")
REOPEN_REASONS = ("new_evidence", "attribution_error", "regulatory_request")
PATHS = ("manual", "reprocess")
LEAST_NOTES = 50
"""Characters of notes that a reopening by protocol is explained with, at least."""


class Edit(Rows):
    """One analyst action."""

    annotation_id: str = name(description="UUID of the action.")
    actor: str = name(description="Who acted.")
    user_role: str = required(isin=list(ROLES), description=f"One of {', '.join(ROLES)}.")
    action: str = required(isin=list(ACTIONS), description=f"One of {', '.join(ACTIONS)}.")
    field: str = optional(description="The field that an `edit` sets or a `clear` frees.")
    value: str = optional(description="The value set, as text.")
    reason: str = optional(str_length={"max_value": 10_000}, description="Why, in the actor's words.")
    evidence_url: str = optional(str_length={"max_value": 2_000}, description="Where the evidence is.")
    based_on_written_at: Instant = optional(description="`written_at` of the belief that the actor looked at. UTC.")
    acted_at: Instant = required(description="When the actor acted. UTC.")
    undoes: str = optional(description="The annotation that an `undo` takes back.")
    reopen_reason: str = optional(
        isin=list(REOPEN_REASONS), description=f"By protocol, why it is looked at again: {', '.join(REOPEN_REASONS)}."
    )
    path: str = optional(
        isin=list(PATHS), description="`reprocess`: the machine looks again; `manual`: a person does; NULL: not said."
    )


class ReportEdit(Edit):
    """One analyst action on a report."""

    report_id: str = name(description="The report acted on.")


class EventEdit(Edit):
    """One analyst action on an event."""

    report_group_id: str = name(description="The event acted on.")


USER_EDITS = Contract(name="user_edits_log", rows=ReportEdit, key=("annotation_id",), stage="feeds")
USER_EVENT_EDITS = Contract(
    name="user_minority_events_edits_log", rows=EventEdit, key=("annotation_id",), stage="feeds"
)
