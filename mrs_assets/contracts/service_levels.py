"""Service levels: how fresh, how complete and how clean the logs are to be, and how much may go wrong."""

from __future__ import annotations

from pydantic import Field

from mrs_assets.contracts.section import Section


class ServiceLevels(Section):
    """Limits of the service level objectives: `[slo]`. The first six defaults are those of the product's strategy.

    Attributes:
        detection_minutes: from a file's arrival to its reports being shown, for 95 of 100 retailer-days.
        clustering_minutes: the same up to the reports' clusters; a report clustered later does not count as clustered.
        attribution_minutes: the same up to the reports' causes.
        dead_letter_share: largest share of a log's rows that may lie among its dead letters.
        attributed_share: least share of active reports that have a cause.
        clustered_share: least share of detected reports that were clustered in time.
        sales_hours: longest time without news in a retailer's sales.
        volume_change: largest deviation of a day's number of rows from the usual one of its weekday; 0.5 is half.
        recall_hours: longest time that a recalled report may wait for its re-review.
        open_minutes: how long a planned replay may take before its retailer-days count as left behind.
        alert_minutes: from a change of an alert to its delivery.
        alerted_share: least share of deliveries that keep to that.
        window_days: days over which percentiles and shares are taken.
        budget_days: days over which an error budget is spent.
        budget_share: share of retailer-days that may miss an objective: its error budget.
    """

    detection_minutes: float = Field(default=30, gt=0, allow_inf_nan=False)
    clustering_minutes: float = Field(default=240, gt=0, allow_inf_nan=False)
    attribution_minutes: float = Field(default=240, gt=0, allow_inf_nan=False)
    dead_letter_share: float = Field(default=0.01, ge=0, le=1)
    attributed_share: float = Field(default=0.8, ge=0, le=1)
    clustered_share: float = Field(default=0.8, ge=0, le=1)
    sales_hours: float = Field(default=36, gt=0, allow_inf_nan=False)
    volume_change: float = Field(default=0.5, gt=0, allow_inf_nan=False)
    recall_hours: float = Field(default=336, gt=0, allow_inf_nan=False)
    open_minutes: float = Field(default=60, gt=0, allow_inf_nan=False)
    alert_minutes: float = Field(default=5, gt=0, allow_inf_nan=False)
    alerted_share: float = Field(default=0.95, ge=0, le=1)
    window_days: int = Field(default=7, ge=1, le=366)
    budget_days: int = Field(default=28, ge=1, le=366)
    budget_share: float = Field(default=0.05, gt=0, lt=1)
