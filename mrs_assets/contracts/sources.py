"""Who counts a retailer's sales, and how far each is to be believed: `[retailers.<name>.sources.<source>]`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from mrs_assets.contracts.section import Section

DARK_AFTER_HOURS = 6.0
"""A source not heard of for longer than this before the end of a tick saw nothing of it; from practice, not fitted."""


class Source(Section):
    """One source of counts, `[retailers.<name>.sources.<source>]`, named as in the column `source` of its rows.

    A source that sends rows and is not named counts as `direct` with reliability 1; it is missed by nobody.

    Attributes:
        kind: `direct` counts each sale, as a till does. `sensor` measures the same sales another way, with an error
            and a level of its own: shipments, depletion, a scale. `proxy` moves with sales and does not count them:
            footfall, baskets; it is compared and never enters a value.
        reliability: weight in the mean of the sources that count, above 0 and at most 1.
        first_day, last_day: business days from and until which it counts; without them, always.
        stores: where it counts; in every store when absent.
    """

    kind: Literal["direct", "sensor", "proxy"] = "direct"
    reliability: float = Field(default=1.0, gt=0, le=1, allow_inf_nan=False)
    first_day: date | None = None
    last_day: date | None = None
    stores: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _days_in_order(self) -> Source:
        if self.first_day and self.last_day and self.first_day > self.last_day:
            raise ValueError(f"last_day {self.last_day} is before first_day {self.first_day}")
        return self

    @property
    def counts(self) -> bool:
        """Whether its numbers enter the value."""
        return self.kind != "proxy"


def weights_fingerprint(sources: Mapping[str, Source], dark_after_hours: float) -> str | None:
    """Sixteen hex digits that change with everything declared about sources; None where nothing is."""
    if not sources and dark_after_hours == DARK_AFTER_HOURS:
        return None
    declared = {name: source.model_dump(mode="json") for name, source in sources.items()}
    facts = json.dumps([dark_after_hours, declared], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()[:16]
