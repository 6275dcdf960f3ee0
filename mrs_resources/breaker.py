"""Circuit breakers: whether something that keeps failing is left alone, folded from an append-only log.

Every process derives the same state from the same rows, so a breaker that one of them opened is open for all. Nothing
is written while all is well: the first row of a breaker is its first failure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import polars as pl

from mrs_assets.contracts.logs.operations import BREAKERS
from mrs_assets.contracts.resilience import Breakers
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, SYSTEM_RUN, Transaction
from mrs_resources.retrying import is_transient

State = Literal["closed", "open", "half_open"]


def stage_breaker(stage: str) -> str:
    """Name of the breaker of a stage that computes apart."""
    return f"stage:{stage}"


def model_breaker(model: str) -> str:
    """Name of the breaker of a model's artefact."""
    return f"model:{model}"


def feed_breaker(feed: str, retailer: str) -> str:
    """Name of the breaker of one retailer's files of one optional feed."""
    return f"feed:{feed}:{retailer}"


@dataclass(frozen=True)
class Outcome:
    """One row of the log, as the fold reads it."""

    outcome: str
    noted_at: datetime
    detail: str | None = None


@dataclass(frozen=True)
class Breaker:
    """One breaker at one instant.

    Attributes:
        name: what it guards.
        state: `closed`: go ahead; `open`: leave it alone; `half_open`: one may try.
        failures: failures in a row.
        retry_at: when an open breaker lets one try; UTC.
        detail: what went wrong last.
        since: the first of the failures in a row; UTC.
    """

    name: str
    state: State = "closed"
    failures: int = 0
    retry_at: datetime | None = None
    detail: str | None = None
    since: datetime | None = None


def fold(name: str, outcomes: Sequence[Outcome], now: datetime, policy: Breakers) -> Breaker:
    """The state that a breaker's outcomes add up to.

    The pause after the failure that opened it doubles with every failed probe, up to the longest. While one probe is
    under way the breaker stays open for everybody else; a probe that never came back holds it no longer than a pause.

    Args:
        name: of the breaker.
        outcomes: every outcome of it, oldest first.
        now: the instant asked about; UTC.
        policy: when it opens, and for how long.
    """
    failed: list[Outcome] = []
    probe: Outcome | None = None
    for outcome in outcomes:
        if outcome.outcome == "succeeded":
            failed, probe = [], None
        elif outcome.outcome == "failed":
            failed, probe = [*failed, outcome], None
        else:
            probe = outcome
    if not failed:
        return Breaker(name)
    last = failed[-1]
    known = Breaker(name, "closed", len(failed), None, last.detail, failed[0].noted_at)
    if len(failed) < policy.failures:
        return known
    retry_at = (probe or last).noted_at + policy.pause(len(failed) - policy.failures)
    return replace(known, state="open" if now < retry_at else "half_open", retry_at=retry_at)


def breaker(tx: Transaction, name: str, policy: Breakers) -> Breaker:
    """A breaker as it is at the transaction's instant."""
    return next(iter(breakers(tx, policy, name)), Breaker(name))


def approach(tx: Transaction, name: str, policy: Breakers, provenance: Provenance) -> Breaker:
    """A breaker as it is, for whoever is about to try: where one may, this is the one, and nobody else does."""
    known = breaker(tx, name, policy)
    if known.state == "half_open":
        note_probe(tx, name, provenance)
    return known


def breakers(tx: Transaction, policy: Breakers, name: str | None = None) -> list[Breaker]:
    """Every breaker that ever failed (or the named one) at the transaction's instant, sorted by name."""
    tx.ensure(BREAKERS)
    rows = tx.query(
        f"SELECT * FROM {BREAKERS.name} WHERE run_id = ? AND (? IS NULL OR breaker = ?)", [SYSTEM_RUN, name, name]
    )
    return folded(rows, tx.now, policy)


def folded(rows: pl.DataFrame, now: datetime, policy: Breakers) -> list[Breaker]:
    """The breakers of rows of `breaker_log` at an instant, sorted by name."""
    told = rows.sort("breaker", "attempt").select("breaker", "outcome", "noted_at", "detail")
    return [
        fold(str(name), [Outcome(*row[1:]) for row in own.iter_rows()], now, policy)
        for (name,), own in told.group_by("breaker", maintain_order=True)
    ]


def note_failure(tx: Transaction, name: str, error: BaseException, provenance: Provenance) -> None:
    """Append that it failed."""
    kind = "transient" if is_transient(error) else "permanent"
    _append(tx, name, provenance, "failed", kind, f"{type(error).__name__}: {error}"[:2000])


def note_probe(tx: Transaction, name: str, provenance: Provenance) -> None:
    """Append that one is trying, so that nobody else does."""
    _append(tx, name, provenance, "probing")


def note_success(tx: Transaction, known: Breaker, provenance: Provenance) -> None:
    """Append that it came back; nothing where it had not failed."""
    if known.failures:
        _append(tx, known.name, provenance, "succeeded")


def _append(
    tx: Transaction, name: str, provenance: Provenance, outcome: str, kind: str | None = None, detail: str | None = None
) -> None:
    tx.ensure(BREAKERS)
    before = tx.query(
        f"SELECT coalesce(max(attempt), 0) AS n FROM {BREAKERS.name} WHERE run_id = ? AND breaker = ?",
        [SYSTEM_RUN, name],
    )
    row = {
        "retailer": "*",
        "business_day": tx.now.date(),
        "breaker": name,
        "attempt": int(before["n"][0]) + 1,
        "outcome": outcome,
        "kind": kind,
        "detail": detail,
        "noted_at": tx.now,
    }
    frame = pl.DataFrame([row], schema_overrides={"kind": pl.String, "detail": pl.String})
    tx.append(BREAKERS, frame, replace(EVER, complete=False), provenance, run_id=SYSTEM_RUN)
