"""`feed_arrivals_log`: the accounts of every file that ever arrived."""

from mrs_assets.contracts.columns import Count, Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

DECISIONS = ("new", "identical", "correction", "rejected")


class FeedArrival(Rows):
    """One received file: rows_received = rows_accepted + rows_duplicate + rows_dead_lettered, always.

    A rejected file has no rows: all four are 0, and `decision_reason` says what it held. Read again later, it has the
    account of the newest reading.
    """

    feed: str = name(description="Which feed the file belongs to.")
    file_hash: str = required(
        str_length={"min_value": 64, "max_value": 64}, description="SHA-256 of the file as received."
    )
    file_name: str = required(description="Name under which the file arrived.")
    byte_size: Count = required(ge=0, description="Size of the file as received, bytes.")
    received_at: Instant = required(description="When the file was found in the inbox. UTC.")
    rows_received: Count = required(ge=0, description="Data rows in the file; 0 where it was rejected whole.")
    rows_accepted: Count = required(ge=0, description="Rows that are or became the live truth of their key.")
    rows_duplicate: Count = required(
        ge=0, description="Rows that say nothing new: known already, or a newer file says otherwise."
    )
    rows_dead_lettered: Count = required(ge=0, description="Rows kept in the dead-letter log with their reason.")
    rows_withdrawn: Count = optional(
        ge=0, description="Known rows that the file lacks, of store-days for which it speaks whole."
    )
    days_touched: Texts = required(description="Business days that the accepted rows changed, sorted.")
    columns: Texts = optional(
        description="Columns as the file names them, sorted; NULL: it was rejected whole, or answers dead letters."
    )
    decision: str = required(isin=list(DECISIONS), description=f"One of {', '.join(DECISIONS)}.")
    decision_reason: str = optional(description="Why a file was rejected.")


ARRIVALS = Contract(name="feed_arrivals_log", rows=FeedArrival, key=("retailer", "feed", "file_hash"), stage="feeds")
