"""Reads what changed since the last finished plan, and records what is planned and done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from mrs_assets import __version__
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.logs.arrivals import ARRIVALS
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.sales_timeseries import SALES_TIMESERIES
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.settings import Settings
from mrs_assets.planning.felt import Replay
from mrs_assets.planning.plan import SOURCE_WEIGHTS, Change, Known, Plan, Step
from mrs_resources.kernel import Provenance
from mrs_resources.log_store import EVER, Transaction

NEVER = datetime(1, 1, 1, tzinfo=UTC)
REESTIMATED_DAYS = 14
"""Days up to the frontier that are computed again when sources are weighed otherwise; from practice, not fitted."""

PLANNING = Provenance("planning", __version__)
OPEN = ("planned", "held", "approved")
"""States of a plan that is not finished."""


def answered(tx: Transaction) -> dict[tuple[str, str], datetime]:
    """The newest input that a finished plan answered, per retailer and log."""
    done = tx.live(REPLAY_PLANS).filter(pl.col("state") == "done").explode("triggers")
    newest = done.group_by("retailer", "triggers").agg(pl.col("inputs_written_at").max())
    return {(retailer, log): at for retailer, log, at in newest.iter_rows()}


def read_changes(tx: Transaction, inputs: Sequence[Contract], settings: Settings) -> list[Change]:
    """Input rows written after the newest input that a finished plan of their retailer and log answered."""
    tx.ensure(*inputs, REPLAY_PLANS)
    known = answered(tx)
    changes = []
    for contract in inputs:
        for retailer in sorted(settings.retailers):
            rows = tx.changed(contract, known.get((retailer, contract.name), NEVER), retailer)
            if rows.height:
                stores = rows["store_id"].drop_nulls().n_unique()
                days = tuple(rows["business_day"].unique().sort())
                newest: datetime = rows["written_at"].max()  # type: ignore[assignment]
                changes.append(Change(contract.name, retailer, days, stores, newest))
    return changes


def read_reweighted(tx: Transaction, settings: Settings, known: Mapping[str, Known]) -> list[Change]:
    """The last 14 days of each retailer whose declared sources differ from those of its last finished series.

    Args:
        tx: where plans are recorded.
        settings: what is declared now.
        known: retailers with sales.
    """
    done = tx.live(REPLAY_PLANS).filter(
        (pl.col("state") == "done")
        & (pl.col("purpose") == "replay")
        & pl.col("assets").list.contains(SALES_TIMESERIES.name)
    )
    changes = []
    for row in done.sort("written_at").unique("retailer", keep="last").sort("retailer").to_dicts():
        name = row["retailer"]
        declared = settings.retailers.get(name)
        if declared is None or name not in known or declared.source_weights == row["source_weights"]:
            continue
        days = tuple(known[name].last_day - timedelta(days=n) for n in reversed(range(REESTIMATED_DAYS)))
        changes.append(Change(UNIFIED_SALES.name, name, days, 0, row["written_at"], cause=SOURCE_WEIGHTS))
    return changes


def known_days(tx: Transaction, settings: Settings) -> dict[str, Known]:
    """What days there are, of every retailer with sales."""
    tx.ensure(ARRIVALS)
    sent = tx.query(f"SELECT DISTINCT retailer FROM {ARRIVALS.name} WHERE run_id = ?", [tx.run_id])["retailer"]
    found = {}
    for name in sorted({*settings.retailers, *sent}):
        sold = tx.first_and_last_day(UNIFIED_SALES, name)
        if sold is not None:
            computed = tx.first_and_last_day(SALES_TIMESERIES, name)
            first, last = zip(sold, computed or sold, strict=True)
            begins = settings.retailers[name].reports_from if name in settings.retailers else None
            found[name] = Known(min(first), max(last), computed, begins)
    return found


def replay_of(tx: Transaction, plan_id: str, settings: Settings) -> Replay | None:
    """What a recorded plan answers; None where it is no replay of facts or context."""
    rows = tx.live(REPLAY_PLANS).filter(plan_id=plan_id, purpose="replay").to_dicts()
    if not rows:
        return None
    (row,) = rows
    days = [date.fromisoformat(day) for day in row["days_changed"]]
    replay = _replay(tx, settings, plan_id, row["retailer"], row["triggers"], days, row["planned_after"])
    return replace(replay, is_done=row["state"] not in OPEN)


def replay_ahead(tx: Transaction, plan: Plan, settings: Settings) -> Replay:
    """What a plan that is not recorded yet would answer."""
    retailer = str(plan.scope.retailer)
    after = planned_after(tx, plan)
    return _replay(tx, settings, plan.plan_id, retailer, plan.triggers, plan.days_changed, after)


def planned_after(tx: Transaction, plan: Plan) -> datetime:
    """The newest row of any log that is none of a plan's own work.

    A plan that takes the place of one that was begun and not finished takes over its work.
    """
    begun = tx.live(REPLAY_PLANS).filter(
        pl.col("state").is_in(OPEN), pl.col("purpose") == plan.purpose, pl.col("retailer") == plan.scope.retailer
    )
    oldest = begun["planned_after"].min() if begun.height else tx.newest_write()
    return oldest or NEVER  # type: ignore[return-value]


def _replay(
    tx: Transaction,
    settings: Settings,
    plan_id: str,
    retailer: str,
    triggers: Sequence[str],
    days: Sequence[date],
    after: datetime,
) -> Replay:
    done = answered(tx)
    every = known_days(tx, settings)
    known = every[retailer]
    return Replay(
        plan_id=plan_id,
        retailer=retailer,
        since={log: done.get((retailer, log), NEVER) for log in triggers if log != SOURCE_WEIGHTS},
        planned_after=after,
        forced={UNIFIED_SALES.name: list(days)} if SOURCE_WEIGHTS in triggers else {},
        first_day=known.first_day,
        last_day=known.last_day,
        reports_from=known.reports_from,
        everyones_first=min(k.reports_from or k.first_day for k in every.values()),
        everyones_last=max(k.last_day for k in every.values()),
        is_alone=len(settings.retailers) == 1,
    )


def record(tx: Transaction, plan: Plan, state: str) -> None:
    """Append a plan's state; what is known of it already stays."""
    known = tx.live(REPLAY_PLANS).filter(plan_id=plan.plan_id)
    after = known["planned_after"][0] if known.height else planned_after(tx, plan)
    frame = pl.DataFrame(
        {
            "retailer": [plan.scope.retailer],
            "business_day": [plan.scope.first_day],
            "plan_id": [plan.plan_id],
            "first_day": [plan.scope.first_day],
            "last_day": [plan.scope.last_day],
            "days_changed": [[day.isoformat() for day in plan.days_changed]],
            "stores_changed": [plan.stores_changed],
            "purpose": [plan.purpose],
            "triggers": [list(plan.triggers)],
            "steps": [[str(step) for step in plan.steps]],
            "assets": [list(plan.assets)],
            "inputs_written_at": [plan.inputs_written_at],
            "planned_after": [after],
            "state": [state],
            "planned_reports": [plan.touched.reports if plan.touched else None],
            "planned_impact": [plan.touched.impact if plan.touched else None],
            "source_weights": [plan.source_weights],
        }
    )
    tx.append(REPLAY_PLANS, frame, replace(EVER, complete=False), PLANNING)


