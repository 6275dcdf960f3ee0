"""Admission: a received file becomes rows of a log, duplicates recognised and refused rows kept with their reason.

Accounts: rows received = accepted + duplicate + dead-lettered, in `feed_arrivals_log`, written in the same transaction
as the rows. A file that changes nothing is struck off the arrivals instead, and writes nothing anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Literal

import polars as pl

from mrs_assets.contracts.errors import ContractBroken, FeedRejected
from mrs_assets.contracts.feed import FeedContract, Target
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.operations import DEMO_RUN_CONFIG
from mrs_assets.contracts.scope import Scope
from mrs_assets.contracts.settings import Settings
from mrs_resources.admission_review import Review, resolve_rejections, resolve_what_was_read
from mrs_resources.archive import Archive, Arrival
from mrs_resources.feed_reading import read_file
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction
from mrs_resources.offered_rows import offer, refused_sql, source_of

Decision = Literal["new", "identical", "correction", "rejected"]


@dataclass(frozen=True)
class Admitted:
    """What admission made of one file.

    Attributes:
        arrival: the file.
        decision: `new`; `correction`, when facts already known changed or gained others beside them; `identical`,
            when nothing changed; `rejected`, when nothing of it is used.
        reason: why a file was rejected.
        received, accepted, duplicate, dead_lettered: rows; the first is the sum of the others.
        withdrawn: known rows that the file lacks and speaks for.
        days, stores: business days and stores whose live rows changed.
        appended: what was done to each log, the accounts included.
        columns: columns of the file, sorted; None where it was rejected, or answers dead letters.
        ignored_columns: those that nothing was read from.
        resolved: dead letters that the file resolved.
    """

    arrival: Arrival
    decision: Decision
    reason: str | None = None
    received: int = 0
    accepted: int = 0
    duplicate: int = 0
    dead_lettered: int = 0
    withdrawn: int = 0
    days: tuple[date, ...] = ()
    stores: tuple[str, ...] = ()
    appended: tuple[Appended, ...] = field(default=())
    columns: tuple[str, ...] | None = None
    ignored_columns: tuple[str, ...] = ()
    resolved: int = 0


def pending_arrivals(
    tx: Transaction, archive: Archive, feed: str | None = None, retailers: Sequence[str] | None = None
) -> list[Arrival]:
    """Arrivals of the current namespace that no admission has decided, oldest first.

    They must be admitted in this order, and none of a feed and retailer after one that failed: a later file corrects an
    earlier one.
    """
    arrivals = [
        a
        for a in archive.arrivals()
        if (feed is None or a.feed == feed) and (retailers is None or a.retailer in retailers)
    ]
    if not arrivals:
        return []
    tx.ensure(ARRIVALS)
    decided = set(
        tx.connection.execute(
            f"SELECT feed, retailer, file_hash, epoch_us(received_at) FROM {ARRIVALS.name} WHERE run_id = ?",
            [tx.run_id],
        ).fetchall()
    )
    begin = _arrivals_from(tx)
    return [
        a
        for a in arrivals
        if (begin is None or a.received_at >= begin)
        and (a.feed, a.retailer, a.file_hash, _microseconds(a.received_at)) not in decided
    ]


def admit(
    tx: Transaction,
    archive: Archive,
    arrival: Arrival,
    settings: Settings,
    feed: FeedContract,
    provenance: Provenance,
) -> Admitted:
    """Decide on one arrival: write its rows, its dead letters and its accounts, or nothing where nothing changes."""
    named = replace(provenance, source=source_of(arrival))
    if _repeats_the_newest(tx, arrival):
        archive.forget(arrival)
        return Admitted(arrival, "identical")
    try:
        with read_file(archive, arrival, settings, feed) as read:
            review = Review(tx, arrival, feed, read, settings.error_budget(feed.name, arrival.retailer))
            admitted = write_rows(tx, arrival, feed, review, named, whole=_speaks_whole(settings, feed, arrival))
            resolved = resolve_what_was_read(tx, arrival, review, feed, None, named)
            admitted = replace(admitted, resolved=resolved)
    except FeedRejected as rejection:
        admitted = rejected(arrival, rejection)
    if says_nothing_new(tx, admitted):
        archive.forget(arrival)
        return replace(admitted, decision="identical")
    return write_account(tx, admitted, settings, named)


def _speaks_whole(settings: Settings, feed: FeedContract, arrival: Arrival) -> tuple[str, ...]:
    if not feed.day_in_key or settings.retailers[arrival.retailer].resends == "rows":
        return ()
    return ("retailer", "business_day", "store_id", "source")


def rejected(arrival: Arrival, rejection: FeedRejected) -> Admitted:
    """What admission makes of a file of which nothing is used."""
    return Admitted(arrival, "rejected", reason=f"{rejection.code}: {rejection}")


def _arrivals_from(tx: Transaction) -> datetime | None:
    row = tx.live(DEMO_RUN_CONFIG, run_id=SYSTEM_RUN).filter(pl.col("active_run_id") == tx.run_id)
    return row["arrivals_from"][0] if row.height else None


def _microseconds(moment: datetime) -> int:
    return int((moment - datetime.fromtimestamp(0, tz=moment.tzinfo)).total_seconds() * 1_000_000)


def _repeats_the_newest(tx: Transaction, arrival: Arrival) -> bool:
    """Whether the newest admitted file of its feed and retailer had the same content, and all of it was used."""
    tx.ensure(ARRIVALS)
    newest = tx.connection.execute(
        "SELECT file_hash, rows_dead_lettered = 0 AND decision <> 'rejected' "
        f"FROM {ARRIVALS.name} WHERE run_id = ? AND feed = ? AND retailer = ? ORDER BY received_at DESC LIMIT 1",
        [tx.run_id, arrival.feed, arrival.retailer],
    ).fetchone()
    return newest is not None and newest[0] == arrival.file_hash and bool(newest[1])


def write_rows(
    tx: Transaction,
    arrival: Arrival,
    feed: FeedContract,
    review: Review,
    provenance: Provenance,
    withhold: Callable[[Target], None] | None = None,
    whole: tuple[str, ...] = (),
) -> Admitted:
    """Write a file's rows and dead letters, but not its account.

    Args:
        tx: open transaction.
        arrival: the file.
        feed: what it may say.
        review: of the file as it was read.
        provenance: who writes, and the file's name among dead letters.
        withhold: may take staged rows of a log back, which then count as duplicates.
        whole: columns of combinations for which the file speaks whole; see `Scope`.

    Raises:
        FeedRejected: the file is over its error budget; nothing was written.
    """
    read, appended = review.read, []
    letters = refused_sql(arrival, feed, read) if read.refused else None

    def look(target: Target) -> None:
        review.look(target)
        if withhold is not None:
            withhold(target)

    for target in feed.targets:
        offer(tx, arrival, target, read)
        scope = replace(EVER, complete=False)
        if feed.day_in_key and read.first_day is not None and read.last_day is not None:
            scope = Scope(read.first_day, read.last_day, arrival.retailer, complete=False, whole=whole)
        before = partial(look, target)
        appended.append(tx.kernel.append(target.contract, tx.run_id, scope, provenance, letters, before))
        letters = None
    accepted, duplicate = sum(a.appended for a in appended), sum(a.unchanged for a in appended)
    dead = sum(a.rejected for a in appended)
    if read.received != accepted + duplicate + dead:
        raise ContractBroken(
            f"{arrival.file_name}: {read.received} rows received, but {accepted} + {duplicate} + {dead} accounted for."
        )
    corrects = any(_corrects(tx, t, a) for t, a in zip(feed.targets, appended, strict=True))
    return Admitted(
        arrival=arrival,
        decision="correction" if corrects else "new",
        received=read.received,
        accepted=accepted,
        duplicate=duplicate,
        dead_lettered=dead,
        withdrawn=sum(a.retracted for a in appended) if feed.day_in_key else 0,
        days=tuple(sorted({day for a in appended for day in a.days})),
        stores=tuple(sorted({store for a in appended for store in a.stores})),
        appended=tuple(appended),
        columns=read.columns,
        ignored_columns=read.ignored,
    )


def _corrects(tx: Transaction, target: Target, appended: Appended) -> bool:
    """Whether accepted rows restate known facts, or add some to an interval of a store that was known already."""
    if appended.retracted:
        return True
    if not appended.appended:
        return False
    log = target.contract.name
    newest = tx.query(
        "SELECT batch_id FROM append_batches WHERE log_name = ? AND run_id = ? ORDER BY written_to DESC LIMIT 1",
        [log, tx.run_id],
    )
    inside = "run_id = ? AND business_day BETWEEN ? AND ? AND batch_id"
    scope: list[object] = [tx.run_id, appended.days[0], appended.days[-1], newest["batch_id"][0]]

    def found(sql: str, parameters: list[object]) -> bool:
        return tx.connection.execute(f"{sql} LIMIT 1", parameters).fetchone() is not None

    if not found(f"SELECT 1 FROM {log} WHERE {inside} <> ?", scope):
        return False
    if found(f"SELECT 1 FROM {log} WHERE {inside} = ? AND version > 1", scope):
        return True
    interval = "retailer, store_id, ts"
    return "ts" in target.contract.key and found(
        f"SELECT 1 FROM (SELECT DISTINCT {interval} FROM {log} WHERE {inside} = ?) "
        f"SEMI JOIN (SELECT {interval} FROM {log} WHERE {inside} <> ?) USING ({interval})",
        [*scope, *scope],
    )


def says_nothing_new(tx: Transaction, admitted: Admitted) -> bool:
    """Whether a file that arrived before came to exactly the same end, and changed nothing now."""
    if admitted.accepted or admitted.withdrawn:
        return False
    known = tx.live(ARRIVALS).filter(
        pl.col("feed") == admitted.arrival.feed,
        pl.col("retailer") == admitted.arrival.retailer,
        pl.col("file_hash") == admitted.arrival.file_hash,
    )
    return known.height > 0 and (
        admitted.dead_lettered == known["rows_dead_lettered"][0]
        and (admitted.decision == "rejected") == (known["decision"][0] == "rejected")
        and (admitted.decision != "rejected" or admitted.reason == known["decision_reason"][0])
    )


def write_account(
    tx: Transaction, admitted: Admitted, settings: Settings, provenance: Provenance, actor: str | None = None
) -> Admitted:
    """Write what became of a file; what it was rejected for before is resolved where that no longer holds."""
    arrival = admitted.arrival
    was_rejected = _was_rejected(tx, arrival)
    zone = settings.retailers[arrival.retailer].zone
    account = pl.DataFrame(
        {
            "retailer": [arrival.retailer],
            "business_day": [arrival.received_at.astimezone(zone).date()],
            "feed": [arrival.feed],
            "file_hash": [arrival.file_hash],
            "file_name": [arrival.file_name],
            "byte_size": [arrival.byte_size],
            "received_at": [arrival.received_at],
            "rows_received": [admitted.received],
            "rows_accepted": [admitted.accepted],
            "rows_duplicate": [admitted.duplicate],
            "rows_dead_lettered": [admitted.dead_lettered],
            "rows_withdrawn": [admitted.withdrawn],
            "days_touched": [[day.isoformat() for day in admitted.days]],
            "columns": [admitted.columns if admitted.columns is None else list(admitted.columns)],
            "decision": [admitted.decision],
            "decision_reason": [admitted.reason],
        },
        schema_overrides={
            "days_touched": pl.List(pl.String),
            "columns": pl.List(pl.String),
            "decision_reason": pl.String,
        },
    )
    written = tx.append(ARRIVALS, account, replace(EVER, complete=False), provenance)
    resolved = admitted.resolved
    if was_rejected:
        code = None if admitted.reason is None else admitted.reason.split(":", 1)[0]
        resolved += resolve_rejections(tx, arrival, code, actor, provenance)
    return replace(admitted, appended=(*admitted.appended, written), resolved=resolved)


def _was_rejected(tx: Transaction, arrival: Arrival) -> bool:
    found = tx.connection.execute(
        f"SELECT 1 FROM {ARRIVALS.name} WHERE run_id = ? AND feed = ? AND retailer = ? AND file_hash = ? "
        "AND decision = 'rejected' LIMIT 1",
        [tx.run_id, arrival.feed, arrival.retailer, arrival.file_hash],
    ).fetchone()
    return found is not None
