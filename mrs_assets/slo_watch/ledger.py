"""Keeps `slo_log`: what each partition of each log reached. Only what changed since the last time is counted again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import polars as pl

from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.contract import Contract
from mrs_assets.contracts.feeds import FEED_LOGS
from mrs_assets.contracts.logs.attributed import ATTRIBUTED
from mrs_assets.contracts.logs.clustered import CLUSTERED
from mrs_assets.contracts.logs.finalised import FINALISED
from mrs_assets.contracts.logs.replays import REPLAY_PLANS
from mrs_assets.contracts.logs.slo import SLO
from mrs_assets.contracts.logs.unified_sales import UNIFIED_SALES
from mrs_assets.contracts.service_levels import ServiceLevels
from mrs_assets.contracts.settings import Settings
from mrs_assets.graph import MEASURED, STAGES
from mrs_assets.planning.ledger import NEVER, OPEN, read_changes
from mrs_resources.kernel import Appended, Provenance
from mrs_resources.log_store import EVER, Transaction
from mrs_resources.partition_levels import (
    PARTITION,
    Answers,
    answered,
    changed_partitions,
    counts,
    newest_write_of,
    open_letters,
    sales_arrived,
    written_since,
)

FOLLOWING = (*(log for stage in STAGES for log in stage.writes), FINALISED)
"""Logs that follow from sales: a new file is available for all of their partitions at once."""

_ASKED = {"log": pl.String(), **PARTITION}


@dataclass(frozen=True)
class UnderWay:
    """Which replays are done and which are not, for whoever measures in the middle of one.

    Attributes:
        shown: retailer, inputs_written_at, done_at: when views first showed what follows from sales up to an instant.
        retailers: whose logs need not agree with one another yet.
    """

    shown: pl.DataFrame
    retailers: frozenset[str]


def keep_ledger(
    tx: Transaction, settings: Settings, provenance: Provenance, plan_id: str | None = None
) -> Appended | None:
    """Count what changed since the ledger's newest row, and what was not settled then; None where that is nothing.

    Args:
        tx: open transaction; views show what the logs say.
        settings: what is configured.
        provenance: who writes.
        plan_id: the plan that the caller's run ends, which therefore counts as done.
    """
    newest = newest_write_of(tx, MEASURED)
    if newest is None:
        return None
    tx.ensure(SLO, REPLAY_PLANS, *MEASURED)
    since = tx.query(f"SELECT max(measured_to) AS at FROM {SLO.name} WHERE run_id = ?", [tx.run_id])["at"][0] or NEVER
    changed, unsettled = _changed(tx, since), _unsettled(tx)
    if changed.is_empty() and unsettled.is_empty():
        return None
    under_way, owed = read_under_way(tx, settings, plan_id), answers_owed(settings.slo)
    settled_now = unsettled.filter(~pl.col("retailer").is_in(list(under_way.retailers)))
    asked = pl.concat([changed, settled_now]).unique().sort("log", "retailer", "business_day")
    if asked.is_empty():
        return None
    before = _before(tx, asked)
    sales = sales_arrived(tx, UNIFIED_SALES, asked.select(list(PARTITION)).unique())
    logs = {log.name: log for log in MEASURED}
    parts = [
        _measured(tx, logs[str(name)], own.drop("log"), owed.get(str(name)))
        for (name,), own in asked.group_by("log", maintain_order=True)
    ]
    letters = open_letters(tx, [logs[name] for name in asked["log"].unique()])
    counted = (
        pl.concat(parts)
        .join(letters, on=["log", *PARTITION], how="left")
        .with_columns(pl.col("rows_dead_lettered").fill_null(0))
    )
    frame = _with_instants(counted, before, sales, under_way, tx.now).with_columns(measured_to=pl.lit(newest))
    return tx.append(SLO, frame.select(_columns()), replace(EVER, complete=False), provenance)


def answers_owed(levels: ServiceLevels) -> dict[str, Answers]:
    """What each log owes the reports that were detected, by its name."""
    minutes = {CLUSTERED.name: levels.clustering_minutes, ATTRIBUTED.name: levels.attribution_minutes}
    return {
        stage.writes[0].name: Answers(
            stage.needs[stage.answers].contract,
            stage.down,
            timedelta(minutes=minutes.get(stage.writes[0].name, levels.attribution_minutes)),
        )
        for stage in STAGES
        if stage.answers is not None
    }


def read_under_way(tx: Transaction, settings: Settings, plan_id: str | None = None) -> UnderWay:
    """Which replays are done, the named one included, and whose are not."""
    plans = tx.live(REPLAY_PLANS)
    own = pl.col("plan_id") == (plan_id or "")
    done = plans.filter(own | (pl.col("state") == "done")).select(
        "retailer",
        "triggers",
        "inputs_written_at",
        done_at=pl.when(pl.col("state") == "done").then("written_at").otherwise(pl.lit(tx.now)),
    )
    open_plans = plans.filter(~own, pl.col("state").is_in([state for state in OPEN if state != "held"]))
    newest = {
        (retailer, log): at
        for retailer, log, at in done.explode("triggers")
        .group_by("retailer", "triggers")
        .agg(pl.col("inputs_written_at").max())
        .iter_rows()
    }
    facts = [log for log in FEED_LOGS if not log.name.startswith("user_")]
    unanswered = {
        change.retailer
        for change in read_changes(tx, facts, settings)
        if change.written_at > newest.get((change.retailer, change.log), NEVER)
    }
    begun = {
        row["retailer"]
        for row in open_plans.to_dicts()
        if row["purpose"] == "recovery" or row["retailer"] in unanswered
    }
    shown = done.filter(pl.col("triggers").list.contains(UNIFIED_SALES.name)).drop("triggers")
    return UnderWay(shown, frozenset(unanswered | begun))


def _changed(tx: Transaction, since: datetime) -> pl.DataFrame:
    """Partitions of logs that were written after an instant, and of all that follows from sales that were."""
    written = written_since(tx, MEASURED, since)
    if not written:
        return pl.DataFrame(schema=_ASKED)
    changed = changed_partitions(tx, [log for log in MEASURED if log.name in written], since)
    fresh = changed.filter(log=UNIFIED_SALES.name)
    following = [fresh.with_columns(log=pl.lit(log.name)) for log in FOLLOWING]
    return pl.concat([part.select(list(_ASKED)) for part in (changed, *following)])


def _unsettled(tx: Transaction) -> pl.DataFrame:
    """Partitions of which the ledger could not say everything yet."""
    return tx.query(
        f"SELECT log, retailer, business_day FROM ({_live_ledger()}) "
        "WHERE rows_unreconciled IS NULL OR (available_at IS NOT NULL AND hydrated_at IS NULL)",
        {"run": tx.run_id},
    )


def _live_ledger() -> str:
    """SQL of the ledger's newest row of each partition; none is ever retracted."""
    newest = "QUALIFY row_number() OVER (PARTITION BY retailer, log, business_day ORDER BY version DESC) = 1"
    return f"SELECT * FROM {SLO.name} WHERE run_id = $run {newest}"


