"""How the system runs: which namespace is current, what keeps failing."""

from mrs_assets.contracts.columns import Count, Instant, name, optional, required
from mrs_assets.contracts.contract import Contract, Rows


class DemoRunConfig(Rows):
    """The namespace that every view reads, one row per `mrs reset`."""

    setting: str = name(description="What is set: `active_run`.")
    active_run_id: str = name(description="The namespace in force.")
    arrivals_from: Instant = required(
        description="Files that arrived before this instant do not belong to the namespace. UTC."
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
BREAKERS = Contract(name="breaker_log", rows=BreakerOutcome, key=("breaker", "attempt"), stage="operations")
