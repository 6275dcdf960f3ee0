"""The standing list: every partition with degraded rows, what each waits for, and since when it waits for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import polars as pl

from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.ended import CORRECTED
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.settings import Settings
from mrs_assets.contracts.stage import Input, Stage, Want
from mrs_assets.planning.plan import Closing
from mrs_resources.breaker import Breaker, breakers, model_breaker, stage_breaker
from mrs_resources.liveness import down_from
from mrs_resources.log_store import Transaction
from mrs_resources.model_store import active_model


@dataclass(frozen=True)
class Standing:
    """Degraded days of one log of one retailer, for one reason.

    Attributes:
        log: whose live rows are degraded.
        asset: what can do better; None where the reason comes with the rows that it was computed from.
        days: the days, sorted.
        rows: number of degraded rows.
        written_at: newest of the rows; UTC.
        waits_for: what still stands in the way, in words; None: nothing, it can be computed again.
        free_from: since when nothing stands in the way; where it is left alone for a while, until when. UTC.
    """

    log: str
    asset: str | None
    retailer: str
    reason: str
    days: tuple[date, ...]
    rows: int
    written_at: datetime
    waits_for: str | None
    free_from: datetime


def standing_list(tx: Transaction, settings: Settings, stages: Sequence[Stage], closing: Closing) -> list[Standing]:
    """Every degraded live row that anything can mend, grouped, at the transaction's instant.

    Args:
        tx: the open transaction.
        settings: what is configured.
        stages: declared stages in order of the graph.
        closing: what comes after them.
    """
    writers: list[tuple[Contract, Stage | None]] = [(log, stage) for stage in stages for log in stage.writes]
    writers.append((closing.finalisation, None))
    degraded = {log.name: _mendable(tx.degraded_days(log), stage, closing) for log, stage in writers}
    if all(frame.is_empty() for frame in degraded.values()):
        return []
    causes = _Causes(tx, settings, degraded)
    found: list[Standing] = []
    for log, stage in writers:
        for (retailer, reason), rows in degraded[log.name].group_by("retailer", "reason", maintain_order=True):
            own = reason in (closing.finalisation_reasons if stage is None else _own_reasons(stage))
            found += _grouped(causes, log, stage, str(retailer), str(reason), rows, own=own)
    return found


def _mendable(rows: pl.DataFrame, stage: Stage | None, closing: Closing) -> pl.DataFrame:
    """What corrected data closed keeps its last state, and that is not computed again: only who wrote it says it anew.

    Returns:
        Columns retailer, business_day, reason, rows, written_at, sorted.
    """
    said_anew = closing.finalisation_reasons if stage is None else {stage.down}
    closed = pl.col("resolution_reason").eq_missing(pl.lit(CORRECTED)) & ~pl.col("reason").is_in(said_anew)
    by = ["retailer", "business_day", "reason"]
    return rows.filter(~closed).group_by(by).agg(pl.col("rows").sum(), pl.col("written_at").max()).sort(by)


@dataclass
class _Causes:
    """What is known of the causes at one instant, each asked of the logs once and not for every day."""

    tx: Transaction
    settings: Settings
    degraded: dict[str, pl.DataFrame]
    breakers: dict[str, Breaker] = field(init=False)
    tried: dict[tuple[str, str, str], list[datetime]] = field(init=False)
    written: dict[str, datetime | None] = field(default_factory=dict)
    down: dict[tuple[str, str | None], date] = field(default_factory=dict)
    in_force: dict[str, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.breakers = {known.name: known for known in breakers(self.tx, self.settings.breakers)}
        self.tried = _tried(self.tx)

    def of_day(
        self, stage: Stage | None, retailer: str, reason: str, day: date, written_at: datetime
    ) -> tuple[str | None, datetime]:
        """What a degraded day waits for, and since or until when."""
        want = next((want for want in stage.wants.values() if want.reason == reason), None) if stage else None
        waits_for, until = self._cause(stage, want, retailer, reason, day)
        if waits_for is not None:
            return waits_for, until or written_at
        again_from = self._again_from(want, retailer, reason, day, written_at)
        if until is not None:
            again_from = max(again_from, until)
        return ("its next try" if again_from > self.tx.now else None), again_from

    def _cause(
        self, stage: Stage | None, want: Want | None, retailer: str, reason: str, day: date
    ) -> tuple[str | None, datetime | None]:
        """What still stands in the way in words, or None, and until when it does or did, where that is known."""
        if stage is None:
            return None, None
        if want is None:
            return self._left_alone(stage_breaker(stage.name))
        if want.log is not None:
            whose = None if stage.span == "everything" else retailer
            there = self._is_there(want.log, whose, retailer, reason, day)
            return (None if there else want.log.contract.name), None
        if not self._in_force(str(want.model)):
            return f"a version of {want.model}", None
        return self._left_alone(model_breaker(str(want.model)))

    def _again_from(self, want: Want | None, retailer: str, reason: str, day: date, written_at: datetime) -> datetime:
        """When a day may be computed again: at once where its input was written since, else after a pause.

        The pause doubles with every time that the day was computed again in vain.
        """
        in_vain = [at for at in self.tried.get((retailer, reason, day.isoformat()), []) if at > written_at]
        newest = in_vain[-1] if in_vain else written_at
        written = self._written(want.log.contract) if want is not None and want.log is not None else None
        if written is not None and written > newest:
            return written
        return newest + self.settings.breakers.pause(max(len(in_vain) - 1, 0))

    def _written(self, contract: Contract) -> datetime | None:
        """When a log, or any file's account, was written last."""
        if contract.name not in self.written:
            self.written[contract.name] = self.tx.newest_write(contract, ARRIVALS)
        return self.written[contract.name]

    def _left_alone(self, name: str) -> tuple[str | None, datetime | None]:
        known = self.breakers.get(name, Breaker(name))
        if known.state == "open":
            return f"{name}, left alone after {known.failures} failures: {known.detail}", known.retry_at
        return None, known.retry_at

    def _is_there(self, wanted: Input, whose: str | None, retailer: str, reason: str, day: date) -> bool:
        upstream = self.degraded.get(wanted.contract.name)
        if upstream is None:
            return day < self._down_from(wanted.contract, whose)
        first, last = day - timedelta(days=wanted.days_before), day + timedelta(days=wanted.days_after)
        near = pl.col("business_day").is_between(first, last) & (pl.col("retailer") == retailer)
        return upstream.filter(near & (pl.col("reason") == reason)).is_empty()

    def _down_from(self, contract: Contract, whose: str | None) -> date:
        if (contract.name, whose) not in self.down:
            self.down[contract.name, whose] = down_from(self.tx, contract, self.settings, whose)
        return self.down[contract.name, whose]

    def _in_force(self, model: str) -> bool:
        if model not in self.in_force:
            self.in_force[model] = active_model(self.tx, model) is not None
        return self.in_force[model]