def state_of(tx: Transaction, plan: Plan) -> str | None:
    """A plan's recorded state; None where it was never recorded."""
    known = tx.live(REPLAY_PLANS).filter(plan_id=plan.plan_id)
    return str(known["state"][0]) if known.height else None


def unfinished_recoveries(tx: Transaction) -> list[Plan]:
    """Recoveries that were begun and not finished, as they were planned: what they mended is no longer degraded."""
    begun = tx.live(REPLAY_PLANS).filter((pl.col("purpose") == "recovery") & (pl.col("state") == "planned"))
    return [
        Plan(
            steps=tuple(Step.parse(text, row["retailer"]) for text in row["steps"]),
            triggers=tuple(row["triggers"]),
            days_changed=tuple(date.fromisoformat(day) for day in row["days_changed"]),
            stores_changed=row["stores_changed"],
            inputs_written_at=row["inputs_written_at"],
            purpose="recovery",
        )
        for row in begun.sort("retailer", "written_at", "plan_id").to_dicts()
    ]


def approve(tx: Transaction, plan_id: str, approved_by: str) -> bool:
    """Append that a held plan may run. False where no such plan is held."""
    held = tx.live(REPLAY_PLANS).filter(plan_id=plan_id, state="held")
    _append_states(tx, held.with_columns(state=pl.lit("approved"), approved_by=pl.lit(approved_by)))
    return bool(held.height)


def finish(tx: Transaction, plan_id: str) -> None:
    """Append that a plan is done, and that it replaced those for the same retailer and purpose begun before it.

    Nothing where it is unknown or done already.
    """
    plans = tx.live(REPLAY_PLANS)
    done = plans.filter(plan_id=plan_id)
    others = plans.filter(pl.col("state").is_in(OPEN), pl.col("purpose") != "recovery", pl.col("plan_id") != plan_id)
    replaced = others.join(done, on=["retailer", "purpose"], how="semi")
    _append_states(tx, done.with_columns(state=pl.lit("done")))
    _append_states(tx, replaced.with_columns(state=pl.lit("replaced")))


def _append_states(tx: Transaction, plans: pl.DataFrame) -> None:
    tx.append(REPLAY_PLANS, plans.select(*REPLAY_PLANS.body), replace(EVER, complete=False), PLANNING)
