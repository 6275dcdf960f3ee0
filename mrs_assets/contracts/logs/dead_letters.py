"""`dead_letters_resolved_log`: what became of rows that were refused. The rows themselves stay in `<log>_errors`."""

from mrs_assets.contracts.columns import Count, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

RESOLUTIONS = ("readmitted", "fixed", "dismissed", "replaced", "reopened")


class DeadLetterResolved(Rows):
    """One dead letter that nobody has to look at any more, and why."""

    letter_id: str = required(
        str_matches=r"^DL-[0-9a-f]{20}$",
        description="Hash of log, source, source_row, error_code and raw_payload: the same in every run.",
    )
    log: str = name(description="The log that the row was meant for.")
    source: str = optional(description="File (`<feed>/<retailer>/<hash>`) or stage that the row came from.")
    source_row: Count = optional(description="Data row of the file, from 1; NULL for a whole file or a stage's row.")
    error_code: str = name(description="Why the row was refused.")
    resolution: str = required(
        isin=list(RESOLUTIONS),
        description="`readmitted`: read again, the row came in; `fixed`: another row says it rightly; `dismissed`: a "
        "person set it aside; `replaced`: read again, it is refused for another reason, which has its own letter; "
        "`reopened`: refused once more after that, so that it waits again.",
    )
    actor: str = name(description="Who resolved it; the file where a file did.")
    reason: str = required(str_length={"min_value": 1, "max_value": 10_000}, description="Why it is resolved.")


DEAD_LETTERS_RESOLVED = Contract(
    name="dead_letters_resolved_log", rows=DeadLetterResolved, key=("letter_id",), stage="operations"
)
