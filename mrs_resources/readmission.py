"""Readmission: an archived file is read again under today's settings, and what is good now comes in.

The file keeps its place in the order of arrival: a row of which a newer file speaks is left alone, so that the live
rows are those of a build from scratch under today's settings. Nothing else than the file's own rows is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.errors import FeedRejected
from mrs_assets.contracts.feed import FeedContract, Target
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.settings import Settings
from mrs_resources.admission import Admitted, rejected, says_nothing_new, write_account, write_rows
from mrs_resources.admission_review import Review, resolve_what_was_read
from mrs_resources.archive import Archive, Arrival
from mrs_resources.contract_sql import quoted, same_key
from mrs_resources.dead_letters import OPEN, letters
from mrs_resources.feed_reading import read_file
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import Transaction
from mrs_resources.offered_rows import keys_sql, source_of
from mrs_resources.staging import OFFERED, STAGED

_OUTDATED = "outdated"


def files_with_letters(
    tx: Transaction, *, file: str | None = None, code: str | None = None, retailer: str | None = None
) -> list[Arrival]:
    """Files that have an open dead letter, or were rejected, in the order in which they arrived.

    Args:
        tx: open transaction.
        file: beginning of the file's hash.
        code: error code of the letter.
        retailer: who sent it.
    """
    open_letters = letters(
        tx,
        "($code IS NULL OR error_code = $code) AND ($retailer IS NULL OR retailer = $retailer)",
        {"code": code, "retailer": retailer},
        states=(OPEN,),
    )
    sources = set(open_letters["source"].to_list())
    return [
        arrival
        for arrival in _arrivals(tx)
        if source_of(arrival) in sources and arrival.file_hash.startswith((file or "").lower())
    ]


def readmit(
    tx: Transaction,
    archive: Archive,
    arrival: Arrival,
    settings: Settings,
    feeds: Mapping[str, FeedContract],
    actor: str,
    provenance: Provenance,
) -> Admitted:
    """Read one archived file again, and resolve the letters of which nothing is left.

    Where today's settings would reject a file whose rows came in before, nothing is written: they stay, and so does
    its account.

    Args:
        tx: open transaction.
        archive: where the file lies.
        arrival: the file, as `files_with_letters` gives it.
        settings: today's.
        feeds: what the files of each feed may say.
        actor: who asked for it.
        provenance: who writes.
    """
    feed, named = feeds[arrival.feed], replace(provenance, source=source_of(arrival))
    try:
        with read_file(archive, arrival, settings, feed) as read:
            review = Review(tx, arrival, feed, read, settings.error_budget(feed.name, arrival.retailer))
            newer = _Newer(tx, archive, arrival, settings, feed, review)
            admitted = write_rows(tx, arrival, feed, review, named, newer.withhold)
            admitted = replace(admitted, resolved=resolve_what_was_read(tx, arrival, review, feed, actor, named))
    except FeedRejected as rejection:
        admitted = rejected(arrival, rejection)
        if not _is_rejected(tx, arrival):
            return admitted
    if says_nothing_new(tx, admitted):
        return replace(admitted, decision="rejected" if admitted.decision == "rejected" else "identical")
    return write_account(tx, admitted, settings, named, actor)


@dataclass(frozen=True)
class _Newer:
    """What newer files of the same feed and retailer say."""

    tx: Transaction
    archive: Archive
    arrival: Arrival
    settings: Settings
    feed: FeedContract
    review: Review

    def withhold(self, target: Target) -> None:
        """Take back staged rows that would replace what a newer file says of their key."""
        connection, contract = self.tx.connection, target.contract
        self._find_differing(contract)
        (doubtful,) = connection.execute(f"SELECT count(*) FROM {_OUTDATED} WHERE NOT is_outdated").fetchall()[0]
        if doubtful:
            for newer in _arrivals(self.tx, read_only=True):
                same_door = (newer.feed, newer.retailer) == (self.arrival.feed, self.arrival.retailer)
                if same_door and newer.received_at > self.arrival.received_at:
                    self._mark_keys_of(newer, target)
        self.review.note_outdated(f"SELECT ordinal FROM {_OUTDATED} WHERE is_outdated AND ordinal IS NOT NULL")
        connection.execute(f"DELETE FROM {STAGED} WHERE rowid IN (SELECT place FROM {_OUTDATED} WHERE is_outdated)")

    def _find_differing(self, contract: Contract) -> None:
        """List staged rows whose key is live with other content; certain where that was received later.

        A live row that is older does not decide: a newer file may have repeated it, which leaves no trace in the log.
        """
        key = quoted(list(contract.key))
        received = "arg_max(received_at, version) > ?" if "received_at" in contract.body else "? IS NULL"
        self.tx.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {_OUTDATED} AS "
            f"SELECT {quoted(list(contract.key), 'o')}, o.place, o.ordinal, l.is_outdated FROM {OFFERED} o JOIN ("
            f"SELECT {key}, arg_max(row_hash, version) AS row_hash, arg_max(is_retracted, version) AS is_retracted, "
            f"{received} AS is_outdated FROM {contract.name} SEMI JOIN {OFFERED} USING ({key}) "
            f"WHERE run_id = ? GROUP BY {key}) l ON {same_key(contract, 'o', 'l')} "
            "WHERE NOT l.is_retracted AND l.row_hash <> o.row_hash",
            [self.arrival.received_at, self.tx.run_id],
        )

    def _mark_keys_of(self, newer: Arrival, target: Target) -> None:
        try:
            with read_file(self.archive, newer, self.settings, self.feed) as read:
                self.tx.connection.execute(
                    f"UPDATE {_OUTDATED} SET is_outdated = true FROM ({keys_sql(newer, target, read)}) n "
                    f"WHERE {same_key(target.contract, _OUTDATED, 'n')}"
                )
        except FeedRejected:  # today's settings read nothing in it, so it says nothing
            return


def _is_rejected(tx: Transaction, arrival: Arrival) -> bool:
    """Whether nothing of a file was ever used."""
    return source_of(arrival) not in {source_of(other) for other in _arrivals(tx, read_only=True)}


def _arrivals(tx: Transaction, *, read_only: bool = False) -> list[Arrival]:
    """Files of the namespace with an account, in the order in which they arrived; those that were read, or all."""
    accounts = tx.live(ARRIVALS).sort("received_at", "feed", "retailer")
    if read_only:
        accounts = accounts.filter(pl.col("decision") != "rejected")
    return [
        Arrival(
            sequence=0,
            feed=row["feed"],
            retailer=row["retailer"],
            file_hash=row["file_hash"],
            file_name=row["file_name"],
            byte_size=row["byte_size"],
            received_at=row["received_at"],
        )
        for row in accounts.to_dicts()
    ]
