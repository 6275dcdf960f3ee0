"""What admission looks at when a file's rows are staged and nothing is written yet: its broken rows, and its letters.

A file with more broken rows than its error budget is rejected whole, with one reason. Where the file has dead letters
already, those that this reading refuses again are noted, so that the others can be resolved.
"""

from __future__ import annotations

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import FeedRejected
from mrs_assets.contracts.feed import FeedContract, Target
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_resources.archive import Arrival
from mrs_resources.dead_letters import OPEN, has_letters, letters, resolve, shortened
from mrs_resources.feed_reading import ReadFile
from mrs_resources.file_layout import path_literal
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import Transaction
from mrs_resources.offered_rows import numbered_sql, source_of
from mrs_resources.staging import LETTERS

BUDGET_COUNTS_FROM_ROWS = 1_000
"""In a smaller file one broken row is a large share, and its dead letters are few enough to be read one by one."""

OVER_BUDGET = "over_error_budget"
CONFLICT = "conflicting_key"
_REFUSED, _OUTDATED = "refused_now", "outdated_now"


class Review:
    """Looks at one file between staging and writing.

    Attributes:
        read: the file.
        has_letters: an earlier reading of it left dead letters.
    """

    def __init__(self, tx: Transaction, arrival: Arrival, feed: FeedContract, read: ReadFile, budget: float) -> None:
        self.read = read
        self._tx = tx
        self._arrival = arrival
        self._budget = budget
        self._first = feed.targets[0].contract
        self.has_letters = any(has_letters(tx, target.contract, source_of(arrival)) for target in feed.targets)
        tx.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {_REFUSED} (log VARCHAR, source_row BIGINT, error_code VARCHAR, "
            f"raw_payload VARCHAR); CREATE OR REPLACE TEMP TABLE {_OUTDATED} (source_row BIGINT)"
        )

    def look(self, target: Target) -> None:
        """Look at what is staged for one log.

        Raises:
            FeedRejected: too many rows are broken; where a feed has several logs, the first one's letters count.
        """
        connection = self._tx.connection
        if self.read.lost:
            conflicting = f"SELECT rowid AS place, source_row AS ordinal FROM {LETTERS} WHERE error_code = '{CONFLICT}'"
            numbered = numbered_sql(conflicting, self.read)
            connection.execute(
                f"UPDATE {LETTERS} SET source_row = n.source_row FROM ({numbered}) n WHERE {LETTERS}.rowid = n.place"
            )
        if target.contract is self._first:
            self._weigh()
        if self.has_letters:
            connection.execute(
                f"INSERT INTO {_REFUSED} SELECT ?, source_row, error_code, raw_payload FROM {LETTERS}",
                [target.contract.name],
            )

    def note_outdated(self, ordinals: str) -> None:
        """Note rows that were withheld because a newer file speaks of them: SQL with their `ordinal`."""
        numbered = numbered_sql(ordinals, self.read)
        self._tx.connection.execute(f"INSERT INTO {_OUTDATED} SELECT source_row FROM ({numbered})")

    def _weigh(self) -> None:
        received = self.read.received
        (broken,) = self._tx.connection.execute(f"SELECT count(*) FROM {LETTERS}").fetchall()[0]
        if received < BUDGET_COUNTS_FROM_ROWS or broken / received <= self._budget:
            return
        code, count, row, raw, error = self._tx.connection.execute(
            "SELECT error_code, count(*) AS n, min(source_row), "
            f"arg_min({shortened('raw_payload', 400)}, source_row), arg_min(error, source_row) "
            f"FROM {LETTERS} GROUP BY error_code ORDER BY n DESC, error_code LIMIT 1"
        ).fetchall()[0]
        raise FeedRejected(
            f"{broken:,} of {received:,} rows are broken ({broken / received:.2%}), more than the error budget of "
            f"{self._budget:.2%}; nothing of the file was used. Most often {code}, {count:,} rows. {error} "
            f"For example row {row:,}: {raw}",
            code=OVER_BUDGET,
            remedy=f"Correct the file and send it again; or correct feeds.toml and run `mrs errors retry --file "
            f"{self._arrival.file_hash[:12]}`.",
            broken=broken,
            received=received,
        )


def resolve_what_was_read(
    tx: Transaction, arrival: Arrival, review: Review, feed: FeedContract, actor: str | None, provenance: Provenance
) -> int:
    """Resolve the letters that a file's rows answer, and those of its own that are refused no longer; count them.

    A letter that was replaced waits again where the row is refused once more for the letter's own reason.

    Args:
        tx: open transaction; the rows are written.
        arrival: the file.
        review: of its newest reading.
        feed: of the file.
        actor: who had it read again; None: it arrived.
        provenance: who writes.
    """
    return _resolve_own(tx, review, feed, actor, provenance) + _resolve_answered(
        tx, arrival, feed, review.read, provenance
    )