def _grouped(
    causes: _Causes, log: Contract, stage: Stage | None, retailer: str, reason: str, rows: pl.DataFrame, *, own: bool
) -> Iterator[Standing]:
    """One item for all the days that wait for the same."""
    parts: dict[str | None, list[tuple[date, int, datetime, datetime]]] = {}
    for day, count, written_at in rows.select("business_day", "rows", "written_at").iter_rows():
        if own:
            waits_for, free_from = causes.of_day(stage, retailer, reason, day, written_at)
        else:
            waits_for, free_from = "what it was computed from", written_at
        parts.setdefault(waits_for, []).append((day, count, written_at, free_from))
    for waits_for, found in parts.items():
        days, counts, written, free = zip(*found, strict=True)
        asset = (stage.name if stage else log.name) if own else None
        yield Standing(log.name, asset, retailer, reason, days, sum(counts), max(written), waits_for, max(free))


def _own_reasons(stage: Stage) -> set[str]:
    """Reasons that are about this stage or something that it wants itself."""
    return {stage.down, *(want.reason for want in stage.wants.values())}


def _tried(tx: Transaction) -> dict[tuple[str, str, str], list[datetime]]:
    """When plans were finished, in order, per retailer, trigger and day."""
    done = tx.live(REPLAY_PLANS).filter(pl.col("state") == "done").sort("written_at", "plan_id")
    found: dict[tuple[str, str, str], list[datetime]] = {}
    told = done.explode("triggers").explode("days_changed")
    for retailer, trigger, day, moment in told.select("retailer", "triggers", "days_changed", "written_at").iter_rows():
        found.setdefault((retailer, trigger, day), []).append(moment)
    return found
