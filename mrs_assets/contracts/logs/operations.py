"""How the system runs: which namespace is current, what each replay planned and finished, what keeps failing."""

import polars as pl

from mrs_assets.contracts.columns import Count, Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows


class DemoRunConfig(Rows):
    """The namespace that every view reads, one row per `mrs reset`."""

    setting: str = name(description="What is set: `active_run`.")
    active_run_id: str = name(description="The namespace in force.")
    arrivals_from: Instant = required(
        description="Files that arrived before this instant do not belong to the namespace. UTC."
    )


class ReplayPlan(Rows):
    """One rectangle of partitions to recompute, and whether it was done."""

    plan_id: str = name(description="Hash of retailer, days and the newest input that it answers.")
    first_day: pl.Date = required(description="First business day to recompute.")
    last_day: pl.Date = required(description="Last business day to recompute.")
    days_changed: Texts = required(description="Business days whose inputs changed or that were degraded, sorted.")
    stores_changed: Count = required(description="Number of stores whose sales changed.")
    purpose: str = required(
        isin=["replay", "recovery"], description="`replay`: inputs changed; `recovery`: what degraded them is gone."
    )
    triggers: Texts = required(
        description="Logs whose rows changed, `source_weights`, or reasons that went away; sorted."
    )
    assets: Texts = required(description="Assets to materialise, sorted.")
    steps: Texts = required(description="Runs in order: `first day/last day/asset,asset`.")
    inputs_written_at: Instant = required(description="The plan answers every input row written up to here. UTC.")
    state: str = required(isin=["planned", "done"], description="`planned`, then `done`.")
    planned_reports: Count = optional(description="Live reports in the rectangle when it was planned.")
    source_weights: str = optional(
        description="Fingerprint of the retailer's declared sources when it was planned; NULL where none are."
    )


class BreakerOutcome(Rows):
    """One outcome of something that may fail; its state is folded from these. Written only around failures."""

    breaker: str = name(description="What failed or came back: `stage:…`, `model:…` or `feed:…`.")
    attempt: Count = required(ge=1, description="Number of the outcome, per breaker.")
    outcome: str = required(isin=["failed", "probing", "succeeded"], description="`failed`, `probing` or `succeeded`.")
    kind: str = optional(isin=["transient", "permanent"], description="Whether trying again could have helped.")
    detail: str = optional(description="What went wrong, in words.")
    noted_at: Instant = required(description="When. UTC.")


DEMO_RUN_CONFIG = Contract(name="demo_run_config", rows=DemoRunConfig, key=("setting",), stage="operations")
REPLAY_PLANS = Contract(name="replay_plans_log", rows=ReplayPlan, key=("plan_id",), stage="operations")
BREAKERS = Contract(name="breaker_log", rows=BreakerOutcome, key=("breaker", "attempt"), stage="operations")