def _before(tx: Transaction, asked: pl.DataFrame) -> pl.DataFrame:
    tx.connection.register("asked_of_ledger", asked)
    try:
        return tx.query(
            "SELECT log, retailer, business_day, available_at AS was_available_at, hydrated_at AS was_hydrated_at, "
            "measured_to AS was_measured_to "
            f"FROM ({_live_ledger()}) SEMI JOIN asked_of_ledger USING (log, retailer, business_day)",
            {"run": tx.run_id},
        )
    finally:
        tx.connection.unregister("asked_of_ledger")


def _measured(tx: Transaction, log: Contract, asked: pl.DataFrame, owed: Answers | None) -> pl.DataFrame:
    """One line per partition of one log, but for its dead letters and its instants."""
    found = counts(tx, log, asked).with_columns(log=pl.lit(log.name))
    if owed is None:
        nothing = pl.lit(None, dtype=pl.Int64)
        told = found.with_columns(reports=nothing, reports_in_time=nothing, down=pl.lit(0), unanswered=pl.lit(0))
    else:
        told = found.join(answered(tx, log, owed, asked), on=list(PARTITION), how="left")
    return told.with_columns(rows_unreconciled=pl.col("rows_twice") + pl.col("unanswered")).select(
        "log",
        *PARTITION,
        pl.col("written_to").cast(INSTANT),
        pl.col("rows_live", "rows_degraded", "down", "rows_unreconciled").cast(pl.Int64),
        pl.col("reports", "reports_in_time").cast(pl.Int64),
        pl.col("rows_by_status").cast(pl.String),
    )


def _with_instants(
    counted: pl.DataFrame, before: pl.DataFrame, sales: pl.DataFrame, under_way: UnderWay, now: datetime
) -> pl.DataFrame:
    """When each partition's sales came and were shown. A replay under way leaves unsaid what is not settled yet.

    News without a newer file, which is a row taken back or an old file read again, came when it was written.
    """
    shown = under_way.shown.select("retailer", sales_written_at="inputs_written_at", done_at="done_at")
    available = sales.sort("sales_written_at").join_asof(
        shown.sort("sales_written_at", "done_at"),
        on="sales_written_at",
        by="retailer",
        strategy="forward",
        check_sortedness=False,
    )
    frame = counted.join(available, on=list(PARTITION), how="left").join(before, on=["log", *PARTITION], how="left")
    same_rows = pl.col("sales_written_at") <= pl.col("was_measured_to")
    frame = frame.with_columns(
        available_at=pl.when(
            pl.col("was_available_at").is_null() | (pl.col("received_at") > pl.col("was_available_at"))
        )
        .then("received_at")
        .when(same_rows)
        .then("was_available_at")
        .otherwise("sales_written_at")
    )
    same_file = pl.col("available_at") == pl.col("was_available_at")
    rewritten = pl.when(pl.col("written_to") > pl.col("done_at")).then(pl.lit(now)).otherwise("done_at")
    settled = ~pl.col("retailer").is_in(list(under_way.retailers))
    return frame.with_columns(
        hydrated_at=pl.when(pl.col("done_at").is_null() | (pl.col("down") > 0))
        .then(None)
        .when(same_file & pl.col("was_hydrated_at").is_not_null())
        .then("was_hydrated_at")
        .when(same_file)
        .then(rewritten)
        .otherwise("done_at"),
        reports=pl.when(settled).then("reports"),
        reports_in_time=pl.when(settled).then("reports_in_time"),
        rows_unreconciled=pl.when(settled).then("rows_unreconciled"),
    )


def _columns() -> list[str]:
    return [column for column in SLO.body if column not in ("is_degraded", "degraded_reasons", "model_version")]
