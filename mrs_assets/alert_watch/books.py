"""The books of alerting: alerts, deliveries and silences, read from their logs and written to them.

They belong to no namespace of `demo_run_config`: an alert outlives a reset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from mrs_assets.alerting.note import Note, notes_of, rows_of
from mrs_assets.alerting.outbox import Attempt, Silence
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.alerts import ALERTS, DELIVERIES, SILENCES
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction

LATELY = timedelta(days=7)
"""How long a resolved alert may still have to be told."""

ADDED = replace(EVER, complete=False)


@dataclass(frozen=True)
class Books:
    """What the logs hold at one instant.

    Attributes:
        history: of alerts that are open or were noted lately: the newest note and those that tell.
        attempts: newest attempt of every delivery of these alerts.
        settled: per channel, the newest attempt that was sent or given up, of whatever age.
        silences: all that have not ended lately.
    """

    history: tuple[Note, ...]
    attempts: tuple[Attempt, ...]
    settled: tuple[Attempt, ...]
    silences: tuple[Silence, ...]


def open_books(tx: Transaction) -> Books:
    """The books at the transaction's instant."""
    since = tx.now - LATELY
    return Books(history(tx), _attempts(tx, since), _settled(tx), tuple(silences(tx, since)))


def history(tx: Transaction) -> tuple[Note, ...]:
    """Of alerts that are open or were noted lately: the newest note and those that tell."""
    tx.ensure(ALERTS)
    rows = tx.query(
        f"WITH newest AS ({_NEWEST}) SELECT a.* FROM {ALERTS.name} a JOIN newest n USING (alert_id) "
        "WHERE a.run_id = $run AND (n.state <> 'resolved' OR n.noted_at > $since) AND (a.tells OR a.change = n.change)",
        {"run": SYSTEM_RUN, "since": tx.now - LATELY},
    )
    return tuple(notes_of(rows))


_NEWEST = (
    "SELECT alert_id, max(change) AS change, arg_max(state, change) AS state, max(noted_at) AS noted_at "
    f"FROM {ALERTS.name} WHERE run_id = $run GROUP BY alert_id"
)

_ATTEMPTS = (
    "SELECT delivery_id, max(attempt) AS attempt, arg_max(struct_pack(alert_id, change, channel, outcome, message_id, "
    f"attempted_at, retry_at), (attempt, version)) AS told FROM {DELIVERIES.name} WHERE run_id = $run "
    "GROUP BY delivery_id"
)


def _attempts(tx: Transaction, since: datetime) -> tuple[Attempt, ...]:
    tx.ensure(DELIVERIES)
    rows = tx.query(
        f"WITH newest AS ({_NEWEST}), tried AS (SELECT delivery_id, attempt, unnest(told) FROM ({_ATTEMPTS})) "
        "SELECT t.* FROM tried t JOIN newest n USING (alert_id) WHERE n.state <> 'resolved' OR n.noted_at > $since",
        {"run": SYSTEM_RUN, "since": since},
    )
    return _as_attempts(rows)


def _settled(tx: Transaction) -> tuple[Attempt, ...]:
    rows = tx.query(
        f"WITH tried AS (SELECT delivery_id, attempt, unnest(told) FROM ({_ATTEMPTS})) "
        "SELECT * FROM tried WHERE outcome IN ('sent', 'given_up') "
        "QUALIFY row_number() OVER (PARTITION BY channel ORDER BY attempted_at DESC, delivery_id) = 1",
        {"run": SYSTEM_RUN},
    )
    return _as_attempts(rows)


def _as_attempts(rows: pl.DataFrame) -> tuple[Attempt, ...]:
    columns = list(Attempt.__dataclass_fields__)
    return tuple(Attempt(**row) for row in rows.select(columns).sort("delivery_id").to_dicts())


def silences(tx: Transaction, since: datetime) -> list[Silence]:
    """Silences that end after an instant, each with the instant from which it holds."""
    rows = tx.live(SILENCES, run_id=SYSTEM_RUN).filter(pl.col("until") > since)
    return [
        Silence(row["fingerprint"], row["since"], row["until"])
        for row in rows.select("fingerprint", "since", "until").to_dicts()
    ]


def keep(tx: Transaction, notes: Sequence[Note], provenance: Provenance) -> Appended | None:
    """Append notes; None where there are none."""
    if not notes:
        return None
    return append(tx, ALERTS, rows_of(notes), provenance)


def append(tx: Transaction, contract: Contract, rows: pl.DataFrame, provenance: Provenance) -> Appended:
    """Add rows to one of the books."""
    return tx.append(contract, rows, ADDED, provenance, run_id=SYSTEM_RUN)
