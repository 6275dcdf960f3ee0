"""Replays: what each planned and finished, which parts it computed, and which reports wait for it."""

import polars as pl

from mrs_assets.contracts.columns import Amount, Count, Instant, Texts, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows

PLAN_STATES = ("planned", "held", "approved", "done", "replaced")


class ReplayPlan(Rows):
    """What to recompute for one retailer, and how far that got."""

    plan_id: str = name(description="Hash of the retailer and of what the plan answers.")
    first_day: pl.Date = required(description="First business day that may have to be recomputed.")
    last_day: pl.Date = required(description="Last business day that may have to be recomputed.")
    days_changed: Texts = required(description="Business days whose inputs changed or that were degraded, sorted.")
    stores_changed: Count = required(description="Number of stores whose sales changed.")
    purpose: str = required(
        isin=["replay", "edits", "recovery"],
        description="`replay`: facts or context changed; `edits`: people spoke; `recovery`: what degraded is gone.",
    )
    triggers: Texts = required(
        description="Logs whose rows changed, `source_weights`, or reasons that went away; sorted."
    )
    assets: Texts = required(description="Assets that may have to be materialised, sorted.")
    steps: Texts = required(
        description="Rectangles, in order, that the plan is never wider than: `first day/last day/asset,asset`."
    )
    inputs_written_at: Instant = required(description="The plan answers every input row written up to here. UTC.")
    planned_after: Instant = optional(
        description="Newest row of any log when what the plan answers was first planned: later rows are its own. UTC."
    )
    state: str = required(
        isin=list(PLAN_STATES),
        description="`planned`, `held` for approval, `approved`, `done`; `replaced` by a later plan.",
    )
    planned_reports: Count = optional(description="Live reports that the plan may change, when it was planned.")
    planned_impact: Amount = optional(description="Sum of the sizes of their impacts in money, when it was planned.")
    approved_by: str = optional(description="Who approved it, where it was held.")
    source_weights: str = optional(
        description="Fingerprint of the retailer's declared sources when it was planned; NULL where none are."
    )


class ReplayPart(Rows):
    """One part of a stage that a replay computed: some days of some stores."""

    plan_id: str = name(description="The plan.")
    asset: str = name(description="The stage.")
    part: str = name(description="First day, last day and a hash of the stores, or `*`.")
    first_day: pl.Date = required(description="First business day computed.")
    last_day: pl.Date = required(description="Last business day computed.")
    stores: Texts = optional(description="Stores computed, sorted; NULL: all.")
    seen_at: Instant = required(description="Input rows written up to here were seen. UTC.")
    rows_offered: Count = required(ge=0, description="Rows that came out.")
    rows_appended: Count = required(ge=0, description="Of these, new or different.")
    rows_retracted: Count = required(ge=0, description="Live rows that did not come out again.")


class ReplayCertificate(Rows):
    """What a finished replay did, and what computing a sample of it again came to."""

    plan_id: str = name(description="The plan.")
    inputs_hash: str = name(description="MD5 over the content of every input row that it answers.")
    rows_computed: Count = required(ge=0, description="Rows that the stages computed.")
    rows_changed: Count = required(ge=0, description="Rows that came out new or different, or did not come out again.")
    rows_cut_off: Count = required(ge=0, description="Rows that came out as they were: felt no further.")
    stages_cut_off: Texts = required(description="Stages that the plan might have computed and nothing reached.")
    sample: Texts = required(description="What was computed once more: stage, days and store.")
    sample_differences: Count = required(ge=0, description="Rows of the sample that came out otherwise than they are.")


class Superseded(Rows):
    """One report that may change and waits for a replay."""

    report_id: str = required(str_matches=r"^MR-[0-9a-f]{20}$", description="The report.")
    plan_id: str = name(description="The plan that it waits for.")


REPLAY_PLANS = Contract(name="replay_plans_log", rows=ReplayPlan, key=("plan_id",), stage="operations")
REPLAY_PARTS = Contract(name="replay_parts_log", rows=ReplayPart, key=("plan_id", "asset", "part"), stage="operations")
REPLAY_CERTIFICATES = Contract(
    name="replay_certificates_log", rows=ReplayCertificate, key=("plan_id",), stage="operations"
)
SUPERSEDED = Contract(name="superseded_reports_log", rows=Superseded, key=("report_id",), stage="operations")
