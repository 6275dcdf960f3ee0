"""When old conclusions are looked at again, and how much of that at once."""

from __future__ import annotations

from pydantic import Field

from mrs_assets.contracts.section import Section


class Recall(Section):
    """Recall and re-review of past reports: `[recall]`.

    Attributes:
        enabled: whether anything is recalled at all.
        aged_days: days after which a conclusion is old: six months.
        low_confidence: confidence under which a conclusion is looked at again.
        low_confidence_days: days that such a conclusion is left alone first.
        settled_days: days after a report's end when what came later settles what was to be expected.
        settled_factor: how many times larger or smaller the settled impact is before it contradicts the reported one.
        disagreeing_days: days after which members of one event that name different causes are looked at again.
        least_verdicts: verdicts of people on one cluster or cause under which nothing is said of its confidence.
        most_overconfidence: largest excess of the mean confidence over the share that people found right.
        most_per_run: most reports re-reviewed in one run; the others wait, by priority, for the next.
        max_rounds: most rounds of one report that no person asked for.
    """

    enabled: bool = True
    aged_days: int = Field(default=183, ge=1)
    low_confidence: float = Field(default=0.5, ge=0, le=1)
    low_confidence_days: int = Field(default=28, ge=1)
    settled_days: int = Field(default=35, ge=7)
    settled_factor: float = Field(default=2.0, gt=1)
    disagreeing_days: int = Field(default=7, ge=0)
    least_verdicts: int = Field(default=5, ge=1)
    most_overconfidence: float = Field(default=0.25, gt=0, le=1)
    most_per_run: int = Field(default=200, ge=1)
    max_rounds: int = Field(default=10, ge=1)