def _resolve_own(tx: Transaction, review: Review, feed: FeedContract, actor: str | None, provenance: Provenance) -> int:
    if not review.has_letters:
        return 0
    found = _letters_of(tx, provenance.source, [target.contract for target in feed.targets], "replaced")
    refused = tx.query(f"SELECT * FROM {_REFUSED}")
    outdated = tx.query(f"SELECT DISTINCT source_row FROM {_OUTDATED}")["source_row"]
    same = ["log", "source_row", "error_code", "raw_payload"]
    was_replaced = pl.col("state") == "replaced"
    again = found.filter(was_replaced).join(refused, on=same, how="semi", nulls_equal=True)
    rest = found.filter(~was_replaced).join(refused, on=same, how="anti", nulls_equal=True)
    resolution = (
        pl.when(pl.col("source_row").is_in(refused["source_row"].implode()))
        .then(pl.lit("replaced"))
        .when(pl.col("source_row").is_in(outdated.implode()))
        .then(pl.lit("fixed"))
        .otherwise(pl.lit("readmitted"))
    )
    told = {
        "replaced": "Read again: the row is refused for another reason, which has a letter of its own.",
        "fixed": "Read again: the row is good, and a newer file has said something else of its key since.",
        "readmitted": "Read again: the row is good and came in.",
        "reopened": "Read again: the row is refused for this reason once more.",
    }
    judged = pl.concat([rest.with_columns(resolution=resolution), again.with_columns(resolution=pl.lit("reopened"))])
    judged = judged.with_columns(
        actor=pl.lit(actor or provenance.source),
        reason=pl.col("resolution").replace_strict(told, return_dtype=pl.String),
    )
    resolve(tx, judged, provenance)
    return rest.height


def resolve_rejections(
    tx: Transaction, arrival: Arrival, rejection: str | None, actor: str | None, provenance: Provenance
) -> int:
    """Resolve the letters that a file has for having been rejected, but that for a present rejection; count them.

    Args:
        tx: open transaction; the account is written.
        arrival: the file.
        rejection: code of the reason for which it is rejected now; None: it was read.
        actor: who had it read again; None: it arrived again.
        provenance: who writes.
    """
    before = _letters_of(tx, source_of(arrival), [ARRIVALS]).filter(pl.col("error_code") != (rejection or ""))
    reason = "Read again: its rows came in." if rejection is None else f"Read again: rejected as {rejection} now."
    told = {"resolution": "readmitted" if rejection is None else "replaced", "reason": reason}
    told["actor"] = actor or provenance.source
    resolve(tx, before.with_columns(pl.lit(text).alias(name) for name, text in told.items()), provenance)
    return before.height


def _resolve_answered(
    tx: Transaction, arrival: Arrival, feed: FeedContract, read: ReadFile, provenance: Provenance
) -> int:
    """Resolve the letters of the retailer that good rows of a file say they answer, and count them."""
    if "answers_letter" in read.absent:
        return 0
    by = read.absent.get("answered_by", "answered_by")
    answers = tx.query(
        f"SELECT answers_letter AS letter_id, min({by}) AS actor, min(file_row_number) + 1 AS row "
        f"FROM read_parquet({path_literal(read.rows)}, file_row_number = true) "
        "WHERE error_code IS NULL AND answers_letter IS NOT NULL GROUP BY ALL"
    )
    waiting = letters(
        tx,
        "retailer = $retailer AND list_contains($ids, letter_id)",
        {"retailer": arrival.retailer, "ids": answers["letter_id"].to_list()},
        states=(OPEN, "dismissed"),
        logs=[target.contract for target in feed.targets],
    )
    file = f"{arrival.file_name} ({arrival.file_hash[:12]})"[:500]
    resolved = waiting.join(answers, on="letter_id").with_columns(
        resolution=pl.lit("fixed"),
        actor=pl.col("actor").fill_null(provenance.source),
        reason=pl.format("Row {} of {} answers it.", "row", pl.lit(file)),
    )
    resolve(tx, resolved, provenance)
    return resolved.height


def _letters_of(tx: Transaction, source: str, logs: list[Contract], *states: str) -> pl.DataFrame:
    """Letters of a file of which no row came in. What a person set aside is among them: it may come in still."""
    return letters(tx, "source = $source", {"source": source}, states=(OPEN, "dismissed", *states), logs=logs)
