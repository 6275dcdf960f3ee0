"""Everything that triggers judge by, as it was read at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from mrs_assets.clustering.library import Library
from mrs_assets.contracts.columns import INSTANT
from mrs_assets.contracts.feeds.campaigns import CAMPAIGNS
from mrs_assets.contracts.feeds.contextual_events import CONTEXTUAL_EVENTS
from mrs_assets.contracts.feeds.promotions import PROMOTIONS
from mrs_assets.contracts.feeds.stores import STORES
from mrs_assets.contracts.logs.edits import USER_EDITS
from mrs_assets.contracts.logs.rereview import REREVIEW_WORKLIST
from mrs_assets.contracts.settings import Settings

TEXTS = pl.List(pl.String)

CONTEXT = {"promotions": PROMOTIONS, "campaigns": CAMPAIGNS, "contextual_events": CONTEXTUAL_EVENTS}
"""Feeds whose rows may explain a report."""

_CHANGES: dict[str, pl.DataType] = {"changed_at": INSTANT, "answered_at": INSTANT}
"""Of a row of context: when it came or went, and up to when a finished replay of its retailer answered the feed."""

SCHEMAS: Mapping[str, Mapping[str, pl.DataType]] = {
    "reports": {
        "report_id": pl.String(),
        "retailer": pl.String(),
        "business_day": pl.Date(),
        "store_id": pl.String(),
        "sku": pl.String(),
        "tick": INSTANT,
        "window_start": INSTANT,
        "window_end": INSTANT,
        "uplift_units": pl.Float64(),
        "impact_estimate": pl.Float64(),
        "cluster_id": pl.String(),
        "cluster_name": pl.String(),
        "feature_vector": pl.List(pl.Float64),
        "proposed_cause": pl.String(),
        "proposed_cause_category": pl.String(),
        "confidence_score": pl.Float64(),
        "report_group_id": pl.String(),
        "final_decision": pl.String(),
        "person_cause": pl.String(),
        "annotation_id": pl.String(),
        "edited_as": TEXTS,
        "considered_at": INSTANT,
        "proposed_by": pl.String(),
        "reasons": TEXTS,
        "cluster_version": pl.String(),
        "cause_version": pl.String(),
        "cluster_code": pl.String(),
        "cause_code": pl.String(),
    },
    "worklist": REREVIEW_WORKLIST.schema,
    "requests": USER_EDITS.schema,
    "stores": STORES.body,
    "series": {"report_id": pl.String(), "ts": INSTANT, "units": pl.Float64()},
    "down": {"retailer": pl.String(), "reason": pl.String(), "from_day": pl.Date()},
    **{name: {**contract.schema, **_CHANGES} for name, contract in CONTEXT.items()},
}
"""Frame → its columns and types. All instants UTC.

reports: every report that detection stands by, as it is believed; `person_cause` is the cause that a person stands
by; `considered_at` when the belief in its cause was concluded; `proposed_by` which log holds it (`attribution`,
`rereview`); `reasons` what that belief and its cluster do without; `*_version`, `*_code` of the model and the stage
that computed them.
worklist: every live row of MRRW. requests: standing edits with the path `reprocess`.
series: units sold around reports that are old enough to be settled. down: every configured input by the reason that
is given without it, and the first day from which it is missing; `date.max` where it is there.
promotions, campaigns, contextual_events: every version that was ever true.
"""


@dataclass(frozen=True)
class Facts:
    """What is known at one instant.

    Attributes:
        now: the instant. UTC.
        settings: what is configured.
        frames: name → rows in the columns of SCHEMAS; absent: none.
        in_force: `cluster` and `cause` → version that would compute a row now.
        code: the same → code version of the stage.
        libraries: version → cluster library that reports were placed in, or that is in force.
    """

    now: datetime
    settings: Settings
    frames: Mapping[str, pl.DataFrame]
    in_force: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, Library] = field(default_factory=dict)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames.get(name, pl.DataFrame(schema=SCHEMAS[name]))

    def older_than(self, days: float) -> pl.Expr:
        """That a report's conclusion was reached at least so many days ago."""
        return pl.col("considered_at") <= pl.lit(self.now) - pl.duration(microseconds=round(days * 86_400e6))

    @property
    def undecided(self) -> pl.DataFrame:
        """Reports that nobody decided: what people settled is not doubted by the machine on its own."""
        return self["reports"].filter(
            pl.col("final_decision").is_null() | (pl.col("final_decision") == "auto_approved")
        )
